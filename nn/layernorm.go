package nn

import "caldera/backend"

// Norm is a normalisation with a learned scale, and a shift where it is no RMS.
type Norm struct {
	Gamma, Beta Tensor // [width]
	Epsilon     float32
	RMS         bool // by the root mean square, without a mean and Beta
}

// Norm normalises each vector of x by LayerNorm or RMSNorm, as n says.
func (t *Tape) Norm(n Norm, x Tensor) Tensor {
	if n.RMS {
		return t.RMSNorm(n, x)
	}
	return t.LayerNorm(n, x)
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
