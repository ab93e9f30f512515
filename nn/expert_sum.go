package nn

import "caldera/backend"

// ExpertSum adds up what experts give for a token, x, [batch, time, chosen, width], each times its
// weight, [batch, time, chosen].
func (t *Tape) ExpertSum(x, weights Tensor) Tensor {
	dst := t.tensor(backend.F32, x.Dim(0), x.Dim(1), x.Dim(3))
	t.add(&backend.ExpertSum{Dst: dst, X: x, Weights: weights})
	return dst
}
