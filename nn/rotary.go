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

// Heads says how queries, keys and values are made.
type Heads struct {
	Size               int // numbers of a head
	Query, Key, Value  Linear
	QueryNorm, KeyNorm Norm     // of each head of queries and of keys; absent gamma: none
	NormWhole          bool     // the norms are of all heads together
	Rotation           Rotation // how positions turn queries and keys; absent angles: not at all
}

// QKV computes queries, [batch, time, heads·size], and keys and values, [batch, time, kv
// heads·size], of x. They lie side by side, as slices of one tensor; but where there are norms,
// values lie beside what these read, so that all three are one product.
func (t *Tape) QKV(h Heads, x Tensor, at Places) (q, k, v Tensor) {
	ls := []Linear{h.Query, h.Key, h.Value}
	dst := t.beside(x, ls)
	v = dst[2]
	norms, turns := !h.QueryNorm.Gamma.Absent(), !h.Rotation.Angles.Absent()
	y := dst
	if turns && !norms {
		y = append(t.beside(x, ls[:2]), v)
	}
	t.linears(x, y, ls)
	if norms {
		normed := t.beside(x, ls[:2])
		for i, n := range []Norm{h.QueryNorm, h.KeyNorm} {
			to, from := normed[i], y[i]
			if !h.NormWhole {
				to, from = inHeads(to, h.Size), inHeads(from, h.Size)
			}
			t.add(&backend.RMSNorm{Dst: to, X: from, Gamma: n.Gamma, Epsilon: n.Epsilon})
		}
		if y, dst = normed, normed; turns {
			dst = t.beside(x, ls[:2])
		}
	}
	if turns {
		for i, p := range y[:2] {
			t.rotate(dst[i], h.Rotation, p.Dim(-1)/max(h.Size, 1), p, at)
		}
	}
	return dst[0], dst[1], v
}

// inHeads is x, [batch, time, heads·size], as [batch, time, heads, size].
func inHeads(x Tensor, size int) Tensor {
	size = max(size, 1)
	y := x
	y.Shape = [4]int{x.Dim(-3), x.Dim(-2), x.Dim(-1) / size, size}
	y.Strides = [4]int{x.Stride(-3), x.Stride(-2), size, x.Stride(-1)}
	return y
}

func init() {
	rule(func(b *backward, o *backend.Rotary, dy Tensor) error {
		b.add(&backend.Rotary{
			Dst: b.dst(o.X), X: dy, Angles: o.Angles, At: o.At, Heads: o.Heads, Pairing: o.Pairing, Inverse: !o.Inverse,
		})
		return nil
	})
}
