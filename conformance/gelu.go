package conformance

import (
	"math"
	"math/rand/v2"

	"caldera/backend"
)

func init() {
	Register(Kind{
		Op:        &backend.GELU{},
		Oracle:    Oracle(gelu),
		NonFinite: geluNonFinite,
		Cases: func() []Case {
			cases := rowShapes(geluCase)
			for _, s := range []rowShape{
				{dims: []int{3, 33}, what: "wide", scale: 6},
				{dims: []int{2, 21}, what: "large", values: []float64{50, -50, 1e4, -1e4, 1e15, -1e15, 1e30, -1e30, 3e38, -3e38, 9.5, -9.5}},
				{dims: []int{2, 21}, what: "small", values: []float64{0, math.Copysign(0, -1), 1e-40, -1e-40, 1e-37, -1e-37, 1e-20, -1e-20, 1e-8, 1e-4, -1e-4}},
				{dims: []int{2, 21}, what: "where tanh and erf differ most", values: []float64{-2.3, 2.3, -1.9, 1.9, -2.7, 2.7, -0.75, 0.75, -3.5, 3.5}},
			} {
				for _, s.layout = range Layouts {
					cases = append(cases, geluCase(s))
				}
			}
			return cases
		},
		Random: func(r *rand.Rand) Case { return geluCase(randomRows(r)) },
	})
}

func geluCase(s rowShape) Case {
	return s.build("gelu", func() (backend.Op, backend.Tensor) {
		x := s.tensor()
		return &backend.GELU{Dst: s.tensor(), X: x}, x
	})
}

func gelu(m Memory, o *backend.GELU) {
	x := m.Load(o.X)
	dst := NewValues(len(x.v))
	for i, v := range x.v {
		z := math.Sqrt(2/math.Pi) * (v + 0.044715*v*v*v)
		y := 0.5 * v * (1 + math.Tanh(z))
		if z < -10 {
			y = v / (1 + math.Exp(-2*z)) // the same, without cancellation
		}
		e := tiny + 4*ulp*math.Abs(y) + 1.13*x.e[i] // its slope is at most 1.129
		switch {
		case z < -10: // below what float32 can tell 1 + tanh from 0 by
			e += math.Abs(y)
		case z < 10:
			e += 0.5 * math.Abs(v) * tanhError
		}
		dst.set(i, y, e)
	}
	m.Store(o.Dst, dst)
}
