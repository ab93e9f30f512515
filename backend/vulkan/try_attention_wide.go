//go:build cgo

package vulkan

import (
	"caldera/backend"
	"caldera/shaders"
)

// tryOneQuery makes the trials of attention_one.comp, and where keys are split of attention_join.comp with
// it: over one key, fewer keys than a workgroup takes at once, and more; the heads of a group are as many as in the op.
func tryOneQuery(t *trials, like *backend.Attention, w wideAttention, spec shaders.AttentionOneSpec) {
	const step = triedStep
	round := int(spec.Lanes/spec.Cluster*spec.Keys) / step * step
	heads := triedHeads{size: int(spec.Size), shared: like.Heads / like.Groups(), groups: min(like.Groups(), 2), together: int(spec.Heads), queries: 1}
	for _, context := range []int{step, max(round-step, step), round + step} {
		tryAttentionOf(t, like, heads, 1, context, spec.Extras, func(e *encoder, op *backend.Attention) error {
			w, shared := w, op.Heads/op.Groups()
			if _, w.keys = op.Cache(); spec.Split { // some parts may have none
				w.keys = (w.keys + w.parts - 1) / w.parts
			}
			return w.one(e, op, spec, (shared+int(spec.Heads)-1)/int(spec.Heads))
		})
	}
}

// tryTile makes the trials of attention_tile.comp: one query less and one more than a workgroup takes, over keys that
// fill a tile and a few more, and two queries over a few keys.
func tryTile(t *trials, like *backend.Attention, w wideAttention, spec shaders.AttentionTileSpec) {
	const step = triedStep
	queries, tile := tileQueries(spec), int(spec.Tile)
	heads := triedHeads{size: int(spec.Size), shared: like.Heads / like.Groups(), groups: min(like.Groups(), 2), together: int(spec.Heads), queries: queries}
	w.firstTime = 0
	for _, c := range [][2]int{{max(queries-1, 2), queries + tile}, {queries + 1, (queries + step) / step * step}, {2, step}} {
		tryAttentionOf(t, like, heads, c[0], c[1]/step*step, spec.Extras, func(e *encoder, op *backend.Attention) error {
			return w.tile(e, op, spec)
		})
	}
}

// tryAttentionMatrix makes the trials of attention_matrix.comp: as tryTile, and with queries of more bits than a number of
// f16 has; and one in which something is not finite, for which the shader has a way of its own.
func tryAttentionMatrix(t *trials, like *backend.Attention, w wideAttention, spec shaders.AttentionMatrixSpec) {
	const step = triedStep
	queries := attentionMatrixQueries(spec)
	heads := triedHeads{size: int(spec.Size), shared: like.Heads / like.Groups(), groups: min(like.Groups(), 2), together: int(spec.Heads), queries: queries, fine: true}
	w.firstTime = 0
	try := func(h triedHeads, time, context int) {
		tryAttentionOf(t, like, h, time, context/step*step, spec.Extras, func(e *encoder, op *backend.Attention) error {
			return w.matrix(e, op, spec)
		})
	}
	try(heads, max(queries-1, 2), queries+attentionMatrixTile)
	try(heads, queries+1, queries+step)
	try(heads, 2, step)
	heads.infinite = true
	try(heads, 3, 2*step)
}
