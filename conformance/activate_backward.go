package conformance

import (
	"math/rand/v2"

	"caldera/backend"
)

func init() {
	Register(Kind{
		Op:        &backend.ActivateBackward{},
		Training:  true,
		Oracle:    Oracle(activateBackward),
		NonFinite: activateBackwardNonFinite,
		Cases:     func() []Case { return activationCases(activateBackwardCase) },
		Random:    func(r *rand.Rand) Case { return activateBackwardCase(randomRows(r), randomActivation(r)) },
	})
}

func activateBackwardCase(s rowShape, f backend.Activation) Case {
	return s.build("activate_backward/"+f.String(), func() (backend.Op, backend.Tensor) {
		x := s.tensor()
		return &backend.ActivateBackward{DX: s.tensor(), X: x, DY: s.tensor(), Func: f}, x
	})
}

func activateBackward(m Memory, o *backend.ActivateBackward) {
	x, dy := m.Load(o.X), m.Load(o.DY)
	dx := NewValues(len(x.v))
	for i := range x.v {
		dx.Put(i, slope(o.Func, x.At(i)).Times(dy.At(i)))
	}
	m.Store(o.DX, dx)
}
