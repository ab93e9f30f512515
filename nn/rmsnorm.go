package nn

import "caldera/backend"

// RMSNorm divides each vector of x by its root mean square and scales it by
// n.Gamma; n.Beta is absent. x may be [batch, time, heads, size], for a norm of
// each head.
func (t *Tape) RMSNorm(n Norm, x Tensor) Tensor {
	dst := t.like(x)
	t.add(&backend.RMSNorm{Dst: dst, X: x, Gamma: n.Gamma, Epsilon: n.Epsilon})
	return dst
}

func init() {
	rule(func(b *backward, o *backend.RMSNorm, dy Tensor) error {
		b.add(&backend.RMSNormBackward{
			DX: b.dst(o.X), DGamma: b.sum(o.Gamma), X: o.X, DY: dy, Gamma: o.Gamma,
			Stats: b.tensor(backend.F32, o.X.Dim(0), o.X.Dim(1), o.X.Dim(2), 1), Epsilon: o.Epsilon,
		})
		return nil
	})
}
