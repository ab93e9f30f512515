package backend

import (
	"fmt"
	"math"
)

// GatedActivation multiplies one tensor by an activation function of another, as in
// a gated MLP (Shazeer 2020, arXiv:2002.05202; SwiGLU with SiLU, GEGLU with a GELU):
//
//	dst = f(gate) · (up + Shift)
//
// With a Limit above 0, gate is first clamped to at most Limit, and up to
// ±Limit, as in gpt-oss. NaN stays NaN.
//
// Gate and Up may be slices of one product.
type GatedActivation struct {
	Dst   Tensor // [..., n] f32
	Gate  Tensor // [..., n] f32
	Up    Tensor // [..., n] f32
	Func  Activation
	Limit float32 // 0: none
	Shift float32
}

func (*GatedActivation) Name() string { return "gated_activation" }

func (o *GatedActivation) Operands(yield func(string, *Tensor, Access)) {
	yield("dst", &o.Dst, Write)
	yield("gate", &o.Gate, Read)
	yield("up", &o.Up, Read)
}

func (o *GatedActivation) Check() error {
	return first(
		checkGate(o.Func, o.Limit, o.Shift),
		wantDType("dst", o.Dst, F32),
		wantDType("gate", o.Gate, F32),
		wantDType("up", o.Up, F32),
		wantShape("dst", o.Dst, o.Gate.Shape[:]...),
		wantShape("up", o.Up, o.Gate.Shape[:]...),
		wantRows("dst", o.Dst),
		wantRows("gate", o.Gate),
		wantRows("up", o.Up),
	)
}

// Bound returns Limit, or +∞ if there is none (Limit is 0).
func (o *GatedActivation) Bound() float32 { return bound(o.Limit) }

func bound(limit float32) float32 {
	if limit == 0 {
		return float32(math.Inf(1))
	}
	return limit
}

// checkGate checks the settings of a gated activation or of its gradient.
func checkGate(f Activation, limit, shift float32) error {
	switch {
	case !f.Valid():
		return fmt.Errorf("func is %v, expected one of %v", f, activations)
	case !(limit >= 0):
		return fmt.Errorf("limit is %v, expected a number above 0, or 0 for none", limit)
	case shift-shift != 0:
		return fmt.Errorf("shift is %v, expected a finite number", shift)
	}
	return nil
}
