package backend

// LinearAdd is a Linear whose result is added to a residual stream:
//
//	dst = residual + x · wᵀ + bias
type LinearAdd struct {
	Dst      Tensor // [..., out] f32
	X        Tensor // [..., in] f32, f16 where w is, or q8_a where w is quantised
	W        Tensor // [out, in] of a dtype of weights
	Bias     Tensor // [out] f32; may be absent
	Residual Tensor // [..., out] f32
	Sum      Tensor // [..., out] f32, scratch: what Linear gives
}

func (*LinearAdd) Name() string { return "linear_add" }

func (o *LinearAdd) linear() *Linear { return &Linear{o.Sum, o.X, o.W, o.Bias} }

func (o *LinearAdd) Operands(yield func(string, *Tensor, Access)) {
	yield("dst", &o.Dst, Write)
	yield("x", &o.X, Read)
	yield("w", &o.W, Read)
	if !o.Bias.Absent() {
		yield("bias", &o.Bias, Read)
	}
	yield("residual", &o.Residual, Read)
	yield("sum", &o.Sum, Scratch)
}

func (o *LinearAdd) Check() error {
	return first(
		wantDType("residual", o.Residual, F32),
		wantDType("sum", o.Sum, F32),
		wantShape("residual", o.Residual, o.Dst.Shape[:]...),
		wantShape("sum", o.Sum, o.Dst.Shape[:]...),
		wantRows("residual", o.Residual),
		wantRows("sum", o.Sum),
		(&Linear{o.Dst, o.X, o.W, o.Bias}).Check(),
	)
}

func (o *LinearAdd) Lower() []Op {
	return []Op{o.linear(), &Add{o.Dst, o.Residual, o.Sum}}
}
