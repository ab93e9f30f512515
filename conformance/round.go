package conformance

import (
	"math"
	"math/rand/v2"

	"caldera/backend"
)

func init() {
	Register(Kind{
		Op: &backend.Round{},
		Oracle: Oracle(func(m Memory, o *backend.Round) {
			x := m.Load(o.X)
			m.Store(o.Dst, roundedF16(x))
		}),
		NonFinite: roundNonFinite,
		Cases: func() []Case {
			cases := rowShapes(roundCase)
			for _, l := range Layouts {
				for _, dims := range [][]int{{3, 21}, {3, 20}} {
					cases = append(cases, roundCase(rowShape{dims: dims, layout: l, what: "on the edge", values: precisionEdges}))
				}
			}
			return cases
		},
		Random: func(r *rand.Rand) Case { return roundCase(randomRows(r)) },
	})
}

// precisionEdges are numbers around ties of significands of 11 bits, and of all sizes.
var precisionEdges = []float64{
	0, math.Copysign(0, -1), 1 + 0x1p-11, 1 + 0x3p-11, -1 - 0x1p-11, 1 + 0x1.0004p-11, 1 + 0x1.fffcp-12, 2 - 0x1p-11, 2 - 0x1.0004p-11,
	65504, 65519, 65520, 65536, -1e5, 3e38, 0x1.ff8p127, 0x1p-14, 0x1.004p-15, 0x1.006p-24, 0x1.002p-25, 1e-20, -1e-30, 0x1.ffep-126,
	0x1.fffp127, 0x1p-136, 0x1.8p-136, -0x1p-137, 0x1.8p-137, 0x1.004p-127,
}

// roundedF16 is x with significands of 11 bits. A number that is not exact may be rounded as any
// other within its bound.
func roundedF16(x Values) Values {
	dst := NewValues(len(x.v))
	for i, v := range x.v {
		to, e := nearestF16(v), x.e[i]
		if e > 0 {
			e = math.Max(math.Abs(nearestF16(v+e)-to), math.Abs(to-nearestF16(v-e)))
		}
		dst.set(i, to, e)
	}
	return dst
}

// nearestF16 is v with a significand of 11 bits. Such a number of float64 is found by
// scaling, not on bits as backends do it.
func nearestF16(v float64) float64 {
	if v == 0 || !finite(v) {
		return v
	}
	_, exponent := math.Frexp(v)
	last := max(exponent-11, -136)
	v = math.Ldexp(math.RoundToEven(math.Ldexp(v, -last)), last)
	if math.Abs(v) > math.MaxFloat32 {
		v = math.Copysign(math.Inf(1), v)
	}
	return v
}

func roundCase(s rowShape) Case {
	return s.build("round", func() (backend.Op, backend.Tensor) {
		x := s.tensor()
		return &backend.Round{Dst: s.tensor(), X: x}, x
	})
}

func roundNonFinite() []Case {
	return poisoned(SameBits, "not finite", rowLayouts, func(l Layout) (*backend.Round, Fill) {
		return &backend.Round{Dst: rowsOf(l), X: rowsOf(l)}, nil
	}, func(o *backend.Round) { putRows(o.X) })
}
