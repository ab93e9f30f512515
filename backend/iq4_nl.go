package backend

// IQ4_NL is ggml's type of that name, with the same bytes. A block is as one of [Q4_0],
// but its numbers of four bits stand for those of a table, which are dense around 0.
//
//	x[j] = d · iq4[q[j]]
//
// The scale is searched for as ggml's quantize_iq4_nl does (ggml-quants.c).
const IQ4_NL DType = 20

// iq4 is ggml's table for IQ4_NL and IQ4_XS.
var iq4 = [16]float32{-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113}

func init() {
	enter(IQ4_NL, row{
		name: "iq4_nl", block: 32, bytes: 18, unit: 2,
		roles: Weights,
		gguf:  &gguf{tensor: 20, file: 25},
		encode: func(p []byte, values []float32) ([]byte, error) {
			for ; len(values) > 0; values = values[32:] {
				far, err := within(values[:32], IQ4_NL, 65504*127)
				if err != nil {
					return nil, err
				}
				scale := iq4Scale(values[:32])
				if p, err = appendScale(p, scale, far, IQ4_NL); err != nil {
					return nil, err
				}
				p = appendIQ4(p, values[:32], inverse(scale))
			}
			return p, nil
		},
		decode: func(dst []float32, p []byte) {
			for ; len(dst) > 0; dst, p = dst[32:], p[18:] {
				decodeIQ4(dst, p[2:18], half(p))
			}
		},
	})
}

// decodeIQ4 reads 32 numbers in 16 bytes.
func decodeIQ4(dst []float32, p []byte, scale float32) {
	for j, q := range p {
		dst[j], dst[j+16] = scale*iq4[q&15], scale*iq4[q>>4]
	}
}

// appendIQ4 appends 32 values as indices of the table.
func appendIQ4(p []byte, values []float32, inverse float32) []byte {
	var q [32]byte
	for j, v := range values {
		q[j] = nearestIQ4(v * inverse)
	}
	return appendNibbles(p, q[:])
}

// nearestIQ4 is the index of the number of the table that is nearest to x.
func nearestIQ4(x float32) byte {
	i := 1
	for i < 15 && x >= iq4[i] {
		i++
	}
	if x-iq4[i-1] < iq4[i]-x {
		i--
	}
	return byte(i)
}

// iq4Scale searches for the scale of 32 values with the least squares of errors, of
// which each is weighted by the square of its value.
func iq4Scale(values []float32) float32 {
	far, _ := largest(values, IQ4_NL)
	if abs(far) < tiny {
		return 0
	}
	fit := func(inverse float32) (sumQX, sumQ2 float32) {
		for _, v := range values {
			q, w := iq4[nearestIQ4(inverse*v)], v*v
			sumQX += float32(float32(w*q) * v)
			sumQ2 += float32(float32(w*q) * q)
		}
		return sumQX, sumQ2
	}
	scale, best := float32(0), float32(0)
	if sumQX, sumQ2 := fit(iq4[0] / -far); sumQ2 > 0 {
		scale = sumQX / sumQ2
		best = scale * sumQX
	}
	for try := float32(-7); try <= 7; try++ {
		if sumQX, sumQ2 := fit((try + iq4[0]) / far); sumQ2 > 0 && sumQX*sumQX > best*sumQ2 {
			scale = sumQX / sumQ2
			best = scale * sumQX
		}
	}
	return scale
}
