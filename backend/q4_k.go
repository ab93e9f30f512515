package backend

// Q4_K is ggml's type of that name, with the same bytes. A block is 256 numbers in eight
// groups: an f16 scale d, an f16 scale of minima m, 12 bytes with a scale s and a minimum
// n of each group (see [groupScales]), then 32 bytes for each two groups: the low four
// bits are numbers of the first one.
//
//	x[j] = d · s[j/32] · q[j] − m · n[j/32]
const Q4_K DType = 12

func init() {
	enter(Q4_K, row{
		name: "q4_k", block: 256, bytes: 144, unit: 2,
		roles:   Weights,
		gguf:    &gguf{tensor: 12, file: 14},
		instead: Q5_0,
		encode: func(p []byte, values []float32) ([]byte, error) {
			for ; len(values) > 0; values = values[256:] {
				var q [256]byte
				var err error
				if p, err = appendK(p, values[:256], Q4_K, &q, 15, -1, 21); err != nil {
					return nil, err
				}
				p = appendGroups(p, &q)
			}
			return p, nil
		},
		decode: func(dst []float32, p []byte) {
			for ; len(dst) > 0; dst, p = dst[256:], p[144:] {
				for g := range 8 {
					scale, minimum := decodeK(p, g)
					for j, q := range p[16+g/2*32:][:32] {
						dst[32*g+j] = float32(scale*float32(q>>(g%2*4)&15)) - minimum
					}
				}
			}
		},
	})
}

// appendGroups appends the low four bits of numbers, two groups at a time.
func appendGroups(p []byte, q *[256]byte) []byte {
	for g := 0; g < 256; g += 64 {
		p = appendNibbles(p, q[g:][:64])
	}
	return p
}
