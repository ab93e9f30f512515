package conformance

// Cases with NaN and infinities of matrix products and of tables.

import (
	"fmt"
	"math/rand/v2"
	"slices"

	"caldera/backend"
)

// poisonLinear puts what is not finite into a product of 68 outputs. What is
// infinite meets no 0: that product would be NaN, which BLAS may leave out.
func poisonLinear(o *backend.Linear) {
	Put(o.X, 0, 0, nan)
	if rows := o.X.Rows(); rows > 4 {
		Put(o.X, rows-1, -1, negativeNaN)
		if !o.W.DType.Quantized() {
			Put(o.X, 2, 7, inf)
			Put(o.X, 3, 9, -inf)
		}
	}
	Put(o.W, 1, 0, nan)
	Put(o.W, 67, -1, negativeNaN)
	if !o.W.DType.Quantized() {
		Put(o.W, 30, 7, -inf)
	}
	if !o.Bias.Absent() {
		Put(o.Bias, 0, 3, nan)
		Put(o.Bias, 0, 40, inf)
	}
}

// linearPoison are the shapes of such products, all or a few.
func linearPoison(few bool) []linearShape {
	shapes := []linearShape{
		{rows: []int{12}, in: 64, out: 68, w: backend.F32, layout: exact},
		{rows: []int{3}, in: 33, out: 68, w: backend.F32, transposed: true, layout: strided},
		{rows: []int{12}, in: 64, out: 68, w: backend.F16, layout: exact},
		{rows: []int{3}, in: 64, out: 68, w: backend.Q8_0, layout: exact},
		{rows: []int{12}, in: 64, out: 68, w: backend.F16, half: true, layout: exact},
	}
	if few {
		return shapes
	}
	for _, w := range []backend.DType{backend.F32, backend.F16} {
		for _, transposed := range []bool{false, true} {
			shapes = append(shapes, linearShape{rows: []int{2}, in: 64, out: 68, w: w, transposed: transposed, layout: exact},
				linearShape{rows: []int{70}, in: 33, out: 68, w: w, transposed: transposed, layout: strided})
		}
	}
	return append(shapes,
		linearShape{rows: []int{40}, in: 64, out: 68, w: backend.F16, rounded: true, layout: exact},
		linearShape{rows: []int{40}, in: 64, out: 68, w: backend.Q8_0, rounded: true, layout: exact},
		linearShape{rows: []int{12}, in: 96, out: 68, w: backend.Q8_0, layout: exact},
		linearShape{rows: []int{2}, in: 96, out: 68, w: backend.Q4_0, layout: exact},
		linearShape{rows: []int{12}, in: 96, out: 68, w: backend.Q8_0, blocks: true, layout: exact},
		linearShape{rows: []int{12}, in: 96, out: 68, w: backend.Q4_0, layout: strided},
		linearShape{rows: []int{12}, in: 64, out: 68, w: backend.F16, half: true, transposed: true, layout: exact},
		linearShape{rows: []int{2, 9}, in: 33, out: 68, w: backend.F16, half: true, layout: strided})
}

func linearNonFinite() []Case {
	var cases []Case
	for _, s := range slices.Concat(activationShapes(), linearPoison(false), withResidual(linearPoison(true)), withActivation(linearPoison(true), backend.GELUTanh)) {
		cases = append(cases, Case{Name: "linear/" + s.String() + ",not finite", Edge: true, Poison: SameBits, Build: func() (backend.Op, Fill) {
			o := s.tensors()
			return o, func(_ *rand.Rand, run int) {
				if run == 0 {
					return
				}
				poisonLinear(o)
				if s.residual {
					Put(o.Residual, 1, 5, nan)
					Put(o.Residual, 1, 6, -inf)
					Put(o.Residual, 1, 40, -inf) // where the bias is ∞
				}
			}
		}})
	}
	return append(cases, joinedNonFinite()...)
}

func linearBackwardNonFinite() []Case {
	var cases []Case
	for _, s := range []linearBackwardShape{
		{rows: []int{20}, in: 36, out: 68, layout: exact},
		{rows: []int{20}, in: 36, out: 68, transposed: true, layout: exact},
		{rows: []int{9}, in: 33, out: 31, layout: strided},
		{rows: []int{2051}, in: 20, out: 36, layout: exact}, // of which a backend may make several sums
		{rows: []int{20}, in: 36, out: 68, half: true, layout: exact},
		{rows: []int{20}, in: 36, out: 68, half: true, transposed: true, layout: exact},
		{rows: []int{9}, in: 33, out: 31, half: true, layout: strided},
	} {
		c := s.linearBackward()
		cases = append(cases, Case{Name: c.Name + ",not finite", Edge: true, Poison: SameBits, Build: func() (backend.Op, Fill) {
			op, _ := c.Build()
			o := op.(*backend.LinearBackward)
			return o, func(_ *rand.Rand, run int) {
				if run == 0 {
					return
				}
				Put(o.X, 0, 0, nan)
				Put(o.X, 5, 7, inf)
				Put(o.DY, o.DY.Rows()-1, -1, negativeNaN)
				Put(o.DY, 6, 9, -inf)
				Put(o.DW, 3, 4, nan)
				Put(o.DW, 9, 5, inf) // −∞ comes to it, or ∞
			}
		}})
	}
	return cases
}

func embeddingNonFinite() []Case {
	var cases []Case
	for _, d := range backend.DTypes(backend.Weights) {
		ls, positions := rowLayouts, d
		if d.Quantized() {
			ls, positions = rowLayouts[:1], backend.F16
		}
		cases = append(cases, poisoned(SameBits, fmt.Sprintf("tokens=%v,not finite", d), ls, func(l Layout) (*backend.Embedding, Fill) {
			n := max(64, d.BlockLen())
			o := &backend.Embedding{Dst: l.Tensor(backend.F32, 2, 5, n), Tokens: l.Tensor(d, 7, n), Positions: l.Tensor(positions, 6, n),
				IDs: l.Ints(2, 5), At: l.places(2, 5)}
			return o, func(*rand.Rand, int) {
				Set(o.IDs, 0, 1, 2, 3, 4, 5, 6, 2)
				standAt(o.At, 5, 0, 1)
			}
		}, func(o *backend.Embedding) {
			Put(o.Tokens, 2, 0, nan)
			Put(o.Tokens, 5, -1, negativeNaN)
			Put(o.Positions, 1, 3, nan)
			Put(o.Positions, 4, 5, inf)
			if !d.Quantized() {
				Put(o.Tokens, 4, 5, -inf)
				Put(o.Tokens, 0, 9, inf)
			}
		})...)
	}
	return cases
}

func embeddingBackwardNonFinite() []Case {
	return poisoned(SameBits, "not finite", rowLayouts, func(l Layout) (*backend.EmbeddingBackward, Fill) {
		o := &backend.EmbeddingBackward{DTokens: l.Tensor(backend.F32, 7, 20), DPositions: l.Tensor(backend.F32, 6, 20),
			DY: l.Tensor(backend.F32, 2, 5, 20), IDs: l.Ints(2, 5), At: l.places(2, 5)}
		return o, func(*rand.Rand, int) {
			Set(o.IDs, 0, 1, 2, 1, 4, 5, -1, 2, 4, 3)
			standAt(o.At, 5, 0, 1)
		}
	}, func(o *backend.EmbeddingBackward) {
		Put(o.DY, 0, 0, nan)
		Put(o.DY, 4, 3, inf) // rows 4 and 8 come together
		Put(o.DY, 8, 3, -inf)
		Put(o.DY, 6, 7, negativeNaN) // of no token
		Put(o.DTokens, 2, -1, nan)
		Put(o.DTokens, 6, 2, inf) // of which nothing is added to
	})
}
