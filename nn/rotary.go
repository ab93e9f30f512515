package nn

import "caldera/backend"

// Rotation is how positions turn the heads of queries and keys.
type Rotation struct {
	Angles  Tensor // [context, 2·pairs]: of each position the cosines, then the sines
	Pairing backend.Pairing
}

// Rotary turns each head of x, [batch, time, heads·size], by the angles of its
// position.
func (t *Tape) Rotary(r Rotation, heads int, x Tensor, at Places) Tensor {
	dst := t.like(x)
	t.add(&backend.Rotary{Dst: dst, X: x, Angles: r.Angles, At: at.At, Heads: heads, Pairing: r.Pairing})
	return dst
}

func init() {
	rule(func(b *backward, o *backend.Rotary, dy Tensor) error {
		b.add(&backend.Rotary{
			Dst: b.dst(o.X), X: dy, Angles: o.Angles, At: o.At, Heads: o.Heads, Pairing: o.Pairing, Inverse: !o.Inverse,
		})
		return nil
	})
}
