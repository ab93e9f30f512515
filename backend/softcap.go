package backend

import (
	"fmt"
	"math"
)

// SoftCap bounds each element, smoothly, as Gemma 2 does with scores (arXiv:2408.00118):
//
//	dst = Cap · tanh(x / Cap)
//
// Infinite elements become ±Cap, NaN stays NaN.
type SoftCap struct {
	Dst Tensor  // [..., n] f32
	X   Tensor  // [..., n] f32
	Cap float32 // above 0
}

func (*SoftCap) Name() string { return "softcap" }

func (o *SoftCap) Operands(yield func(string, *Tensor, Access)) {
	yield("dst", &o.Dst, Write)
	yield("x", &o.X, Read)
}

func (o *SoftCap) Check() error {
	return first(
		checkCap(o.Cap),
		wantDType("dst", o.Dst, F32),
		wantDType("x", o.X, F32),
		wantShape("dst", o.Dst, o.X.Shape[:]...),
		wantRows("dst", o.Dst),
		wantRows("x", o.X),
	)
}

func checkCap(cap float32) error {
	if !(cap > 0) || math.IsInf(float64(cap), 0) {
		return fmt.Errorf("cap is %v, expected a finite number above 0", cap)
	}
	return nil
}
