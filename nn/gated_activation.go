package nn

import "caldera/backend"

// Gate is the middle of a gated MLP: f(gate) · (up + Shift), clamped where Limit
// is above 0. Package backend has the formula.
type Gate struct {
	Func  backend.Activation
	Limit float32
	Shift float32
}

// GatedActivation lets gate decide what of up passes, element by element.
func (t *Tape) GatedActivation(g Gate, gate, up Tensor) Tensor {
	dst := t.like(gate)
	t.add(&backend.GatedActivation{Dst: dst, Gate: gate, Up: up, Func: g.Func, Limit: g.Limit, Shift: g.Shift})
	return dst
}

func init() {
	rule(func(b *backward, o *backend.GatedActivation, dy Tensor) error {
		b.add(&backend.GatedActivationBackward{
			DGate: b.dst(o.Gate), DUp: b.dst(o.Up), Gate: o.Gate, Up: o.Up, DY: dy, Func: o.Func, Limit: o.Limit, Shift: o.Shift,
		})
		return nil
	})
}
