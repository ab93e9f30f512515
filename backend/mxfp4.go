package backend

import "math"

// MXFP4 is ggml's type of that name, with the same bytes: the format of the Open Compute
// Project's "Microscaling Formats" (MX 1.0) with other places of numbers. A block is a
// byte e, then 16 bytes as in [Q4_0] of numbers with a sign, two bits of exponent and
// one of mantissa.
//
//	x[j] = 2^(e−127) · {0, ½, 1, 1½, 2, 3, 4, 6}[q[j] & 7], negative if q[j] ≥ 8
//
// The exponent is that of the largest value, as in ggml (quantize_row_mxfp4_ref in
// ggml-quants.c). The type has no NaN, but numbers that f32 does not hold: they become
// infinities.
const MXFP4 DType = 39

// fp4 is the numbers, times two.
var fp4 = [16]float32{0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12}

func init() {
	enter(MXFP4, row{
		name: "mxfp4", block: 32, bytes: 17, unit: 1,
		roles: Weights,
		gguf:  &gguf{tensor: 39, file: 38},
		encode: func(p []byte, values []float32) ([]byte, error) {
			for ; len(values) > 0; values = values[32:] {
				far, err := largest(values[:32], MXFP4)
				if err != nil {
					return nil, err
				}
				exponent := byte(0)
				if far != 0 {
					_, n := math.Frexp(float64(abs(far))) // it is below 2ⁿ
					exponent = byte(max(n-3+127, 0))
				}
				if math.IsInf(float64(far), 0) {
					return nil, tooLarge(far, MXFP4)
				}
				inverse := 1 / float64(fp4Scale(exponent))
				var q [32]byte
				for j, v := range values[:32] {
					q[j] = nearestFP4(float64(v) * inverse)
				}
				p = appendNibbles(append(p, exponent), q[:])
			}
			return p, nil
		},
		decode: func(dst []float32, p []byte) {
			for ; len(dst) > 0; dst, p = dst[32:], p[17:] {
				scale := fp4Scale(p[0])
				for j, q := range p[1:17] {
					dst[j], dst[j+16] = scale*fp4[q&15], scale*fp4[q>>4]
				}
			}
		},
	})
}

// fp4Scale is 2^(e−128), by which the numbers of fp4 are multiplied.
func fp4Scale(e byte) float32 {
	if e < 2 { // denormal
		return math.Float32frombits(0x200000 << e)
	}
	return math.Float32frombits(uint32(e-1) << 23)
}

// nearestFP4 is the first number of fp4 that is nearest to x.
func nearestFP4(x float64) (best byte) {
	for i, v := range fp4 {
		if math.Abs(float64(v)-x) < math.Abs(float64(fp4[best])-x) {
			best = byte(i)
		}
	}
	return best
}
