package backend

import (
	"fmt"
	"slices"
)

// Linear multiplies each vector of x by a matrix and adds a bias. A norm of x may come
// before, the prologue; an activation and a residual, or a rotation, may follow, while the
// sums are at hand, and a part of the result may be stored in a cache besides, the epilogue:
//
//	dst = residual + activation(norm(x) · wᵀ + bias)
//	dst = rotated(norm(x) · wᵀ + bias), or the first outputs rotated and the others not
//	dst = f(gate) · (up + shift), where norm(x) · wᵀ + bias is gate, and up behind it
//
// A backend may lack the prologue and the epilogue: then the op is lowered.
//
// The matrix may lie in memory in either orientation: row by row as [out, in],
// or as the Transpose of a tensor that is stored as [in, out]. A quantised one
// has its blocks along the inputs, so it lies row by row.
//
// Products of two f16 numbers are exact in f32, in which they are added up. So
// mixed precision multiplies, and so do the matrix units of GPUs.
//
// With Rounded in f32, x enters the product with the precision of f16, as [Round] gives it, whatever
// the device. Matrix units hold it as f16, times a power of two for each row, or part of a row.
// So they may give a number that is less than 2⁻¹² times the largest magnitude of its row
// fewer bits: it may be off by 2⁻²² times that magnitude. The same goes for rows of w of bf16. And
// beside an infinity in its row, a number that f16 cannot hold may count as infinite.
//
// With Rounded in blocks of activations, x is converted to these, as [Copy] does: see [Q8_A].
type Linear struct {
	Dst  Tensor // [..., out] f32; [..., out/2] with a gate
	X    Tensor // [..., in] f32, f16 where w is, or q8_a where w is quantised
	W    Tensor // [out, in] of a dtype of weights
	Bias Tensor // [out] f32; may be absent

	Norm    LinearNorm // of x, which is f32 then
	Rounded Tensor     // [..., in] f32, or q8_a where w is quantised, scratch for Lower; present where x, behind the norm, is rounded. x is f32 then, and w is not

	Activation Activation
	Residual   Tensor         // [..., out] f32; may be absent
	Rotation   LinearRotation // of x that is [batch, time, in]
	Gate       LinearGate     // of outputs by others
	Sum        Tensor         // scratch for Lower, f32; present where any of these four is: [..., out], or [..., n] where the first n outputs are rotated
	Store      LinearStore    // of x that is [batch, time, in]
}

func (*Linear) Name() string { return "linear" }

func (o *Linear) Label() string {
	name := o.Norm.label()
	switch {
	case o.InBlocks():
		name += "copy+"
	case !o.Rounded.Absent():
		name += "round+"
	}
	name += "linear"
	if o.Activation != NoActivation {
		name += "+" + o.Activation.String()
	}
	if !o.Residual.Absent() {
		name += "+residual"
	}
	if o.Rotation.present() {
		name += "+rotary"
	}
	if o.Gate.On {
		name += "+gated_" + o.Gate.Func.String()
	}
	if o.Store.present() {
		name += "+store"
	}
	return name
}

// HasEpilogue reports whether an activation, a residual, a rotation or a gate follows the product.
func (o *Linear) HasEpilogue() bool {
	return o.Activation != NoActivation || !o.Residual.Absent() || o.Rotation.present() || o.Gate.On
}

// Joined reports whether the product is joined with a norm or a conversion of x to blocks before
// it, or with a rotation, a gate or a store behind it.
func (o *Linear) Joined() bool {
	return o.Norm.present() || o.InBlocks() || o.Rotation.present() || o.Gate.On || o.Store.present()
}

// InBlocks reports whether the product converts x to blocks of activations.
func (o *Linear) InBlocks() bool { return o.Rounded.DType.Quantized() }

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
	o.Norm.operands(yield)
	if !o.Rounded.Absent() {
		yield("rounded", &o.Rounded, Scratch)
	}
	o.Rotation.operands(yield)
	o.Store.operands(yield)
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
	if o.Gate.On {
		dst[3] = out / 2
	}
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
	if err == nil {
		err = o.Norm.check(o.X)
	}
	if err == nil && !o.Rounded.Absent() {
		err = o.checkRounded()
	}
	return first(err, o.checkEpilogue())
}

func (o *Linear) checkRounded() error {
	if o.W.DType == F32 {
		return fmt.Errorf("x is rounded beside w of f32, expected w of another dtype")
	}
	if o.InBlocks() {
		if o.X.DType != F32 {
			return fmt.Errorf("x is %v and rounded is %v, expected x of f32", o.X.DType, o.Rounded.DType)
		}
		if !slices.Contains(factors(o.W.DType), o.Rounded.DType) {
			return fmt.Errorf("rounded is %v beside w of %v, expected one of %v", o.Rounded.DType, o.W.DType, factors(o.W.DType))
		}
	}
	if err := o.round().Check(); err != nil { // in which rounded is dst
		return fmt.Errorf("rounded: %w", err)
	}
	return nil
}

// round is the rounding of x as an op of its own.
func (o *Linear) round() Op {
	if o.InBlocks() {
		return &Copy{Dst: o.Rounded, X: o.X}
	}
	return &Round{Dst: o.Rounded, X: o.X}
}

func (o *Linear) checkEpilogue() error {
	if err := wantActivation("activation", o.Activation, true); err != nil {
		return err
	}
	if err := o.checkGate(); err != nil {
		return err
	}
	if !o.HasEpilogue() {
		if !o.Sum.Absent() {
			return fmt.Errorf("sum is %v, expected none: there is no activation, no residual, no rotation and no gate", o.Sum)
		}
		return o.checkPlaces()
	}
	sum := o.Dst.Shape
	switch {
	case o.Gate.On:
		sum[3] = o.W.Dim(-2)
	case o.Rotation.present() && o.Sum.Dim(-1) < sum[3]:
		sum[3] = o.Sum.Dim(-1)
	}
	err := first(
		wantDType("sum", o.Sum, F32),
		wantShape("sum", o.Sum, sum[:]...),
		wantRows("sum", o.Sum),
	)
	if err == nil && !o.Residual.Absent() {
		err = first(
			wantDType("residual", o.Residual, F32),
			wantShape("residual", o.Residual, o.Dst.Shape[:]...),
			wantRows("residual", o.Residual),
		)
	}
	if err != nil {
		return err
	}
	return o.checkPlaces()
}

// Lower takes off the norm, or else the store, or else the rounding of x, or else what else
// follows the product. Where some outputs are rotated and others not, it parts them. A product
// alone has no simpler form.
func (o *Linear) Lower() []Op {
	rest := *o
	switch {
	case o.Norm.present():
		rest.X, rest.Norm = o.Norm.Normed, LinearNorm{}
		return []Op{o.Norm.op(o.X), &rest}
	case o.Store.present():
		rest.Store = LinearStore{}
		return []Op{&rest, o.Store.op(o.Dst)}
	case !o.Rounded.Absent():
		rest.X, rest.Rounded = o.Rounded, Tensor{}
		return []Op{o.round(), &rest}
	case o.Rotation.present() && o.Sum.Dim(-1) < o.Dst.Dim(-1):
		return o.parted(o.Sum.Dim(-1))
	}
	product := &Linear{Dst: o.Sum, X: o.X, W: o.W, Bias: o.Bias}
	switch {
	case !o.HasEpilogue():
		return nil
	case o.Rotation.present():
		return []Op{product, o.Rotation.op(o.Dst, o.Sum)}
	case o.Gate.On:
		return []Op{product, o.Gate.op(o.Dst, o.Sum)}
	case o.Residual.Absent():
		return []Op{product, &Activate{Dst: o.Dst, X: o.Sum, Func: o.Activation}}
	case o.Activation == NoActivation:
		return []Op{product, &Add{Dst: o.Dst, A: o.Residual, B: o.Sum}}
	}
	product.Dst = o.Dst
	return []Op{product, &Activate{Dst: o.Sum, X: o.Dst, Func: o.Activation}, &Add{Dst: o.Dst, A: o.Residual, B: o.Sum}}
}

// parted is the product of the first n outputs, with the rotation, and that of the others.
func (o *Linear) parted(n int) []Op {
	turned, rest := *o, Linear{X: o.X}
	out := o.W.Dim(-2)
	turned.Dst, rest.Dst = o.Dst.Slice(-1, 0, n), o.Dst.Slice(-1, n, out)
	turned.W, rest.W = o.W.Slice(-2, 0, n), o.W.Slice(-2, n, out)
	if !o.Bias.Absent() {
		turned.Bias, rest.Bias = o.Bias.Slice(-1, 0, n), o.Bias.Slice(-1, n, out)
	}
	return []Op{&turned, &rest}
}

// Cost is of one product with the matrix. It counts the rows of angles and of the cache that
// are read or written.
func (o *Linear) Cost() (flops, bytes int64) {
	flops = product(o.X.Rows(), o.W.Dim(-1), o.W.Dim(-2))
	plain := *o
	plain.Rotation.Angles, plain.Store.Cache = Tensor{}, Tensor{} // and nothing else of them
	bytes = moved(&plain, 0)
	if o.Rotation.present() {
		angles := min(o.Rotation.Angles.Len(), o.X.Rows()*o.Rotation.Angles.Dim(-1))
		bytes += int64(F32.Bytes(angles) + o.Rotation.At.Size())
	}
	if o.Store.present() {
		stored := min(o.Store.Cache.Len(), o.X.Rows()*o.Store.Cache.Dim(-1))
		bytes += int64(o.Store.Cache.DType.Bytes(stored) + o.Store.At.Size() + o.Store.Table.Size())
	}
	return flops, bytes
}
