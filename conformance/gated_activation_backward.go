package conformance

import (
	"math"
	"math/rand/v2"

	"caldera/backend"
)

func init() {
	register(kind{
		op:        &backend.GatedActivationBackward{},
		training:  true,
		oracle:    oracle(gatedActivationBackward),
		nonfinite: gatedActivationBackwardNonFinite,
		cases:     func() []Case { return gateShapes(gatedActivationBackwardCase) },
		random:    func(r *rand.Rand) Case { return gatedActivationBackwardCase(randomGate(r)) },
	})
}

func gatedActivationBackwardCase(s gateShape) Case {
	return s.named("gated_activation_backward", func() (backend.Op, backend.Tensor) {
		gate, up := s.operands()
		return &backend.GatedActivationBackward{
			DGate: s.tensor(), DUp: s.tensor(), Gate: gate, Up: up, DY: s.tensor(), Func: s.f, Limit: s.limit, Shift: s.shift,
		}, gate
	})
}

func gatedActivationBackward(m memory, o *backend.GatedActivationBackward) {
	gate, up, dy := m.load(o.Gate), m.load(o.Up), m.load(o.DY)
	dgate, dup := newValues(len(gate.v)), newValues(len(gate.v))
	limit := float64(o.Bound())
	for i := range gate.v {
		g, passed := clamped(gate.at(i), limit, true), clamped(up.at(i), limit, false)
		if o.Shift != 0 {
			passed = passed.plus(exactly(float64(o.Shift)))
		}
		if !(gate.v[i] > limit) {
			dgate.put(i, dy.at(i).times(passed).times(slope(o.Func, g)))
		}
		if !(math.Abs(up.v[i]) > limit) {
			dup.put(i, dy.at(i).times(activated(o.Func, g)))
		}
	}
	m.store(o.DGate, dgate)
	m.store(o.DUp, dup)
}
