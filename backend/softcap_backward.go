package backend

// SoftCapBackward is the gradient of [SoftCap]:
//
//	dx = dy · (1 − tanh²(x / Cap))
//
// Where x is infinite the slope is 0, but for rounding; where it is NaN, NaN.
type SoftCapBackward struct {
	DX  Tensor  // [..., n] f32
	X   Tensor  // [..., n] f32
	DY  Tensor  // [..., n] f32
	Cap float32 // above 0
}

func (*SoftCapBackward) Name() string { return "softcap_backward" }

func (o *SoftCapBackward) Operands(yield func(string, *Tensor, Access)) {
	yield("dx", &o.DX, Write)
	yield("x", &o.X, Read)
	yield("dy", &o.DY, Read)
}

func (o *SoftCapBackward) Check() error {
	return first(
		checkCap(o.Cap),
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
