package backend

import "fmt"

// RMSNormBackward is the gradient of [RMSNorm] (Zhang and Sennrich 2019,
// arXiv:1910.07467). It recomputes s = 1 / √(mean(x²) + ε) and n = x · s. With
// g = dy · gamma:
//
//	dx = s · (g − n · mean(g · n))
//	dgamma += Σ dy · n
//
// Means are over the last axis, sums over all others. If a vector of x has an element
// that is NaN or infinite, or a vector of dy · gamma has NaN, the whole vector of dx
// becomes NaN.
type RMSNormBackward struct {
	DX      Tensor  // [..., width] f32
	DGamma  Tensor  // [width] f32; may be absent
	X       Tensor  // [..., width] f32
	DY      Tensor  // [..., width] f32
	Gamma   Tensor  // [width] f32
	Stats   Tensor  // [..., 1] f32, scratch: s of each vector
	Epsilon float32 // > 0
}

func (*RMSNormBackward) Name() string { return "rmsnorm_backward" }

func (o *RMSNormBackward) Operands(yield func(string, *Tensor, Access)) {
	yield("dx", &o.DX, Write)
	if !o.DGamma.Absent() {
		yield("dgamma", &o.DGamma, Update)
	}
	yield("x", &o.X, Read)
	yield("dy", &o.DY, Read)
	yield("gamma", &o.Gamma, Read)
	yield("stats", &o.Stats, Scratch)
}

func (o *RMSNormBackward) Check() error {
	if !(o.Epsilon > 0) {
		return fmt.Errorf("epsilon is %v, expected a number above 0", o.Epsilon)
	}
	width := o.X.Dim(-1)
	stats := o.X.Shape
	stats[3] = 1
	err := first(
		wantDType("dx", o.DX, F32),
		wantDType("x", o.X, F32),
		wantDType("dy", o.DY, F32),
		wantDType("gamma", o.Gamma, F32),
		wantDType("stats", o.Stats, F32),
		wantShape("dx", o.DX, o.X.Shape[:]...),
		wantShape("dy", o.DY, o.X.Shape[:]...),
		wantShape("gamma", o.Gamma, width),
		wantShape("stats", o.Stats, stats[:]...),
		wantRows("dx", o.DX),
		wantRows("x", o.X),
		wantRows("dy", o.DY),
		wantRows("gamma", o.Gamma),
	)
	if err != nil || o.DGamma.Absent() {
		return err
	}
	return first(
		wantDType("dgamma", o.DGamma, F32),
		wantShape("dgamma", o.DGamma, width),
		wantRows("dgamma", o.DGamma),
	)
}
