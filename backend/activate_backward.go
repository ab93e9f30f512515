package backend

// ActivateBackward is the gradient of [Activate]:
//
//	dx = dy · func′(x)
//
// With z such that func(x) = x·σ(z), and s = σ(z):
//
//	GELUTanh     func′(x) = s + x · s · (1 − s) · z′, z′ = 2 · √(2/π) · (1 + 3 · 0.044715 · x²)
//	GELUSigmoid  the same, z′ = 1.702
//	SiLU         the same, z′ = 1
//	GELUErf      func′(x) = ½ · (1 + erf(x/√2)) + x · e^(−x²/2) / √(2π)
//	ReLU         func′(x) = 1 where x > 0, else 0
//
// [Activation] tells the slope where x is not finite.
type ActivateBackward struct {
	DX   Tensor     // [..., n] f32
	X    Tensor     // [..., n] f32
	DY   Tensor     // [..., n] f32
	Func Activation // any but NoActivation
}

func (*ActivateBackward) Name() string { return "activate_backward" }

func (o *ActivateBackward) Label() string { return "activate_backward+" + o.Func.String() }

func (o *ActivateBackward) Operands(yield func(string, *Tensor, Access)) {
	yield("dx", &o.DX, Write)
	yield("x", &o.X, Read)
	yield("dy", &o.DY, Read)
}

func (o *ActivateBackward) Check() error {
	return first(
		wantActivation("func", o.Func, false),
		wantDType("dx", o.DX, F32),
		wantDType("x", o.X, F32),
		wantDType("dy", o.DY, F32),
		wantShape("dx", o.DX, o.X.Shape[:]...),
		wantShape("dy", o.DY, o.X.Shape[:]...),
		wantRows("dx", o.DX),
		wantRows("x", o.X),
		wantRows("dy", o.DY),
	)
}
