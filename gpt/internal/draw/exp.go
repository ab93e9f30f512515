package draw

import "math"

// expSum returns the sum of exp(v − best) over x, of which best is the largest.
func expSum(x []float32, best float32) float64 {
	// Four sums, so that an addition need not wait for the one before it.
	var sum [4]float64
	for ; len(x) >= 4; x = x[4:] {
		sum[0] += Exp(float64(x[0]) - float64(best))
		sum[1] += Exp(float64(x[1]) - float64(best))
		sum[2] += Exp(float64(x[2]) - float64(best))
		sum[3] += Exp(float64(x[3]) - float64(best))
	}
	for _, v := range x {
		sum[0] += Exp(float64(v) - float64(best))
	}
	return sum[0] + sum[1] + sum[2] + sum[3]
}

// exp2 holds 2^(i/512).
var exp2 = func() (t [512]float64) {
	for i := range t {
		t[i] = math.Exp2(float64(i) / 512)
	}
	return t
}()

// Exp is math.Exp for x ≤ 0, within 10⁻¹³ of its value. It is a few times
// as fast, because it is small enough to be inlined. Below −700 it stays at
// exp(−700), which is negligible beside the weight of the best token, 1.
//
// With n = round(512·x/ln 2) and r = x − n·ln 2/512, exp(x) = 2^(n/512)·exp(r): the
// exponent and a table give the first factor, and a polynomial the second, whose
// error is r⁴/24 < 10⁻¹⁴ because |r| ≤ ln 2/1024. It is Tang's method,
// https://doi.org/10.1145/63522.214389, without its correction of r, which rounding
// changes by up to |x|·10⁻¹⁶.
func Exp(x float64) float64 {
	if x < -700 {
		x = -700
	}
	// The sum has n in its lowest bits: nine of them are the table's index, and
	// those above, moved to the top, count up the exponent.
	const round = 1.5 * (1 << 52)
	sum := x*(512/math.Ln2) + round
	n := math.Float64bits(sum)
	r := x - (sum-round)*(math.Ln2/512)
	return (1 + r*(1+r*(1.0/2+r*(1.0/6)))) * math.Float64frombits(math.Float64bits(exp2[n%512])+n>>9<<52)
}
