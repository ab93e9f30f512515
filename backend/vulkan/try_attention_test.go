//go:build cgo

package vulkan

import (
	"fmt"
	"slices"
	"testing"

	"caldera/backend"
	"caldera/shaders"
)

// TestAttentionTrialsFit encodes the trials of attention.comp for devices that bind little: what each of
// them binds must fit, or a kernel that is right would fail its check. With the least that Vulkan promises
// the trials of one query, too, end at a chunk of keys and after it.
func TestAttentionTrialsFit(t *testing.T) {
	usual := Limits{BindingRange: 128 << 20, BindingAlign: 256, Groups: [3]uint32{65535, 65535, 65535}, Invocations: 256, WorkgroupSize: [3]uint32{256, 256, 64}}
	tiny := usual
	small(&tiny)
	for _, l := range []Limits{usual, tiny} {
		for _, d := range backend.DTypes(backend.Caches) {
			for _, size := range []int{6, 60} {
				for _, shared := range []int{1, 32} {
					for _, groups := range []int{4} {
						for _, probs := range []bool{false, true} {
							b := &Backend{limits: l}
							tr := &trials{b: b, slab: &buffer{b: b}}
							p := pipelineSpec{variant: shaders.Find("attention", "")}
							tr.begin(p)
							like := &backend.Attention{K: backend.Of(nil, d, 0, 1, 9, groups*size), V: backend.Of(nil, d, 0, 1, 9, groups*size)}
							if probs {
								like.Probs = backend.Of(nil, backend.F32, 0, 1, shared*groups, 1, 9)
							}
							what := fmt.Sprintf("%d bytes a binding, %v, %d groups of %d heads of %d, probabilities %v", l.BindingRange, d, groups, shared, size, probs)
							spec := shaders.AttentionSpec{Lanes: uint32(attentionLanes(&l, 1)), Queries: 1, Chunk: attentionScores, Size: uint32(size), Probs: probs, AtOnce: 4}
							var contexts []int
							tryAttention(tr, like, shared, spec, attentionWay{}, func(_ *encoder, op *backend.Attention, _ shaders.AttentionSpec, _ shaders.AttentionPush, _ [3]uint32, _ backend.Tensor) error {
								for _, x := range []backend.Tensor{op.Dst, op.Q, op.K, op.V, op.Probs} {
									if !fit(&l, x) {
										t.Errorf("%s: %v does not fit", what, x)
									}
								}
								contexts = append(contexts, op.K.Dim(2))
								return nil
							})
							for _, one := range tr.list {
								if err := one.encode(&encoder{b: b}); err != nil {
									t.Errorf("%s: %v", what, err)
								}
							}
							if want := []int{attentionScores + 4, attentionScores}; l.BindingRange == usual.BindingRange && !slices.Equal(contexts, want) || len(contexts) != 2 {
								t.Errorf("%s: over %d keys, expected %d", what, contexts, want)
							}
						}
					}
				}
			}
		}
	}
}
