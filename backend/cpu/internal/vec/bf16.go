package vec

import "math"

// BF16 has the functions for bfloat16, the upper half of a float32.
var BF16 = Pairs{FromBF16, ToBF16, DotBF16, AxpyBF16, Axpy4BF16}

// FromBF16 converts the bits of bfloat16 to float32.
func FromBF16(dst []float32, src []uint16) {
	i := 0
	if wide && len(dst) >= 4*Lanes {
		i = len(dst) &^ (4*Lanes - 1)
		fromBF16AVX512(&dst[0], &src[:len(dst)][0], i)
	}
	if n := (len(dst) - i) &^ (Lanes - 1); fast && n > 0 {
		fromBF16AVX2(&dst[i], &src[:len(dst)][i], n)
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
		toBF16AVX2(&dst[0], &src[:len(dst)][0], i)
	}
	for ; i < len(dst); i++ {
		dst[i] = toBF16(src[i])
	}
}

// DotBF16 returns Σ w·x.
func DotBF16(w []uint16, x []float32) (sum float32) {
	i := 0
	if fast && len(x) >= Lanes {
		i = len(x) &^ (Lanes - 1)
		sum = dotBF16AVX2(&w[:len(x)][0], &x[0], i)
	}
	for ; i < len(x); i++ {
		sum += fromBF16(w[i]) * x[i]
	}
	return sum
}

// Axpy4BF16 computes y += a₀·w[0] + a₁·w[1] + a₂·w[2] + a₃·w[3], where row i of w
// begins at w[i·stride].
func Axpy4BF16(y []float32, w []uint16, stride int, a *[4]float32) {
	w0, w1, w2, w3 := w[:len(y)], w[stride:][:len(y)], w[2*stride:][:len(y)], w[3*stride:][:len(y)]
	i := 0
	if fast && len(y) >= Lanes {
		i = len(y) &^ (Lanes - 1)
		axpy4BF16AVX2(&y[0], &w0[0], &w1[0], &w2[0], &w3[0], a, i)
	}
	for ; i < len(y); i++ {
		y[i] += a[0]*fromBF16(w0[i]) + a[1]*fromBF16(w1[i]) + a[2]*fromBF16(w2[i]) + a[3]*fromBF16(w3[i])
	}
}

// AxpyBF16 computes y += a·w.
func AxpyBF16(y []float32, w []uint16, a float32) {
	i := 0
	if fast && len(y) >= Lanes {
		i = len(y) &^ (Lanes - 1)
		axpyBF16AVX2(&y[0], &w[:len(y)][0], a, i)
	}
	for ; i < len(y); i++ {
		y[i] += a * fromBF16(w[i])
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
