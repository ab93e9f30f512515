package conformance

import (
	"math"
	"math/rand/v2"

	"caldera/backend"
)

func init() {
	Register(Kind{
		Op:        &backend.Argmax{},
		Oracle:    Oracle(argmax),
		NonFinite: argmaxNonFinite,
		Cases: func() []Case {
			nan, inf := math.NaN(), math.Inf(1)
			cases := rowShapes(argmaxCase)
			for _, s := range []rowShape{
				{dims: []int{3, 65}, what: "equal", values: []float64{-7.5}},
				{dims: []int{9, 257}, what: "ties", values: []float64{1, 3, 2, 3, 0, 3, 3}},
				{dims: []int{3, 1025}, what: "ties far apart", values: append([]float64{0, 5}, make([]float64, 500)...)},
				{dims: []int{5, 33}, what: "NaN", values: []float64{nan, -3, nan, -1, nan, -2, nan}},
				{dims: []int{5, 35}, what: "only NaN", values: []float64{nan}},
				{dims: []int{5, 35}, what: "only minus infinity", values: []float64{-inf}},
				{dims: []int{5, 35}, what: "NaN and minus infinity", values: []float64{nan, -inf, -inf, nan}},
				{dims: []int{5, 35}, what: "infinity", values: []float64{1, inf, nan, -inf, 3e38, inf}},
				{dims: []int{5, 35}, what: "very negative", values: []float64{-inf, -3e38, -2e38, -inf, -3.4e38}},
				{dims: []int{5, 8}, what: "zeros of both signs", values: []float64{math.Copysign(0, -1), 0}},
			} {
				for _, s.layout = range Layouts {
					cases = append(cases, argmaxCase(s))
				}
			}
			return cases
		},
		Random: func(r *rand.Rand) Case { return argmaxCase(randomRows(r)) },
	})
}

func argmaxCase(s rowShape) Case {
	return s.build("argmax", func() (backend.Op, backend.Tensor) {
		x := s.tensor()
		dims := append(append([]int{}, s.dims[:len(s.dims)-1]...), 1)
		return &backend.Argmax{Dst: s.layout.Tensor(backend.I32, dims...), X: x}, x
	})
}

func argmax(m Memory, o *backend.Argmax) {
	n := o.X.Dim(-1)
	x := m.Load(o.X)
	dst := NewValues(o.X.Rows())
	for r := range o.X.Rows() {
		largest := math.Inf(-1)
		for i, v := range x.Row(r, n).v {
			if v > largest {
				largest = v
				dst.v[r] = float64(i)
			}
		}
	}
	m.Store(o.Dst, dst)
}
