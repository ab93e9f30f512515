package nn

import "caldera/backend"

// Add is x + y, element by element.
func (t *Tape) Add(x, y Tensor) Tensor {
	dst := t.like(x)
	t.add(&backend.Add{Dst: dst, A: x, B: y})
	return dst
}

func init() {
	rule(func(b *backward, o *backend.Add, dy Tensor) error {
		b.pass(o.A, dy)
		b.pass(o.B, dy)
		return nil
	})
}
