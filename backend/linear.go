package backend

import (
	"fmt"
	"slices"
)

// Linear multiplies each vector of x by a matrix and adds a bias. An activation
// and a residual may follow, while the sums are at hand:
//
//	dst = residual + activation(x · wᵀ + bias)
//
// A backend may lack what follows, the epilogue: then the op is lowered.
//
// The matrix may lie in memory in either orientation: row by row as [out, in],
// or as the Transpose of a tensor that is stored as [in, out]. A quantised one
// has its blocks along the inputs, so it lies row by row.
//
// Products of two f16 numbers are exact in f32, in which they are added up. So
// mixed precision multiplies, and so do the matrix units of GPUs.
type Linear struct {
	Dst  Tensor // [..., out] f32
	X    Tensor // [..., in] f32, f16 where w is, or q8_a where w is quantised
	W    Tensor // [out, in] of a dtype of weights
	Bias Tensor // [out] f32; may be absent

	Activation Activation
	Residual   Tensor // [..., out] f32; may be absent
	Sum        Tensor // [..., out] f32, scratch for Lower; present where there is an activation or a residual
}

func (*Linear) Name() string { return "linear" }

func (o *Linear) Label() string {
	name := "linear"
	if o.Activation != NoActivation {
		name += "+" + o.Activation.String()
	}
	if !o.Residual.Absent() {
		name += "+residual"
	}
	return name
}

// HasEpilogue reports whether an activation or a residual follows the product.
func (o *Linear) HasEpilogue() bool { return o.Activation != NoActivation || !o.Residual.Absent() }

func (o *Linear) Operands(yield func(string, *Tensor, Access)) {
	yield("dst", &o.Dst, Write)
	yield("x", &o.X, Read)
	yield("w", &o.W, Read)
	if !o.Bias.Absent() {
		yield("bias", &o.Bias, Read)
	}
	if !o.Residual.Absent() {
		yield("residual", &o.Residual, Read)
	}
	if !o.Sum.Absent() {
		yield("sum", &o.Sum, Scratch)
	}
}

// factors are the dtypes of what is multiplied with weights of dtype w.
func factors(w DType) []DType {
	return slices.DeleteFunc(DTypes(Activations), func(d DType) bool {
		return d != F32 && d != w && !(d.Quantized() && w.Quantized())
	})
}

func (o *Linear) Check() error {
	out, in := o.W.Dim(-2), o.W.Dim(-1)
	dst := o.X.Shape
	dst[3] = out
	err := first(
		wantDType("dst", o.Dst, F32),
		wantDType("w", o.W, DTypes(Weights)...),
		wantDType("x", o.X, factors(o.W.DType)...),
		wantShape("w", o.W, out, in),
		wantShape("x", o.X, o.X.Dim(0), o.X.Dim(1), o.X.Dim(2), in),
		wantShape("dst", o.Dst, dst[:]...),
		wantRows("dst", o.Dst),
		wantRows("x", o.X),
	)
	if err == nil && wantRows("w", o.W) != nil && wantRows("w", o.W.Transpose()) != nil {
		err = fmt.Errorf("w has strides %v, expected 1 along one of its two axes", o.W.Strides[2:])
	}
	if err == nil && !o.Bias.Absent() {
		err = first(
			wantDType("bias", o.Bias, F32),
			wantShape("bias", o.Bias, out),
			wantRows("bias", o.Bias),
		)
	}
	return first(err, o.checkEpilogue())
}

func (o *Linear) checkEpilogue() error {
	if err := wantActivation("activation", o.Activation, true); err != nil {
		return err
	}
	if !o.HasEpilogue() {
		if !o.Sum.Absent() {
			return fmt.Errorf("sum is %v, expected none: there is no activation and no residual", o.Sum)
		}
		return nil
	}
	err := first(
		wantDType("sum", o.Sum, F32),
		wantShape("sum", o.Sum, o.Dst.Shape[:]...),
		wantRows("sum", o.Sum),
	)
	if err != nil || o.Residual.Absent() {
		return err
	}
	return first(
		wantDType("residual", o.Residual, F32),
		wantShape("residual", o.Residual, o.Dst.Shape[:]...),
		wantRows("residual", o.Residual),
	)
}

// Lower gives the product and what follows it. A product that nothing follows
// has no simpler form.
func (o *Linear) Lower() []Op {
	product := &Linear{Dst: o.Sum, X: o.X, W: o.W, Bias: o.Bias}
	switch {
	case !o.HasEpilogue():
		return nil
	case o.Residual.Absent():
		return []Op{product, &Activate{Dst: o.Dst, X: o.Sum, Func: o.Activation}}
	case o.Activation == NoActivation:
		return []Op{product, &Add{Dst: o.Dst, A: o.Residual, B: o.Sum}}
	}
	product.Dst = o.Dst
	return []Op{product, &Activate{Dst: o.Sum, X: o.Dst, Func: o.Activation}, &Add{Dst: o.Dst, A: o.Residual, B: o.Sum}}
}

// Cost is of one product with the matrix.
func (o *Linear) Cost() (flops, bytes int64) {
	return product(o.X.Rows(), o.W.Dim(-1), o.W.Dim(-2)), moved(o, 0)
}
