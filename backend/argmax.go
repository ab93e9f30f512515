package backend

// Argmax gives the index of the largest element of each vector. If several are
// equal it gives the lowest index. NaN is never the largest. A vector without an
// element above −∞ gives 0.
type Argmax struct {
	Dst Tensor // [..., 1] i32
	X   Tensor // [..., n] f32
}

func (*Argmax) Name() string { return "argmax" }

func (o *Argmax) Operands(yield func(string, *Tensor, Access)) {
	yield("dst", &o.Dst, Write)
	yield("x", &o.X, Read)
}

func (o *Argmax) Check() error {
	dst := o.X.Shape
	dst[3] = 1
	return first(
		wantDType("dst", o.Dst, I32),
		wantDType("x", o.X, F32),
		wantShape("dst", o.Dst, dst[:]...),
		wantRows("x", o.X),
	)
}
