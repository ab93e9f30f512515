package nn

import "caldera/backend"

// GELU applies the Gaussian error linear unit to each element.
func (t *Tape) GELU(x Tensor) Tensor {
	dst := t.like(x)
	t.add(&backend.GELU{Dst: dst, X: x})
	return dst
}

func init() {
	rule(func(b *backward, o *backend.GELU, dy Tensor) error {
		b.add(&backend.GELUBackward{DX: b.dst(o.X), X: o.X, DY: dy})
		return nil
	})
}
