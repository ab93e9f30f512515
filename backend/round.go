package backend

import "math"

// Round rounds each number to the precision of f16: to a significand of 11 bits, to the
// nearest, ties to even. The exponent stays that of f32, so that nothing overflows that does
// not in f32. Denormals of f32 become multiples of 2⁻¹³⁶. Infinities stay, and NaN stays NaN.
//
// A [Linear] may round its x so, where weights are not f32: then cooperative matrices of f16
// can multiply it.
//
// The bits of the result follow from those of x, on every backend: see [RoundF16].
type Round struct {
	Dst Tensor // any shape, f32
	X   Tensor // as dst
}

func (*Round) Name() string { return "round" }

func (o *Round) Operands(yield func(string, *Tensor, Access)) {
	yield("dst", &o.Dst, Write)
	yield("x", &o.X, Read)
}

func (o *Round) Check() error {
	return first(
		wantDType("dst", o.Dst, F32),
		wantDType("x", o.X, F32),
		wantShape("dst", o.Dst, o.X.Shape[:]...),
		wantRows("dst", o.Dst),
		wantRows("x", o.X),
	)
}

// RoundF16 is what [Round] does with a number.
func RoundF16(x float32) float32 {
	const dropped = 13 // of the 24 bits of a significand of f32
	bits := math.Float32bits(x)
	if bits&0x7f800000 == 0x7f800000 {
		return x
	}
	bits += 1<<(dropped-1) - 1 + bits>>dropped&1
	return math.Float32frombits(bits &^ (1<<dropped - 1))
}
