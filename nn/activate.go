package nn

import "caldera/backend"

// Activate applies f to each element.
func (t *Tape) Activate(f backend.Activation, x Tensor) Tensor {
	dst := t.like(x)
	t.add(&backend.Activate{Dst: dst, X: x, Func: f})
	return dst
}

func init() {
	rule(func(b *backward, o *backend.Activate, dy Tensor) error {
		b.add(&backend.ActivateBackward{DX: b.dst(o.X), X: o.X, DY: dy, Func: o.Func})
		return nil
	})
}
