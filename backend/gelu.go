package backend

// GELU is the Gaussian error linear unit in its tanh form, which GPT-2 calls
// gelu_new (Hendrycks and Gimpel 2016, arXiv:1606.08415):
//
//	dst = ½ · x · (1 + tanh(√(2/π) · (x + 0.044715 · x³)))
//
// +∞ stays what it is; −∞ becomes NaN, as ∞ · 0 does.
type GELU struct {
	Dst Tensor // [..., n] f32
	X   Tensor // [..., n] f32
}

func (*GELU) Name() string { return "gelu" }

func (o *GELU) Operands(yield func(string, *Tensor, Access)) {
	yield("dst", &o.Dst, Write)
	yield("x", &o.X, Read)
}

func (o *GELU) Check() error {
	return first(
		wantDType("dst", o.Dst, F32),
		wantDType("x", o.X, F32),
		wantShape("dst", o.Dst, o.X.Shape[:]...),
		wantRows("dst", o.Dst),
		wantRows("x", o.X),
	)
}
