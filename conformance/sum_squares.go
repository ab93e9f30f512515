package conformance

import (
	"math/rand/v2"

	"caldera/backend"
)

func init() {
	register(kind{
		op:        &backend.SumSquares{},
		training:  true,
		oracle:    oracle(sumSquares),
		nonfinite: sumSquaresNonFinite,
		cases: func() []Case {
			cases := rowShapes(sumSquaresCase)
			for _, l := range layouts {
				cases = append(cases,
					sumSquaresCase(rowShape{dims: []int{3, 65}, what: "zeros", values: []float64{0}, layout: l}),
					sumSquaresCase(rowShape{dims: []int{3, 65}, what: "small", values: []float64{1e-15, -2e-15, 3e-15, 1e-16}, layout: l}))
			}
			return cases
		},
		random: func(r *rand.Rand) Case { return sumSquaresCase(randomRows(r)) },
	})
}

func sumSquaresCase(s rowShape) Case {
	return s.build("sum_squares", func() (backend.Op, backend.Tensor) {
		x := s.tensor()
		dims := append(append([]int{}, s.dims[:len(s.dims)-1]...), 1)
		return &backend.SumSquares{Dst: s.layout.tensor(backend.F32, dims...), X: x}, x
	})
}

func sumSquares(m memory, o *backend.SumSquares) {
	n := o.X.Dim(-1)
	x := m.load(o.X)
	dst := newValues(o.X.Rows())
	for r := range o.X.Rows() {
		row := x.row(r, n)
		s, e := dot(row, row)
		dst.set(r, s, e+float64(n)*tiny)
	}
	m.store(o.Dst, dst)
}
