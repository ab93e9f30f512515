package backend

// Q4_1 is ggml's type of that name, with the same bytes. A block is an f16 scale d, an
// f16 minimum m, then 16 bytes: byte j has q[j] in its low four bits and q[j+16] in its
// high four.
//
//	x[j] = d · q[j] + m
//
// Both are chosen as ggml's reference does (quantize_row_q4_1_ref in ggml-quants.c).
const Q4_1 DType = 4

func init() {
	enter(Q4_1, row{
		name: "q4_1", block: 32, bytes: 20, unit: 2,
		roles: Weights,
		gguf:  &gguf{tensor: 3, file: 3},
		encode: func(p []byte, values []float32) ([]byte, error) {
			return appendRanges(p, values, Q4_1, func(p []byte, q *[32]byte) []byte { return appendNibbles(p, q[:]) })
		},
		decode: func(dst []float32, p []byte) {
			for ; len(dst) > 0; dst, p = dst[32:], p[20:] {
				scale, minimum := half(p), half(p[2:])
				for j, q := range p[4:20] {
					dst[j] = float32(scale*float32(q&15)) + minimum
					dst[j+16] = float32(scale*float32(q>>4)) + minimum
				}
			}
		},
	})
}
