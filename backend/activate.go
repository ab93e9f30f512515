package backend

// Activate applies an activation function to each element:
//
//	dst = func(x)
type Activate struct {
	Dst  Tensor     // [..., n] f32
	X    Tensor     // [..., n] f32
	Func Activation // any but NoActivation
}

func (*Activate) Name() string { return "activate" }

func (o *Activate) Label() string { return "activate+" + o.Func.String() }

func (o *Activate) Operands(yield func(string, *Tensor, Access)) {
	yield("dst", &o.Dst, Write)
	yield("x", &o.X, Read)
}

func (o *Activate) Check() error {
	return first(
		wantActivation("func", o.Func, false),
		wantDType("dst", o.Dst, F32),
		wantDType("x", o.X, F32),
		wantShape("dst", o.Dst, o.X.Shape[:]...),
		wantRows("dst", o.Dst),
		wantRows("x", o.X),
	)
}
