package nn

import "caldera/backend"

// Experts are matrices of experts, and optional biases.
type Experts struct {
	W    Tensor // [experts, out, in]
	Bias Tensor // [experts, out], or absent
}

// ExpertLinear maps vectors by the matrices of the experts that ids, [batch, time, chosen], name. x
// is [batch, time, in], or [batch, time, chosen, in]; the result is [batch, time, chosen, out].
func (t *Tape) ExpertLinear(e Experts, x, ids Tensor) Tensor {
	w, x := t.round(e.W, x)
	if batch, time := ids.Dim(-3), ids.Dim(-2); x.Dim(0) != batch || x.Dim(1) != time { // one vector for all of a token
		x.Shape = [4]int{x.Dim(1), x.Dim(2), 1, x.Dim(3)}
		x.Strides = [4]int{x.Stride(1), x.Stride(2), x.Dim(3), x.Stride(3)}
	}
	dst := t.tensor(backend.F32, ids.Dim(-3), ids.Dim(-2), ids.Dim(-1), w.Dim(-2))
	t.add(&backend.ExpertLinear{Dst: dst, X: x, W: w, Bias: e.Bias, IDs: ids})
	return dst
}
