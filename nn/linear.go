package nn

import (
	"fmt"
	"slices"

	"caldera/backend"
)

// Linear is a matrix and an optional bias: x · wᵀ + bias. What an adapter says of x is added.
type Linear struct {
	W       Tensor  // [out, in]
	Bias    Tensor  // [out], or absent
	Adapter Adapter // or none
}

// Rows is the part of l that gives the outputs from one to another.
func (l Linear) Rows(from, to int) Linear {
	l.W = l.W.Slice(-2, from, to)
	if !l.Bias.Absent() {
		l.Bias = l.Bias.Slice(-1, from, to)
	}
	if l.Adapter.Present() {
		l.Adapter.B = l.Adapter.B.Slice(-2, from, to)
	}
	return l
}

// Linear maps each vector of x from in to out numbers.
func (t *Tape) Linear(l Linear, x Tensor) Tensor {
	return t.linears(x, t.beside(x, []Linear{l}), []Linear{l})[0]
}

// Linears maps each vector of x by each of the matrices. The results lie side by side, in
// order, as slices of one tensor: where the matrices lie one below the other in memory, they
// are multiplied as one.
func (t *Tape) Linears(x Tensor, ls ...Linear) []Tensor {
	return t.linears(x, t.beside(x, ls), ls)
}

// beside is a tensor for the results of several matrices, in slices.
func (t *Tape) beside(x Tensor, ls []Linear) []Tensor {
	width := 0
	for _, l := range ls {
		width += l.W.Dim(-2)
	}
	all := t.tensor(backend.F32, x.Dim(0), x.Dim(1), x.Dim(2), width)
	dst, from := make([]Tensor, len(ls)), 0
	for i, l := range ls {
		dst[i] = all.Slice(-1, from, from+l.W.Dim(-2))
		from += l.W.Dim(-2)
	}
	return dst
}

// linears computes dst, a result of each matrix.
func (t *Tape) linears(x Tensor, dst []Tensor, ls []Linear) []Tensor {
	if slices.ContainsFunc(ls, func(l Linear) bool { return l.Adapter.Present() }) {
		return t.adapted(x, dst, ls)
	}
	var rounded Tensor // one for all
	for i, l := range ls {
		w, x := t.round(l.W, x)
		op := &backend.Linear{Dst: dst[i], X: x, W: w, Bias: l.Bias}
		if t.rounds(w, x) {
			if rounded.Absent() {
				rounded = t.like(x)
			}
			op.Rounded = rounded
		}
		t.add(op)
	}
	return dst
}

// rounds reports whether a product with w rounds x: whatever the number of rows, so that what a token
// gets does not depend on which others are in its step.
func (t *Tape) rounds(w, x Tensor) bool {
	return t.params == nil && t.activations == backend.F16 && w.DType != backend.F32 && x.DType == backend.F32
}

// rounded is scratch memory for x in the precision of f16, where a product with w rounds it.
func (t *Tape) rounded(w, x Tensor) Tensor {
	if !t.rounds(w, x) {
		return Tensor{}
	}
	return t.like(x)
}

// round is w and x as a product reads them: both in f16, where w is a parameter
// for which that was asked, or is f16 and stays as it is while others train in mixed
// precision; or x in blocks, where w is quantised and the tape was told so.
func (t *Tape) round(w, x Tensor) (_, _ Tensor) {
	rounded := t.params.rounded(w)
	if t.params != nil && !t.training.LossScale.Absent() && w.DType == backend.F16 {
		rounded = w
	}
	switch {
	case rounded.Absent() && t.params == nil && t.activations.Quantized() && w.DType.Quantized():
		return w, t.inBlocks(x)
	case rounded.Absent():
		return w, x
	}
	half := t.tensor(backend.F16, x.Shape[:]...)
	t.add(&backend.Copy{Dst: half, X: x})
	return rounded, half
}

// inBlocks is x in blocks of activations.
func (t *Tape) inBlocks(x Tensor) Tensor {
	dst, ok := t.quantized[x]
	if !ok {
		dst = t.tensor(t.activations, x.Shape[:]...)
		t.add(&backend.Copy{Dst: dst, X: x})
		if t.quantized == nil {
			t.quantized = map[Tensor]Tensor{}
		}
		t.quantized[x] = dst
	}
	return dst
}

func init() {
	rule(func(b *backward, o *backend.Linear, dy Tensor) error {
		return b.linearBackward(o, b.dst(o.X), dy, b.sum(o.W), b.sum(o.Bias))
	})
}

// linearBackward sets the gradient dx of o.X, and adds to those of the matrix
// and the bias if they are wanted. Where the product read f16, so do these.
func (t *Tape) linearBackward(o *backend.Linear, dx, dy, dw, dbias Tensor) error {
	if o.X.DType == backend.F16 {
		half := t.padded(backend.F16, dy.Shape)
		t.add(&backend.Copy{Dst: half, X: dy})
		dy = half
	}
	switch {
	case !dw.Absent():
		t.add(&backend.LinearBackward{DW: dw, DBias: dbias, DY: dy, X: o.X})
	case !dbias.Absent():
		return fmt.Errorf("the bias is a parameter, but the matrix is not: there is no gradient of a bias alone")
	}
	w := o.W
	if w.DType.Quantized() { // whose blocks run along the inputs: there is no transpose
		w = t.tensor(backend.F32, w.Shape[:]...)
		t.add(&backend.Copy{Dst: w, X: o.W})
	}
	t.add(&backend.Linear{Dst: dx, X: dy, W: w.Transpose()})
	return nil
}
