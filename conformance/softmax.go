package conformance

import (
	"math"
	"math/rand/v2"

	"caldera/backend"
)

func init() {
	Register(Kind{
		Op:        &backend.Softmax{},
		Oracle:    Oracle(softmaxRows),
		NonFinite: softmaxNonFinite,
		Cases: func() []Case {
			inf := math.Inf(-1)
			cases := rowShapes(softmaxCase)
			for _, s := range []rowShape{
				{dims: []int{3, 65}, what: "equal", values: []float64{-7.5}},
				{dims: []int{3, 65}, what: "wide", scale: 30},
				{dims: []int{3, 65}, what: "mean 1e4", mean: 1e4},
				{dims: []int{3, 67}, what: "1e30", values: []float64{1e30, -1e30, 0, 1e30, 3e38, -3e38, 1}},
				{dims: []int{3, 33}, what: "very negative", values: []float64{-1e30, -1e30, -2e30}},
				{dims: []int{3, 67}, what: "minus infinity", values: []float64{inf, 1, inf, 0.5, inf, inf, -2, 1e4}},
				{dims: []int{5, 1}, what: "rows of one", values: []float64{5, -1e30, 3e38, 0}},
			} {
				for _, s.layout = range Layouts {
					cases = append(cases, softmaxCase(s))
				}
			}
			return cases
		},
		Random: func(r *rand.Rand) Case { return softmaxCase(randomRows(r)) },
	})
}

func softmaxCase(s rowShape) Case {
	return s.build("softmax", func() (backend.Op, backend.Tensor) {
		x := s.tensor()
		return &backend.Softmax{Dst: s.tensor(), X: x}, x
	})
}

func softmaxRows(m Memory, o *backend.Softmax) {
	n := o.X.Dim(-1)
	x := m.Load(o.X)
	dst := NewValues(len(x.v))
	for r := range o.X.Rows() {
		p := softmax(x.Row(r, n))
		for i := range n {
			dst.Put(r*n+i, p.At(i))
		}
	}
	m.Store(o.Dst, dst)
}
