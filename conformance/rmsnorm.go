package conformance

import (
	"math/rand/v2"

	"caldera/backend"
)

func init() {
	Register(Kind{
		Op:        &backend.RMSNorm{},
		Oracle:    Oracle(rmsNorm),
		NonFinite: rmsNormNonFinite,
		Cases: func() []Case {
			cases := append(rowShapes(rmsNormCase), headNormCase(2, 3, 5, 64), headNormCase(1, 7, 2, 12), headNormCase(2, 2, 3, 33))
			for _, s := range []rowShape{
				{dims: []int{3, 65}, what: "rows of zeros", values: []float64{0}},
				{dims: []int{9, 768}, what: "mean -1e4, deviation 2", mean: -1e4, scale: 2},
				{dims: []int{3, 33}, what: "values around 1e-3", values: []float64{1e-3, -2e-3, 3e-3, 0.5e-3, -1e-3, 1.5e-3, 2e-3}},
				{dims: []int{3, 33}, what: "values around 1e8", values: []float64{1e8, -2e8, 3e8, 0.5e8, -1e8, 1.5e8, 2e8}},
				{dims: []int{2, 1}, what: "rows of one", values: []float64{5, -3}},
			} {
				for _, s.layout = range Layouts {
					cases = append(cases, rmsNormCase(s))
				}
			}
			return cases
		},
		Random: func(r *rand.Rand) Case { return rmsNormCase(randomRows(r)) },
	})
}

func rmsNormCase(s rowShape) Case {
	return s.build("rmsnorm", func() (backend.Op, backend.Tensor) {
		x := s.tensor()
		return &backend.RMSNorm{Dst: s.tensor(), X: x, Gamma: s.layout.Tensor(backend.F32, x.Dim(-1)), Epsilon: 1e-5}, x
	})
}

// headNormCase normalises the queries of a product of queries, keys and Values,
// head by head.
func headNormCase(batch, time, heads, size int) Case {
	s := rowShape{dims: []int{batch, time, heads, size}, what: "heads of wider rows", layout: exact}
	return s.build("rmsnorm", func() (backend.Op, backend.Tensor) {
		x := exact.Tensor(backend.F32, batch, time, 3*heads, size).Slice(-2, 0, heads)
		return &backend.RMSNorm{Dst: s.tensor(), X: x, Gamma: exact.Tensor(backend.F32, size), Epsilon: 1e-6}, x
	})
}

// rootMeanSquare is 1/√(mean(x²) + eps) of a vector.
func rootMeanSquare(row Values, eps float64) Number {
	n := len(row.v)
	mean := Sum(n, func(i int) Number { return row.At(i).Times(row.At(i)) }).Over(Exactly(float64(n)))
	return Exactly(1).Over(mean.Plus(Exactly(eps)).Sqrt())
}

func rmsNorm(m Memory, o *backend.RMSNorm) {
	n := o.X.Dim(-1)
	x, gamma := m.Load(o.X), m.Load(o.Gamma)
	dst := NewValues(len(x.v))
	for r := range o.X.Rows() {
		row, out := x.Row(r, n), dst.Row(r, n)
		scale := rootMeanSquare(row, float64(o.Epsilon))
		for i := range n {
			out.Put(i, row.At(i).Times(scale).Times(gamma.At(i)))
		}
	}
	m.Store(o.Dst, dst)
}
