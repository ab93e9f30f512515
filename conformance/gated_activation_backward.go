package conformance

import (
	"math"
	"math/rand/v2"

	"caldera/backend"
)

func init() {
	Register(Kind{
		Op:        &backend.GatedActivationBackward{},
		Training:  true,
		Oracle:    Oracle(gatedActivationBackward),
		NonFinite: gatedActivationBackwardNonFinite,
		Cases:     func() []Case { return gateShapes(gatedActivationBackwardCase) },
		Random:    func(r *rand.Rand) Case { return gatedActivationBackwardCase(randomGate(r)) },
	})
}

func gatedActivationBackwardCase(s gateShape) Case {
	return s.named("gated_activation_backward", func() (backend.Op, backend.Tensor) {
		gate, up := s.operands()
		dgate, dup := s.operands()
		return &backend.GatedActivationBackward{
			DGate: dgate, DUp: dup, Gate: gate, Up: up, DY: s.tensor(), Func: s.f, Limit: s.limit, Shift: s.shift,
		}, gate
	})
}

func gatedActivationBackward(m Memory, o *backend.GatedActivationBackward) {
	gate, up, dy := m.Load(o.Gate), m.Load(o.Up), m.Load(o.DY)
	dgate, dup := NewValues(len(gate.v)), NewValues(len(gate.v))
	limit := float64(o.Bound())
	for i := range gate.v {
		g, passed := clamped(gate.At(i), limit, true), clamped(up.At(i), limit, false)
		if o.Shift != 0 {
			passed = passed.Plus(Exactly(float64(o.Shift)))
		}
		if !(gate.v[i] > limit) {
			dgate.Put(i, dy.At(i).Times(passed).Times(slope(o.Func, g)))
		}
		if !(math.Abs(up.v[i]) > limit) {
			dup.Put(i, dy.At(i).Times(activated(o.Func, g)))
		}
	}
	m.Store(o.DGate, dgate)
	m.Store(o.DUp, dup)
}
