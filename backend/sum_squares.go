package backend

// SumSquares computes the squared Euclidean norm of each vector: dst = Σ x². With
// [GlobalNorm] it gives the norm of all gradients of a model.
type SumSquares struct {
	Dst Tensor // [..., 1] f32
	X   Tensor // [..., n] f32
}

func (*SumSquares) Name() string { return "sum_squares" }

func (o *SumSquares) Operands(yield func(string, *Tensor, Access)) {
	yield("dst", &o.Dst, Write)
	yield("x", &o.X, Read)
}

func (o *SumSquares) Check() error {
	dst := o.X.Shape
	dst[3] = 1
	return first(
		wantDType("dst", o.Dst, F32),
		wantDType("x", o.X, F32),
		wantShape("dst", o.Dst, dst[:]...),
		wantRows("x", o.X),
	)
}
