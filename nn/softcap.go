package nn

import "caldera/backend"

// SoftCap bounds each element of x by cap · tanh(x / cap). With a cap of 0 it returns x.
func (t *Tape) SoftCap(cap float32, x Tensor) Tensor {
	if cap == 0 {
		return x
	}
	dst := t.like(x)
	t.add(&backend.SoftCap{Dst: dst, X: x, Cap: cap})
	return dst
}

func init() {
	rule(func(b *backward, o *backend.SoftCap, dy Tensor) error {
		b.add(&backend.SoftCapBackward{DX: b.dst(o.X), X: o.X, DY: dy, Cap: o.Cap})
		return nil
	})
}
