package conformance

import (
	"math"
	"math/rand/v2"

	"caldera/backend"
)

func init() {
	Register(Kind{
		Op:        &backend.GELUBackward{},
		Training:  true,
		Oracle:    Oracle(geluBackward),
		NonFinite: geluBackwardNonFinite,
		Cases: func() []Case {
			cases := rowShapes(geluBackwardCase)
			for _, s := range []rowShape{
				{dims: []int{3, 33}, what: "wide", scale: 6},
				{dims: []int{2, 21}, what: "large", values: []float64{50, -50, 1e4, -1e4, 1e15, -1e15, 1e30, -1e30, 3e38, -3e38, 9.5, -9.5}},
				{dims: []int{2, 21}, what: "small", values: []float64{0, math.Copysign(0, -1), 1e-40, -1e-40, 1e-37, -1e-37, 1e-20, -1e-20, 1e-8, 1e-4, -1e-4}},
				{dims: []int{2, 21}, what: "where tanh and erf differ most", values: []float64{-2.3, 2.3, -1.9, 1.9, -2.7, 2.7, -0.75, 0.75, -3.5, 3.5}},
			} {
				for _, s.layout = range Layouts {
					cases = append(cases, geluBackwardCase(s))
				}
			}
			return cases
		},
		Random: func(r *rand.Rand) Case { return geluBackwardCase(randomRows(r)) },
	})
}

func geluBackwardCase(s rowShape) Case {
	return s.build("gelu_backward", func() (backend.Op, backend.Tensor) {
		x := s.tensor()
		return &backend.GELUBackward{DX: s.tensor(), X: x, DY: s.tensor()}, x
	})
}

func geluBackward(m Memory, o *backend.GELUBackward) {
	x, dy := m.Load(o.X), m.Load(o.DY)
	dx := NewValues(len(x.v))
	for i, v := range x.v {
		c := math.Sqrt(2 / math.Pi)
		z := 2 * c * (v + 0.044715*v*v*v)
		s, rest := 1/(1+math.Exp(-z)), 1/(1+math.Exp(z)) // rest is 1 − s without cancellation
		steep := 0.0                                     // x · z'
		if s*rest > 0 {
			steep = v * 2 * c * (1 + 3*0.044715*v*v)
		}
		sErr := s*rest*expError(z) + 4*ulp // absolute, as that of 1 − s may be
		if math.Abs(z) > 100 {             // exp is 0 or infinite
			sErr = tiny
		}
		slope := Number{s + steep*s*rest, sErr + math.Abs(steep)*(sErr*(s+rest)+8*ulp*s*rest) + 2*ulp}
		if math.Abs(z) > 40 { // below what float32 can tell 1 − s from 0 by
			slope.Bound = math.Abs(steep*s*rest) + 4*ulp*s + tiny
		}
		dx.Put(i, slope.Times(dy.At(i)))
	}
	m.Store(o.DX, dx)
}
