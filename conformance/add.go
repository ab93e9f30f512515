package conformance

import (
	"math"
	"math/rand/v2"

	"caldera/backend"
)

func init() {
	Register(Kind{
		Op:        &backend.Add{},
		Oracle:    Oracle(add),
		NonFinite: addNonFinite,
		Cases: func() []Case {
			cases := rowShapes(addCase)
			for _, l := range Layouts { // operands that lie differently, one of them the same vector for each row
				cases = append(cases, Case{Name: "add/x=5x33,one vector to each row" + l.String(), Build: func() (backend.Op, Fill) {
					b := l.Tensor(backend.F32, 33)
					b.Shape[2], b.Strides[2] = 5, 0
					return &backend.Add{Dst: strided.Tensor(backend.F32, 5, 33), A: l.Tensor(backend.F32, 5, 33), B: b}, nil
				}})
			}
			return cases
		},
		Random: func(r *rand.Rand) Case { return addCase(randomRows(r)) },
	})
}

func addCase(s rowShape) Case {
	return s.build("add", func() (backend.Op, backend.Tensor) {
		a := s.tensor()
		return &backend.Add{Dst: s.tensor(), A: a, B: s.tensor()}, a
	})
}

func add(m Memory, o *backend.Add) {
	a, b := m.Load(o.A), m.Load(o.B)
	dst := NewValues(len(a.v))
	for i := range a.v {
		sum := a.v[i] + b.v[i]
		dst.set(i, sum, a.e[i]+b.e[i]+ulp*math.Abs(sum))
	}
	m.Store(o.Dst, dst)
}
