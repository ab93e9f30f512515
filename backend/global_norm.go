package backend

import "fmt"

// GlobalNorm computes the Euclidean norm of all gradients together, and the factor
// by which they are multiplied to clip it to Max (Pascanu et al. 2013,
// arXiv:1211.5063, algorithm 1). x holds sums of squares, as [SumSquares] gives them:
//
//	dst[0] = √Σ x
//	dst[1] = min(1, Max / (dst[0] + 10⁻⁶))
//
// The 10⁻⁶ is from PyTorch's clip_grad_norm_. If the norm is NaN, the factor is NaN.
// If the norm is infinite, the factor is 0, or 1 if Max is infinite too.
type GlobalNorm struct {
	Dst Tensor  // [2] f32
	X   Tensor  // [n] f32, none below 0
	Max float32 // > 0; +Inf never clips
}

func (*GlobalNorm) Name() string { return "global_norm" }

func (o *GlobalNorm) Operands(yield func(string, *Tensor, Access)) {
	yield("dst", &o.Dst, Write)
	yield("x", &o.X, Read)
}

func (o *GlobalNorm) Check() error {
	if !(o.Max > 0) {
		return fmt.Errorf("the largest norm is %v, expected a number above 0", o.Max)
	}
	return first(
		wantDType("dst", o.Dst, F32),
		wantDType("x", o.X, F32),
		wantShape("dst", o.Dst, 2),
		wantShape("x", o.X, o.X.Dim(-1)),
		wantRows("dst", o.Dst),
		wantRows("x", o.X),
	)
}
