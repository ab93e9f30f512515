package nn

import (
	"fmt"

	"caldera/backend"
)

// Linear is a matrix and an optional bias: x · wᵀ + bias.
type Linear struct {
	W    Tensor // [out, in]
	Bias Tensor // [out], or absent
}

// Linear maps each vector of x from in to out numbers.
func (t *Tape) Linear(l Linear, x Tensor) Tensor {
	dst := t.tensor(backend.F32, x.Dim(0), x.Dim(1), x.Dim(2), l.W.Dim(-2))
	w, x := t.round(l.W, x)
	t.add(&backend.Linear{Dst: dst, X: x, W: w, Bias: l.Bias, Rounded: t.rounded(w, x)})
	return dst
}

// manyRows is from how many rows on x is rounded for matrix units. With 64 rows a GPU multiplies in
// f32 about as long as it reads the weights (7900 XTX: 61 TFLOPS, 0.96 TB/s), or three times as
// long (H100: 60 TFLOPS, 3.3 TB/s), so that rounding gains little. And so a step of up to 64
// sequences gives a token the same numbers, but for the order of sums, as one of them alone.
const manyRows = 65

// rounded is scratch memory for x in the precision of f16, where a product with w rounds it.
func (t *Tape) rounded(w, x Tensor) Tensor {
	if t.params != nil || t.activations != backend.F16 || w.DType == backend.F32 || x.DType != backend.F32 || x.Rows() < manyRows {
		return Tensor{}
	}
	return t.like(x)
}

// round is w and x as a product reads them: both in f16, where w is a parameter
// for which that was asked, or x in blocks, where w is quantised and the tape was
// told so.
func (t *Tape) round(w, x Tensor) (_, _ Tensor) {
	rounded := t.params.rounded(w)
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
	t.add(&backend.Linear{Dst: dx, X: dy, W: o.W.Transpose()})
	return nil
}
