package conformance

import (
	"math/rand/v2"

	"caldera/backend"
)

func init() {
	register(kind{
		op:        &backend.ActivateBackward{},
		training:  true,
		oracle:    oracle(activateBackward),
		nonfinite: activateBackwardNonFinite,
		cases:     func() []Case { return activationCases(activateBackwardCase) },
		random:    func(r *rand.Rand) Case { return activateBackwardCase(randomRows(r), randomActivation(r)) },
	})
}

func activateBackwardCase(s rowShape, f backend.Activation) Case {
	return s.build("activate_backward/"+f.String(), func() (backend.Op, backend.Tensor) {
		x := s.tensor()
		return &backend.ActivateBackward{DX: s.tensor(), X: x, DY: s.tensor(), Func: f}, x
	})
}

func activateBackward(m memory, o *backend.ActivateBackward) {
	x, dy := m.load(o.X), m.load(o.DY)
	dx := newValues(len(x.v))
	for i, v := range x.v {
		dx.put(i, slope(o.Func, v).times(dy.at(i)))
	}
	m.store(o.DX, dx)
}
