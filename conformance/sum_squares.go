package conformance

import (
	"math/rand/v2"

	"caldera/backend"
)

func init() {
	Register(Kind{
		Op:        &backend.SumSquares{},
		Training:  true,
		Oracle:    Oracle(sumSquares),
		NonFinite: sumSquaresNonFinite,
		Cases: func() []Case {
			cases := rowShapes(sumSquaresCase)
			for _, l := range Layouts {
				cases = append(cases,
					sumSquaresCase(rowShape{dims: []int{3, 65}, what: "zeros", values: []float64{0}, layout: l}),
					sumSquaresCase(rowShape{dims: []int{3, 65}, what: "small", values: []float64{1e-15, -2e-15, 3e-15, 1e-16}, layout: l}))
			}
			return cases
		},
		Random: func(r *rand.Rand) Case { return sumSquaresCase(randomRows(r)) },
	})
}

func sumSquaresCase(s rowShape) Case {
	return s.build("sum_squares", func() (backend.Op, backend.Tensor) {
		x := s.tensor()
		dims := append(append([]int{}, s.dims[:len(s.dims)-1]...), 1)
		return &backend.SumSquares{Dst: s.layout.Tensor(backend.F32, dims...), X: x}, x
	})
}

func sumSquares(m Memory, o *backend.SumSquares) {
	n := o.X.Dim(-1)
	x := m.Load(o.X)
	dst := NewValues(o.X.Rows())
	for r := range o.X.Rows() {
		row := x.Row(r, n)
		s, e := dot(row, row)
		dst.set(r, s, e+float64(n)*tiny)
	}
	m.Store(o.Dst, dst)
}
