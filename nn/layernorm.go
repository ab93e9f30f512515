package nn

import "caldera/backend"

// Norm is a layer normalisation with a learned scale and shift.
type Norm struct {
	Gamma, Beta Tensor // [width]
	Epsilon     float32
}

// LayerNorm normalises each vector of x.
func (t *Tape) LayerNorm(n Norm, x Tensor) Tensor {
	dst := t.like(x)
	t.add(&backend.LayerNorm{Dst: dst, X: x, Gamma: n.Gamma, Beta: n.Beta, Epsilon: n.Epsilon})
	return dst
}

func init() {
	rule(func(b *backward, o *backend.LayerNorm, dy Tensor) error {
		b.add(&backend.LayerNormBackward{
			DX: b.dst(o.X), DGamma: b.sum(o.Gamma), DBeta: b.sum(o.Beta), X: o.X, DY: dy, Gamma: o.Gamma,
			Stats: b.tensor(backend.F32, o.X.Dim(0), o.X.Dim(1), o.X.Dim(2), 2), Epsilon: o.Epsilon,
		})
		return nil
	})
}
