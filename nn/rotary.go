package nn

import "caldera/backend"

// Rotation is how positions turn the heads of queries and keys.
type Rotation struct {
	Angles  Tensor // [context, 2·pairs]: of each position the cosines, then the sines
	Pairing backend.Pairing
}

// Rotary turns each head of x, [batch, time, heads·size], by the angles of its
// position: x[b,0] stands at at[b].
func (t *Tape) Rotary(r Rotation, heads int, x, at Tensor) Tensor {
	dst := t.tensor(backend.F32, x.Shape[:]...)
	t.add(&backend.Rotary{Dst: dst, X: x, Angles: r.Angles, At: at, Heads: heads, Pairing: r.Pairing})
	return dst
}
