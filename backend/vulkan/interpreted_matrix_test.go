//go:build cgo

package vulkan

import (
	"fmt"
	"slices"
	"testing"

	"caldera/backend"
	"caldera/backend/vulkan/internal/vk"
	"caldera/conformance"
)

// TestInterpretedMatrices has cooperative matrices of each shape that cards have, for subgroups of 32 and 64 lanes.
func TestInterpretedMatrices(t *testing.T) {
	t.Parallel()
	var all []traces
	t.Run("shapes", func(t *testing.T) { all = interpretMatrices(t) })
	t.Run("barriers", func(t *testing.T) { deleteBarriers(t, all, "linear_matrix") })
}

// TestInterpretedMatrixAttention has attention on cooperative matrices of each shape that cards have, on cards with 8, 32 and
// 64 lanes.
func TestInterpretedMatrixAttention(t *testing.T) {
	t.Parallel()
	var all []traces
	t.Run("shapes", func(t *testing.T) { all = interpretMatrixAttention(t) })
	t.Run("barriers", func(t *testing.T) { deleteBarriers(t, all, "attention_matrix") })
}

func interpretMatrixAttention(t *testing.T) (all []traces) {
	for _, c := range []struct {
		shape vk.MatrixShape
		lanes int
	}{
		{vk.MatrixShape{M: 16, N: 16, K: 16}, 32}, {vk.MatrixShape{M: 16, N: 16, K: 16}, 64}, {vk.MatrixShape{M: 8, N: 8, K: 16}, 32},
		{vk.MatrixShape{M: 16, N: 8, K: 16}, 32}, {vk.MatrixShape{M: 8, N: 8, K: 8}, 8},
	} {
		ts := traces{}
		all = append(all, ts)
		t.Run(fmt.Sprintf("%dx%dx%d/%d", c.shape.M, c.shape.N, c.shape.K, c.lanes), func(t *testing.T) {
			t.Parallel()
			runMatrixAttentions(t, played{name: "matrices", lanes: c.lanes, shapes: []vk.MatrixShape{c.shape}}.open(t, ts))
		})
	}
	return all
}

// runMatrixAttentions runs the trials of attention on cooperative matrices.
func runMatrixAttentions(t *testing.T, b *Backend) {
	t.Helper()
	for _, op := range matrixAttentions() {
		spec, ok := shapeMatrixAttention(&b.limits, op)
		if !ok {
			t.Fatalf("%s does not take it", backend.Label(op))
		}
		w := wideAttention{extras: op.Window > 0}
		w.spec(&spec.AttentionWideSpec, op)
		found, err := b.tryAll([]unchecked{{attentionMatrixPipeline(op, spec), func(t *trials) { tryAttentionMatrix(t, op, w, spec) }}})
		if err != nil || found[0] != nil {
			t.Fatal(backend.Label(op), err, found)
		}
	}
}

// matrixAttentions are ops whose trials differ: heads that share keys, tables, windows, and vectors that do not fill matrices.
func matrixAttentions() (list []*backend.Attention) {
	of := func(d backend.DType, dims ...int) backend.Tensor { return backend.Of(nil, d, 0, dims...) }
	for _, c := range []struct {
		size, heads, groups int
		table, extras       bool
	}{{64, 2, 2, false, false}, {24, 4, 1, true, true}} {
		op := &backend.Attention{
			Q: of(backend.F32, 1, 40, c.heads*c.size), K: of(backend.F16, 1, 64, c.groups*c.size), V: of(backend.F16, 1, 64, c.groups*c.size), Heads: c.heads,
		}
		if c.table {
			op.Table = of(backend.I32, 1, 1)
		}
		if c.extras {
			op.Window = 1
		}
		list = append(list, op)
	}
	return list
}

func interpretMatrices(t *testing.T) (all []traces) {
	for _, s := range []vk.MatrixShape{{M: 16, N: 16, K: 16}, {M: 8, N: 8, K: 16}, {M: 16, N: 8, K: 16}} {
		for _, lanes := range []int{32, 64} {
			ts := traces{}
			all = append(all, ts)
			t.Run(fmt.Sprintf("%dx%dx%d/%d", s.M, s.N, s.K, lanes), func(t *testing.T) {
				t.Parallel()
				b := played{name: "matrices", lanes: lanes, shapes: []vk.MatrixShape{s}}.open(t, ts)
				for _, p := range matrixProducts() {
					tried := 0
					for _, c := range waysOfMatrix(&b.limits, &p) {
						tried++
						found, err := b.tryAll([]unchecked{{c.pipeline(&b.limits, &p), func(t *trials) { tryLinear(t, &p, &c) }}})
						if err != nil || found[0] != nil {
							t.Fatal(p.String(), c.String(), err, found)
						}
					}
					if tried != 3 {
						t.Errorf("%v: tiles of %d sizes, expected 3", &p, tried)
					}
				}
				if got := b.taken(); !slices.Equal(got, []string{"linear_matrix"}) {
					t.Errorf("%v were taken", got)
				}
			})
		}
	}
	return all
}

// matrixProducts are products for each variant of linear_matrix.comp, and each way in which
// its operands lie.
func matrixProducts() (list []product) {
	for _, w := range [][2]bool{{false, false}, {true, false}, {true, true}} {
		list = append(list, product{rows: 40, in: 36, out: 40, x: backend.F16, w: backend.F16, transposed: w[0], columns: w[1], aligned: true, accumulate: w[1]})
	}
	for _, d := range append(everyKernel()[1:], blocksOfRuns()...) {
		list = append(list, product{rows: 40, in: max(64, d.BlockLen()), out: 40, x: backend.F32, w: d, rounded: true, aligned: true, residual: true})
	}
	return list
}

// TestInterpretedSubgroups opens cards of every size of subgroups, of which the self-test asks each lane.
func TestInterpretedSubgroups(t *testing.T) {
	t.Parallel()
	for lanes := 1; lanes <= 128; lanes *= 2 {
		t.Run(fmt.Sprint(lanes), func(t *testing.T) {
			t.Parallel()
			c := played{name: "subgroups", lanes: lanes}
			b := c.open(t, nil)
			if err := b.subgroups(t); err != nil {
				t.Fatal(err)
			}
			conformance.TestGroups(t, func(tb testing.TB) backend.Backend { return c.open(tb, nil) }, "sum_squares")
		})
	}
}
