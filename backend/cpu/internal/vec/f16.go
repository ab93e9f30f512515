package vec

import (
	"math"

	"github.com/x448/float16"
)

// Pairs has the conversions of a dtype of 16 bits.
type Pairs struct {
	From func(dst []float32, src []uint16) // dst = src
	To   func(dst []uint16, src []float32) // dst = src, rounded to the nearest, ties to even
}

// F16 has the functions for float16.
var F16 = Pairs{FromF16, ToF16}

// FromF16 converts the bits of float16 to float32.
func FromF16(dst []float32, src []uint16) {
	i := 0
	if wide && len(dst) >= 4*Lanes {
		i = len(dst) &^ (4*Lanes - 1)
		fromF16Wide(&dst[0], &src[:len(dst)][0], i)
	}
	if n := (len(dst) - i) &^ (Lanes - 1); fast && n > 0 {
		fromF16Fast(&dst[i], &src[:len(dst)][i], n)
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
		toF16Fast(&dst[0], &src[:len(dst)][0], i)
	}
	for ; i < len(dst); i++ {
		dst[i] = float16.Fromfloat32(src[i]).Bits()
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
