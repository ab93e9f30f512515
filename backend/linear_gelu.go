package backend

// LinearGELU is GELU(Linear): the activation is applied while the sums are
// still at hand.
type LinearGELU struct {
	Dst  Tensor // [..., out] f32
	X    Tensor // [..., in] f32, f16 where w is, or q8_a where w is quantised
	W    Tensor // [out, in] of a dtype of weights
	Bias Tensor // [out] f32; may be absent
	Sum  Tensor // [..., out] f32, scratch: what Linear gives
}

func (*LinearGELU) Name() string { return "linear_gelu" }

func (o *LinearGELU) linear() *Linear { return &Linear{o.Sum, o.X, o.W, o.Bias} }

func (o *LinearGELU) Operands(yield func(string, *Tensor, Access)) {
	yield("dst", &o.Dst, Write)
	yield("x", &o.X, Read)
	yield("w", &o.W, Read)
	if !o.Bias.Absent() {
		yield("bias", &o.Bias, Read)
	}
	yield("sum", &o.Sum, Scratch)
}

func (o *LinearGELU) Check() error {
	return first(
		wantDType("sum", o.Sum, F32),
		wantShape("sum", o.Sum, o.Dst.Shape[:]...),
		wantRows("sum", o.Sum),
		(&Linear{o.Dst, o.X, o.W, o.Bias}).Check(),
	)
}

func (o *LinearGELU) Lower() []Op {
	return []Op{o.linear(), &GELU{o.Dst, o.Sum}}
}
