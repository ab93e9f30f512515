package cpu

import (
	"caldera/backend"
	"caldera/backend/cpu/internal/gemm"
)

// attentionTiles is attention of runs of one token, whose tiles of keys are spread over the threads, as there are few groups of
// heads, or a number that does not divide well. It is the op of its parts.
type attentionTiles struct {
	*backend.Attention
	tiles  int            // most tiles of a run
	states []softmaxState // of each run, group, tile and head
	sums   []float32      // likewise
}

// byTiles is with how many groups a thread, or more, tiles are not spread.
const byTiles = 4

// attentionByTiles runs op so if that pays, or returns false.
func (b *Backend) attentionByTiles(op *backend.Attention) bool {
	runs, time := op.Runs()
	groups := op.Groups()
	if time > 1 || b.pool.helpers == 0 || runs*groups >= byTiles*b.pool.threads() || !op.Probs.Absent() {
		return false
	}
	a := &b.attention
	a.tiles = 0
	for run := range runs {
		h := newHeads(op, run, 0, 1)
		if h.isPadding(0) || !h.inside(0) {
			continue
		}
		from, to := h.sees(0)
		a.tiles = max(a.tiles, (to-1)/keyTile-from/keyTile+1)
	}
	if a.tiles < 2 {
		return false
	}
	a.Attention = op
	n := runs * op.Heads * a.tiles
	if cap(a.states) < n {
		a.states = make([]softmaxState, n)
	}
	if cap(a.sums) < n*op.HeadSize() {
		a.sums = make([]float32, n*op.HeadSize())
	}
	a.states, a.sums = a.states[:n], a.sums[:n*op.HeadSize()]
	nanos := float64(keyTile) * float64(op.Heads/groups) * (1 + 4*float64(op.HeadSize())/gflops)
	b.parallel(a, runs*groups*a.tiles, nanos, attentionTilesPart)
	b.parallel(a, runs*groups, 100*float64(a.tiles*op.Heads/groups), attentionJoinPart)
	a.Attention = nil // so that the op's memory can be collected
	return true
}

// of is a group of heads of a run, and its first tile.
func (a *attentionTiles) of(run, group int) (h heads, first int) {
	n := a.Heads / a.Groups()
	h = newHeads(a.Attention, run, group*n, n)
	from, _ := h.sees(0)
	return h, from / keyTile
}

// at is where states and sums of a tile begin.
func (a *attentionTiles) at(h *heads, item int) (states []softmaxState, sums []float32) {
	return a.states[item*h.n:][:h.n], a.sums[item*h.n*h.size:][:h.n*h.size]
}

// attentionTilesPart takes items that are a tile of keys of one group.
func attentionTilesPart(w *worker, op backend.Op, from, to int) {
	a := op.(*attentionTiles)
	for i := from; i < to; i++ {
		h, tile := a.of(i/a.tiles/a.Groups(), i/a.tiles%a.Groups())
		tile += i % a.tiles
		if h.isPadding(0) || !h.inside(0) || !h.overlaps(0, tile) {
			continue
		}
		k0, k1 := h.sees(0)
		part, of := h.tile(w, h.scaled(w, 0, 1), 0, 1, max(k0, tile*keyTile), min(k1, (tile+1)*keyTile))
		states, sums := a.at(&h, i)
		copy(states, of)
		copy(sums, part.Data)
	}
}

// attentionJoinPart takes items that are one group.
func attentionJoinPart(w *worker, op backend.Op, from, to int) {
	a := op.(*attentionTiles)
	for i := from; i < to; i++ {
		h, tile := a.of(i/a.Groups(), i%a.Groups())
		if h.isPadding(0) || !h.inside(0) {
			h.attend(w, 0, 1)
			continue
		}
		sum := gemm.Matrix{Data: w.floats(1, h.n*h.size), Stride: h.size}
		clear(sum.Data)
		for r := range h.n {
			state, to := noKeys, sum.Data[r*h.size:][:h.size]
			for k := 0; k < a.tiles && h.overlaps(0, tile+k); k++ {
				states, sums := a.at(&h, i*a.tiles+k)
				state.join(states[r], to, sums[r*h.size:][:h.size])
			}
			h.finish(state, to, 0, r)
		}
	}
}
