package conformance

import (
	"math/rand/v2"

	"caldera/backend"
)

func init() {
	Register(Kind{
		Op:        &backend.ExpertSum{},
		Oracle:    Oracle(expertSum),
		NonFinite: expertSumNonFinite,
		Cases:     expertSumCases,
		Random: func(r *rand.Rand) Case {
			return expertSumCase(rowShape{dims: []int{1 + r.IntN(3), 1 + r.IntN(40), 1 + r.IntN(8), 1 + r.IntN(300)}, layout: RandomLayout(r)})
		},
	})
}

func expertSum(m Memory, o *backend.ExpertSum) {
	chosen, width := o.X.Dim(2), o.X.Dim(3)
	x, weights, dst := m.Load(o.X), m.Load(o.Weights), NewValues(o.Dst.Len())
	for t := range o.Weights.Rows() {
		for i := range width {
			dst.Put(t*width+i, Sum(chosen, func(c int) Number {
				return perhapsZero(weights.At(t*chosen + c)).Times(perhapsZero(x.At((t*chosen+c)*width + i)))
			}))
		}
	}
	m.Store(o.Dst, dst)
}

// expertSumOf makes an op whose x has these four axes.
func expertSumOf(l Layout, dims []int) *backend.ExpertSum {
	return &backend.ExpertSum{Dst: l.Tensor(backend.F32, dims[0], dims[1], dims[3]), X: l.Tensor(backend.F32, dims...), Weights: l.Tensor(backend.F32, dims[:3]...)}
}

func expertSumCase(s rowShape) Case {
	return s.build("expert_sum", func() (backend.Op, backend.Tensor) {
		o := expertSumOf(s.layout, s.dims)
		return o, o.X
	})
}

func expertSumCases() []Case {
	var cases []Case
	for _, l := range Layouts {
		for _, dims := range [][]int{
			{1, 1, 1, 1}, {1, 1, 4, 7}, {1, 1, 4, 64}, {2, 3, 2, 33}, {1, 9, 8, 20}, {3, 1, 3, 257}, {1, 65, 4, 36}, {1, 2, 32, 12}, {1, 1, 4, 2880},
		} {
			cases = append(cases, expertSumCase(rowShape{dims: dims, layout: l}))
		}
		cases = append(cases, expertSumCase(rowShape{dims: []int{1, 3, 3, 11}, layout: l, what: "large and small", values: []float64{0, 1e-40, -1e-37, 1e20, 1e37, -1e37, 1}}))
	}
	return append(cases, expertSumCase(rowShape{dims: []int{1, 20, 4, 1024}, layout: exact, what: "larger than a binding of 256 KiB"}))
}

func expertSumNonFinite() []Case {
	return poisoned(SameBits, "not finite", rowLayouts, func(l Layout) (*backend.ExpertSum, Fill) {
		return expertSumOf(l, []int{1, 7, 3, 36}), nil
	}, func(o *backend.ExpertSum) {
		Put(o.X, 0, 0, nan)
		Put(o.X, 4, -1, inf)
		Put(o.X, 5, -1, -inf)
		Put(o.Weights, 3, 1, nan)
		Put(o.Weights, 5, 0, inf)
		Put(o.Weights, 6, 2, negativeNaN)
	})
}
