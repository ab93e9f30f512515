package nn

import "caldera/backend"

// RMSNorm divides each vector of x by its root mean square and scales it by
// n.Gamma; n.Beta is absent. x may be [batch, time, heads, size], for a norm of
// each head.
func (t *Tape) RMSNorm(n Norm, x Tensor) Tensor {
	dst := t.tensor(backend.F32, x.Shape[:]...)
	t.add(&backend.RMSNorm{Dst: dst, X: x, Gamma: n.Gamma, Epsilon: n.Epsilon})
	return dst
}
