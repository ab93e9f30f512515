package backend

// Softmax turns each vector of scores into a probability distribution:
//
//	dst = exp(x − max(x)) / Σ exp(x − max(x))
//
// An element of −∞ becomes 0. A vector that has NaN or +∞, or no element above −∞,
// has no distribution: the whole vector becomes NaN.
type Softmax struct {
	Dst Tensor // [..., n] f32
	X   Tensor // [..., n] f32
}

func (*Softmax) Name() string { return "softmax" }

func (o *Softmax) Operands(yield func(string, *Tensor, Access)) {
	yield("dst", &o.Dst, Write)
	yield("x", &o.X, Read)
}

func (o *Softmax) Check() error {
	return first(
		wantDType("dst", o.Dst, F32),
		wantDType("x", o.X, F32),
		wantShape("dst", o.Dst, o.X.Shape[:]...),
		wantRows("dst", o.Dst),
		wantRows("x", o.X),
	)
}
