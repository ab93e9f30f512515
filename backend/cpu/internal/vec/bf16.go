package vec

import "math"

// BF16 has the functions for bfloat16, the upper half of a float32.
var BF16 = Pairs{FromBF16, ToBF16}

// FromBF16 converts the bits of bfloat16 to float32.
func FromBF16(dst []float32, src []uint16) {
	i := 0
	if wide && len(dst) >= 4*Lanes {
		i = len(dst) &^ (4*Lanes - 1)
		fromBF16Wide(&dst[0], &src[:len(dst)][0], i)
	}
	if n := (len(dst) - i) &^ (Lanes - 1); fast && n > 0 {
		fromBF16Fast(&dst[i], &src[:len(dst)][i], n)
		i += n
	}
	for ; i < len(dst); i++ {
		dst[i] = fromBF16(src[i])
	}
}

// ToBF16 converts to the bits of the nearest bfloat16, ties to even.
func ToBF16(dst []uint16, src []float32) {
	i := 0
	if fast && len(dst) >= Lanes {
		i = len(dst) &^ (Lanes - 1)
		toBF16Fast(&dst[0], &src[:len(dst)][0], i)
	}
	for ; i < len(dst); i++ {
		dst[i] = toBF16(src[i])
	}
}

func fromBF16(h uint16) float32 { return math.Float32frombits(uint32(h) << 16) }

func toBF16(v float32) uint16 {
	bits := math.Float32bits(v)
	if v != v {
		return uint16(bits>>16) | 0x40
	}
	return uint16((bits + 0x7fff + bits>>16&1) >> 16)
}
