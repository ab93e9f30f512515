package backend

// Q5_K is ggml's type of that name, with the same bytes. A block is as one of [Q4_K], but
// 32 bytes come before the numbers: bit g of byte j is the fifth bit of number j of
// group g.
//
//	x[j] = d · s[j/32] · q[j] − m · n[j/32]
const Q5_K DType = 13

func init() {
	enter(Q5_K, row{
		name: "q5_k", block: 256, bytes: 176, unit: 2,
		roles:   Weights,
		gguf:    &gguf{tensor: 13, file: 16},
		instead: Q5_1,
		encode: func(p []byte, values []float32) ([]byte, error) {
			for ; len(values) > 0; values = values[256:] {
				var q [256]byte
				var err error
				if p, err = appendK(p, values[:256], Q5_K, &q, 31, -0.5, 16); err != nil {
					return nil, err
				}
				var high [32]byte
				for j, n := range q {
					high[j%32] |= n >> 4 << (j / 32)
				}
				p = appendGroups(append(p, high[:]...), &q)
			}
			return p, nil
		},
		decode: func(dst []float32, p []byte) {
			for ; len(dst) > 0; dst, p = dst[256:], p[176:] {
				for g := range 8 {
					scale, minimum := decodeK(p, g)
					for j, q := range p[48+g/2*32:][:32] {
						n := q>>(g%2*4)&15 | p[16+j]>>g&1<<4
						dst[32*g+j] = float32(scale*float32(n)) - minimum
					}
				}
			}
		},
	})
}
