// Package vec has the vector functions that a BLAS does not have: exponentials,
// activations, sums in float64, conversions, and products with other dtypes.
//
// Each function is written in Go, close to its formula. On amd64 with AVX2, FMA and
// F16C (CPUs since 2013 to 2015), and on arm64, which has NEON, assembly of the same
// algorithm does all but the last few elements, on amd64 3 to 10 times faster. Where
// fast is set, the function whose name ends in Fast serves; where wide is set, AVX-512
// comes first, in one that ends in Wide. To add a function, add the Go version, its
// declaration in vec_asm.go and vec_other.go, its assembly for both processors, and its
// test in vec_test.go.
//
// All vectors of a call must be as long as dst, or as x if nothing is written. dst may
// be x.
package vec

import "math"

// Lanes is the number of elements that the assembly handles at once. The elements that
// are left at the end of a vector are handled by Go code, one by one.
const Lanes = 8

// Add is dst = a + b.
func Add(dst, a, b []float32) {
	i := 0
	if fast && len(dst) >= Lanes {
		i = len(dst) &^ (Lanes - 1)
		addFast(&dst[0], &a[:len(dst)][0], &b[:len(dst)][0], i)
	}
	for ; i < len(dst); i++ {
		dst[i] = a[i] + b[i]
	}
}

// Scale is x = s·x.
func Scale(x []float32, s float32) {
	i := 0
	if fast && len(x) >= Lanes {
		i = len(x) &^ (Lanes - 1)
		scaleFast(&x[0], i, s)
	}
	for ; i < len(x); i++ {
		x[i] *= s
	}
}

// ScaleBy is dst = s·x·gamma.
func ScaleBy(dst, x, gamma []float32, s float32) {
	i := 0
	if wide && len(dst) >= 2*Lanes {
		i = len(dst) &^ (2*Lanes - 1)
		scaleByWide(&dst[0], &x[:len(dst)][0], &gamma[:len(dst)][0], i, s)
	}
	if n := (len(dst) - i) &^ (Lanes - 1); fast && n > 0 {
		scaleByFast(&dst[i], &x[:len(dst)][i], &gamma[:len(dst)][i], n, s)
		i += n
	}
	for ; i < len(dst); i++ {
		dst[i] = x[i] * s * gamma[i]
	}
}

// Max returns the largest element, or −∞ if all are NaN.
func Max(x []float32) float32 {
	largest := float32(math.Inf(-1))
	i := 0
	if fast && len(x) >= Lanes {
		i = len(x) &^ (Lanes - 1)
		largest = maxFast(&x[0], i)
	}
	for ; i < len(x); i++ {
		if x[i] > largest {
			largest = x[i]
		}
	}
	return largest
}

// Sum returns the sum of the elements, in float64.
func Sum(x []float32) float64 {
	sum := 0.0
	i := 0
	if fast && len(x) >= Lanes {
		i = len(x) &^ (Lanes - 1)
		sum = sumFast(&x[0], i)
	}
	for ; i < len(x); i++ {
		sum += float64(x[i])
	}
	return sum
}

// SumSquares returns Σ (x − mean)², in float64.
func SumSquares(x []float32, mean float64) float64 {
	sum := 0.0
	i := 0
	if fast && len(x) >= Lanes {
		i = len(x) &^ (Lanes - 1)
		sum = sumSquaresFast(&x[0], i, mean)
	}
	for ; i < len(x); i++ {
		d := float64(x[i]) - mean
		sum += d * d
	}
	return sum
}

// Normalize computes dst = (x − mean)·scale·gamma + beta. The mean is a float64, and is
// subtracted as two float32, so that a vector far from 0 loses no digits.
func Normalize(dst, x, gamma, beta []float32, mean float64, scale float32) {
	hi := float32(mean)
	lo := float32(mean - float64(hi))
	i := 0
	if wide && len(dst) >= 2*Lanes {
		i = len(dst) &^ (2*Lanes - 1)
		normalizeWide(&dst[0], &x[:len(dst)][0], &gamma[:len(dst)][0], &beta[:len(dst)][0], i, hi, lo, scale)
	}
	if n := (len(dst) - i) &^ (Lanes - 1); fast && n > 0 {
		normalizeFast(&dst[i], &x[:len(dst)][i], &gamma[:len(dst)][i], &beta[:len(dst)][i], n, hi, lo, scale)
		i += n
	}
	for ; i < len(dst); i++ {
		dst[i] = (x[i]-hi-lo)*scale*gamma[i] + beta[i]
	}
}

// Dot returns Σ w·x.
func Dot(w, x []float32) (sum float32) {
	i := 0
	if fast && len(x) >= Lanes {
		i = len(x) &^ (Lanes - 1)
		sum = dotFast(&w[:len(x)][0], &x[0], i)
	}
	for ; i < len(x); i++ {
		sum += w[i] * x[i]
	}
	return sum
}

// Exp is dst = exp(x − shift); it returns Σ dst, in float64.
func Exp(dst, x []float32, shift float32) (sum float64) {
	i := 0
	if wide && len(dst) >= 2*Lanes {
		i = len(dst) &^ (2*Lanes - 1)
		sum = expWide(&dst[0], &x[:len(dst)][0], i, shift)
	}
	if n := (len(dst) - i) &^ (Lanes - 1); fast && n > 0 {
		sum += expFast(&dst[i], &x[:len(dst)][i], n, shift)
		i += n
	}
	for ; i < len(dst); i++ {
		dst[i] = exp(x[i] - shift)
		sum += float64(dst[i])
	}
	return sum
}

// SoftCap is x = limit·tanh(x/limit), for limits above 0. With e = exp(2x/limit) − 1
// tanh is e / (e + 2), which loses no digits near 0.
func SoftCap(x []float32, limit float32) {
	i := 0
	if fast && len(x) >= Lanes {
		i = len(x) &^ (Lanes - 1)
		softCapFast(&x[0], i, limit)
	}
	for ; i < len(x); i++ {
		e := expMinus1(2 * (x[i] / limit))
		x[i] = limit * (e / (e + 2))
	}
}

// exp returns eˣ with an error of at most 2 units in the last place. It uses
// x = n·ln 2 + r with |r| ≤ ½·ln 2, and for eʳ the polynomial of Cephes' expf (Moshier
// 1989). It multiplies by 2ⁿ in two steps, so that denormal and infinite results are
// right too.
func exp(x float32) float32 {
	const top, bottom = 89, -104 // ∞ and 0 from here on
	switch {                     // written so that NaN passes through
	case x > top:
		x = top
	case x < bottom:
		x = bottom
	}
	p, k := reduced(x)
	return (p + 1) * pow2(k>>1) * pow2(k-k>>1)
}

// expMinus1 is exp(x) − 1 for x up to 18 and from −18 on; what is beyond is taken for that.
func expMinus1(x float32) float32 {
	switch {
	case x > 18:
		x = 18
	case x < -18:
		x = -18
	}
	p, k := reduced(x)
	return p*pow2(k) + (pow2(k) - 1)
}

// reduced is exp(r) − 1 and n, for exp(x) = 2ⁿ·exp(r).
func reduced(x float32) (p float32, k int32) {
	const (
		log2e        = 1.44269504088896341
		ln2hi, ln2lo = 0.693359375, -2.12194440e-4 // n·ln2hi is exact
	)
	n := float32(math.RoundToEven(float64(x * log2e)))
	r := x - float32(n*ln2hi)
	r -= float32(n * ln2lo)
	p = 1.9875691500e-4
	p = p*r + 1.3981999507e-3
	p = p*r + 8.3334519073e-3
	p = p*r + 4.1665795894e-2
	p = p*r + 1.6666665459e-1
	p = p*r + 5.0000001201e-1
	return p*r*r + r, int32(n)
}

func pow2(n int32) float32 { return math.Float32frombits(uint32(n+127) << 23) }
