package conformance

import (
	"math"
	"math/rand/v2"

	"caldera/backend"
)

func init() {
	register(kind{
		op:        &backend.Add{},
		oracle:    oracle(add),
		nonfinite: addNonFinite,
		cases: func() []Case {
			cases := rowShapes(addCase)
			for _, l := range layouts { // operands that lie differently, one of them the same vector for each row
				cases = append(cases, Case{Name: "add/x=5x33,one vector to each row" + l.String(), Build: func() (backend.Op, Fill) {
					b := l.tensor(backend.F32, 33)
					b.Shape[2], b.Strides[2] = 5, 0
					return &backend.Add{Dst: strided.tensor(backend.F32, 5, 33), A: l.tensor(backend.F32, 5, 33), B: b}, nil
				}})
			}
			return cases
		},
		random: func(r *rand.Rand) Case { return addCase(randomRows(r)) },
	})
}

func addCase(s rowShape) Case {
	return s.build("add", func() (backend.Op, backend.Tensor) {
		a := s.tensor()
		return &backend.Add{Dst: s.tensor(), A: a, B: s.tensor()}, a
	})
}

func add(m memory, o *backend.Add) {
	a, b := m.load(o.A), m.load(o.B)
	dst := newValues(len(a.v))
	for i := range a.v {
		sum := a.v[i] + b.v[i]
		dst.set(i, sum, a.e[i]+b.e[i]+ulp*math.Abs(sum))
	}
	m.store(o.Dst, dst)
}
