package backend

// Q6_K is ggml's type of that name, with the same bytes. A block is 256 numbers of six
// bits in sixteen groups: 128 bytes with the low four bits, 64 bytes with the high two,
// an int8 scale s of each group, and an f16 scale d. The halves of a block lie one after
// the other: byte j of 64 has the low bits of numbers j and, above them, j + 64; byte j of
// 32 has the high bits of numbers j, j + 32, j + 64, j + 96.
//
//	x[j] = d · s[j/16] · (q[j] − 32)
const Q6_K DType = 14

func init() {
	enter(Q6_K, row{
		name: "q6_k", block: 256, bytes: 210, unit: 2,
		roles:   Weights | Targets,
		gguf:    &gguf{tensor: 14, file: 18},
		instead: Q8_0,
		encode: func(p []byte, values []float32) ([]byte, error) {
			for ; len(values) > 0; values = values[256:] {
				var err error
				if p, err = appendQ6K(p, values[:256]); err != nil {
					return nil, err
				}
			}
			return p, nil
		},
		decode: func(dst []float32, p []byte) {
			for ; len(dst) > 0; dst, p = dst[256:], p[210:] {
				scale := half(p[208:])
				for j := range 256 {
					h, l := j/128, j%128
					q := p[64*h+l%64]>>(l/64*4)&15 | p[128+32*h+l%32]>>(l/32*2)&3<<4
					dst[j] = float32(scale*float32(int8(p[192+j/16]))) * float32(int(q)-32)
				}
			}
		},
	})
}

// appendQ6K appends a block.
func appendQ6K(p []byte, values []float32) ([]byte, error) {
	far, err := within(values, Q6_K, 65504*128*32)
	if err != nil {
		return nil, err
	}
	var q [256]byte
	var scales [16]float32
	steepest := float32(0)
	for g := range scales {
		scales[g] = signedScale(values[16*g:][:16], q[16*g:][:16], 32)
		if !(abs(scales[g]) <= abs(steepest)) { // NaN is kept, of numbers that are too large
			steepest = scales[g]
		}
	}
	if abs(steepest) < tiny {
		return append(p, make([]byte, 210)...), nil
	}
	inverse := -128 / steepest
	scale := storedHalf(1 / inverse)
	var block [192 + 16]byte
	for g, s := range scales {
		l := clamp(inverse*s, -128, 127)
		block[192+g] = byte(l)
		if by := scale * float32(l); by != 0 {
			for j, v := range values[16*g:][:16] {
				q[16*g+j] = byte(clamp(v/by, -32, 31) + 32)
			}
		}
	}
	for j, n := range q {
		h, l := j/128, j%128
		block[64*h+l%64] |= n & 15 << (l / 64 * 4)
		block[128+32*h+l%32] |= n >> 4 << (l / 32 * 2)
	}
	return appendScale(append(p, block[:]...), 1/inverse, far, Q6_K)
}
