package backend

import "fmt"

// LayerNorm normalises each vector of x to mean 0 and variance 1, then multiplies it
// by gamma and adds beta (Ba et al. 2016, arXiv:1607.06450):
//
//	dst = (x − mean(x)) / √(var(x) + ε) · gamma + beta
//
// Mean and variance are over the last axis; the variance is the biased one. If an
// element is NaN or infinite, its whole vector becomes NaN.
type LayerNorm struct {
	Dst     Tensor  // [..., width] f32
	X       Tensor  // [..., width] f32
	Gamma   Tensor  // [width] f32
	Beta    Tensor  // [width] f32
	Epsilon float32 // > 0
}

func (*LayerNorm) Name() string { return "layernorm" }

func (o *LayerNorm) Operands(yield func(string, *Tensor, Access)) {
	yield("dst", &o.Dst, Write)
	yield("x", &o.X, Read)
	yield("gamma", &o.Gamma, Read)
	yield("beta", &o.Beta, Read)
}

func (o *LayerNorm) Check() error {
	if !(o.Epsilon > 0) {
		return fmt.Errorf("epsilon is %v, expected a number above 0", o.Epsilon)
	}
	width := o.X.Dim(-1)
	return first(
		wantDType("dst", o.Dst, F32),
		wantDType("x", o.X, F32),
		wantDType("gamma", o.Gamma, F32),
		wantDType("beta", o.Beta, F32),
		wantShape("dst", o.Dst, o.X.Shape[:]...),
		wantShape("gamma", o.Gamma, width),
		wantShape("beta", o.Beta, width),
		wantRows("dst", o.Dst),
		wantRows("x", o.X),
		wantRows("gamma", o.Gamma),
		wantRows("beta", o.Beta),
	)
}
