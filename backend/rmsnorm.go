package backend

import "fmt"

// RMSNorm divides each vector of x by its root mean square and multiplies it by gamma
// (Zhang and Sennrich 2019, arXiv:1910.07467):
//
//	dst = x / √(mean(x²) + ε) · gamma
//
// The mean is over the last axis. To normalise each head apart, pass queries [batch,
// time, heads·size] as [batch, time, heads, size].
//
// If an element is NaN, its whole vector becomes NaN. If elements are infinite, they
// become NaN and the other elements of the vector 0. Where the sum of the squares
// exceeds float32, so that elements are beyond 1e18, a backend that adds in float32
// gives 0, as PyTorch does.
type RMSNorm struct {
	Dst     Tensor  // [..., width] f32
	X       Tensor  // [..., width] f32
	Gamma   Tensor  // [width] f32
	Epsilon float32 // > 0
}

func (*RMSNorm) Name() string { return "rmsnorm" }

func (o *RMSNorm) Operands(yield func(string, *Tensor, Access)) {
	yield("dst", &o.Dst, Write)
	yield("x", &o.X, Read)
	yield("gamma", &o.Gamma, Read)
}

func (o *RMSNorm) Check() error {
	if !(o.Epsilon > 0) {
		return fmt.Errorf("epsilon is %v, expected a number above 0", o.Epsilon)
	}
	return first(
		wantDType("dst", o.Dst, F32),
		wantDType("x", o.X, F32),
		wantDType("gamma", o.Gamma, F32),
		wantShape("dst", o.Dst, o.X.Shape[:]...),
		wantShape("gamma", o.Gamma, o.X.Dim(-1)),
		wantRows("dst", o.Dst),
		wantRows("x", o.X),
		wantRows("gamma", o.Gamma),
	)
}
