package nn

import "caldera/backend"

// Argmax is the index of the largest element of each vector of x.
func (t *Tape) Argmax(x Tensor) Tensor {
	dst := t.tensor(backend.I32, x.Dim(0), x.Dim(1), x.Dim(2), 1)
	t.add(&backend.Argmax{Dst: dst, X: x})
	return dst
}
