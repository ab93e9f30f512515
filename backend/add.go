package backend

// Add is the sum of two tensors, element by element: dst = a + b.
type Add struct {
	Dst Tensor // any shape, f32
	A   Tensor // as dst
	B   Tensor // as dst
}

func (*Add) Name() string { return "add" }

func (o *Add) Operands(yield func(string, *Tensor, Access)) {
	yield("dst", &o.Dst, Write)
	yield("a", &o.A, Read)
	yield("b", &o.B, Read)
}

func (o *Add) Check() error {
	return first(
		wantDType("dst", o.Dst, F32),
		wantDType("a", o.A, F32),
		wantDType("b", o.B, F32),
		wantShape("a", o.A, o.Dst.Shape[:]...),
		wantShape("b", o.B, o.Dst.Shape[:]...),
		wantRows("dst", o.Dst),
		wantRows("a", o.A),
		wantRows("b", o.B),
	)
}
