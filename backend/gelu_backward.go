package backend

// GELUBackward is the gradient of [GELU]. With u = √(2/π) · (x + 0.044715 · x³)
// and s = ½ · (1 + tanh u):
//
//	dx = dy · (s + x · s · (1 − s) · 2 · √(2/π) · (1 + 3 · 0.044715 · x²))
//
// Where x is large or infinite the slope in brackets is its limit: 1 above 0,
// and 0 below.
type GELUBackward struct {
	DX Tensor // [..., n] f32
	X  Tensor // [..., n] f32
	DY Tensor // [..., n] f32
}

func (*GELUBackward) Name() string { return "gelu_backward" }

func (o *GELUBackward) Operands(yield func(string, *Tensor, Access)) {
	yield("dx", &o.DX, Write)
	yield("x", &o.X, Read)
	yield("dy", &o.DY, Read)
}

func (o *GELUBackward) Check() error {
	return first(
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
