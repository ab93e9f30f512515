package backend

import "fmt"

// ExpertLinear multiplies vectors by matrices of experts, each by that of the expert whose id is on
// the device (Shazeer et al. 2017, arXiv:1701.06538), and adds its bias:
//
//	dst[b, t, c] = x[b, t, c] · w[ids[b, t, c]]ᵀ + bias[ids[b, t, c]]
//
// X has a vector for each expert that was chosen, or one for all of a token. Only experts that
// were chosen are read. If an id is no expert's, that row of dst becomes NaN.
//
// The matrices lie row by row, one below the other.
type ExpertLinear struct {
	Dst  Tensor // [batch, time, chosen, out] f32
	X    Tensor // [batch, time, chosen or 1, in] f32, or q8_a where w is quantised
	W    Tensor // [experts, out, in] of a dtype of weights
	Bias Tensor // [experts, out] f32; may be absent
	IDs  Tensor // [batch, time, chosen] i32
}

func (*ExpertLinear) Name() string { return "expert_linear" }

func (o *ExpertLinear) Operands(yield func(string, *Tensor, Access)) {
	yield("dst", &o.Dst, Write)
	yield("x", &o.X, Read)
	yield("w", &o.W, Read)
	if !o.Bias.Absent() {
		yield("bias", &o.Bias, Read)
	}
	yield("ids", &o.IDs, Read)
}

func (o *ExpertLinear) Check() error {
	experts, out, in := o.W.Dim(-3), o.W.Dim(-2), o.W.Dim(-1)
	batch, time, chosen := o.Dst.Dim(0), o.Dst.Dim(1), o.Dst.Dim(2)
	x := []DType{F32}
	if o.W.DType.Quantized() {
		x = append(x, Q8_A)
	}
	err := first(
		wantDType("dst", o.Dst, F32),
		wantDType("x", o.X, x...),
		wantDType("w", o.W, DTypes(Weights)...),
		wantDType("ids", o.IDs, I32),
		wantShape("w", o.W, experts, out, in),
		wantShape("dst", o.Dst, batch, time, chosen, out),
		wantShape("ids", o.IDs, batch, time, chosen),
		wantRows("dst", o.Dst),
		wantRows("x", o.X),
		wantRows("w", o.W),
		wantRows("ids", o.IDs),
	)
	if n := o.X.Dim(2); err == nil && n != 1 {
		err = wantShape("x", o.X, batch, time, chosen, in)
	} else if err == nil {
		err = wantShape("x", o.X, batch, time, 1, in)
	}
	if err == nil && o.W.Stride(-2) < in && out > 1 {
		err = fmt.Errorf("w has rows of %d that lie %d apart: expected no overlap", in, o.W.Stride(-2))
	}
	if err == nil && !o.Bias.Absent() {
		err = first(
			wantDType("bias", o.Bias, F32),
			wantShape("bias", o.Bias, experts, out),
			wantRows("bias", o.Bias),
		)
	}
	return err
}

// Vectors returns X as a view with a row for each row of Dst.
func (o *ExpertLinear) Vectors() Tensor {
	x := o.X
	if x.Shape[2] == 1 {
		x.Shape[2], x.Strides[2] = o.Dst.Shape[2], 0
	}
	return x
}

// Cost counts the experts that are read if all rows choose others, as far as there are enough.
func (o *ExpertLinear) Cost() (flops, bytes int64) {
	experts, out, in := o.W.Dim(-3), o.W.Dim(-2), o.W.Dim(-1)
	rows := o.Dst.Rows()
	read := min(experts, rows)
	flops = product(rows, in, out)
	bytes = moved(o, read*out, "bias") - int64(o.W.Size()) + int64(o.W.DType.Bytes(read*out*in))
	return flops, bytes
}
