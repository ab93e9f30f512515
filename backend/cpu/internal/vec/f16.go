package vec

import (
	"math"

	"github.com/x448/float16"
)

// Pairs has the functions for a dtype of 16 bits: conversions and products.
type Pairs struct {
	From  func(dst []float32, src []uint16)                        // dst = src
	To    func(dst []uint16, src []float32)                        // dst = src, rounded to the nearest, ties to even
	Dot   func(w []uint16, x []float32) float32                    // Σ w·x
	Axpy  func(y []float32, w []uint16, a float32)                 // y += a·w
	Axpy4 func(y []float32, w []uint16, stride int, a *[4]float32) // y += Σ a[i]·w[i·stride:]
}

// F16 has the functions for float16.
var F16 = Pairs{FromF16, ToF16, DotF16, AxpyF16, Axpy4F16}

// FromF16 converts the bits of float16 to float32.
func FromF16(dst []float32, src []uint16) {
	i := 0
	if wide && len(dst) >= 4*Lanes {
		i = len(dst) &^ (4*Lanes - 1)
		fromF16AVX512(&dst[0], &src[:len(dst)][0], i)
	}
	if n := (len(dst) - i) &^ (Lanes - 1); fast && n > 0 {
		fromF16AVX2(&dst[i], &src[:len(dst)][i], n)
		i += n
	}
	for ; i < len(dst); i++ {
		dst[i] = fromF16(src[i])
	}
}

// ToF16 converts to the bits of the nearest float16, ties to even.
func ToF16(dst []uint16, src []float32) {
	i := 0
	if fast && len(dst) >= Lanes {
		i = len(dst) &^ (Lanes - 1)
		toF16AVX2(&dst[0], &src[:len(dst)][0], i)
	}
	for ; i < len(dst); i++ {
		dst[i] = float16.Fromfloat32(src[i]).Bits()
	}
}

// DotF16 returns Σ w·x.
func DotF16(w []uint16, x []float32) (sum float32) {
	i := 0
	if fast && len(x) >= Lanes {
		i = len(x) &^ (Lanes - 1)
		sum = dotF16AVX2(&w[:len(x)][0], &x[0], i)
	}
	for ; i < len(x); i++ {
		sum += fromF16(w[i]) * x[i]
	}
	return sum
}

// Axpy4F16 computes y += a₀·w[0] + a₁·w[1] + a₂·w[2] + a₃·w[3], where row i of w
// begins at w[i·stride].
func Axpy4F16(y []float32, w []uint16, stride int, a *[4]float32) {
	w0, w1, w2, w3 := w[:len(y)], w[stride:][:len(y)], w[2*stride:][:len(y)], w[3*stride:][:len(y)]
	i := 0
	if fast && len(y) >= Lanes {
		i = len(y) &^ (Lanes - 1)
		axpy4F16AVX2(&y[0], &w0[0], &w1[0], &w2[0], &w3[0], a, i)
	}
	for ; i < len(y); i++ {
		y[i] += a[0]*fromF16(w0[i]) + a[1]*fromF16(w1[i]) + a[2]*fromF16(w2[i]) + a[3]*fromF16(w3[i])
	}
}

// AxpyF16 computes y += a·w.
func AxpyF16(y []float32, w []uint16, a float32) {
	i := 0
	if fast && len(y) >= Lanes {
		i = len(y) &^ (Lanes - 1)
		axpyF16AVX2(&y[0], &w[:len(y)][0], a, i)
	}
	for ; i < len(y); i++ {
		y[i] += a * fromF16(w[i])
	}
}

// fromF16 moves exponent and mantissa to their positions in a float32. A
// multiplication then corrects the bias of the exponent and normalises denormals. NaN
// becomes a quiet one, as the processor's instruction makes it.
func fromF16(h uint16) float32 {
	const rebias = 1 << 112
	bits := uint32(h&0x7fff) << 13
	switch {
	case h&0x7fff > 0x7c00: // NaN
		bits |= 0x7fc00000
	case h&0x7c00 == 0x7c00: // ∞
		bits |= 0x7f800000
	default:
		bits = math.Float32bits(math.Float32frombits(bits) * rebias)
	}
	return math.Float32frombits(bits | uint32(h&0x8000)<<16)
}
