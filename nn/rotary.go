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
	return t.rotate(t.like(x), r, heads, x, at)
}

func (t *Tape) rotate(dst Tensor, r Rotation, heads int, x Tensor, at Places) Tensor {
	t.add(&backend.Rotary{Dst: dst, X: x, Angles: r.Angles, At: at.At, Heads: heads, Pairing: r.Pairing})
	return dst
}

// QKV computes queries, [batch, time, heads·size], and keys and values, [batch, time, kv
// heads·size], of x. The heads of the first two, of so many numbers, are turned. All three
// lie side by side, as slices of one tensor.
func (t *Tape) QKV(r Rotation, size int, query, key, value Linear, x Tensor, at Places) (q, k, v Tensor) {
	ls := []Linear{query, key, value}
	products, dst := t.beside(x, ls[:2]), t.beside(x, ls)
	t.linears(x, append(products, dst[2]), ls)
	for i, p := range products {
		t.rotate(dst[i], r, p.Dim(-1)/max(size, 1), p, at)
	}
	return dst[0], dst[1], dst[2]
}

func init() {
	rule(func(b *backward, o *backend.Rotary, dy Tensor) error {
		b.add(&backend.Rotary{
			Dst: b.dst(o.X), X: dy, Angles: o.Angles, At: o.At, Heads: o.Heads, Pairing: o.Pairing, Inverse: !o.Inverse,
		})
		return nil
	})
}
