package nn

import "caldera/backend"

// Softmax turns each vector of x into a probability distribution.
func (t *Tape) Softmax(x Tensor) Tensor {
	dst := t.like(x)
	t.add(&backend.Softmax{Dst: dst, X: x})
	return dst
}
