package backend

import (
	"encoding/binary"

	"github.com/x448/float16"
)

// Q4_0 is ggml's type of that name, with the same bytes. A block is an f16 scale d,
// then 16 bytes: byte j has q[j] in its low four bits and q[j+16] in its high four.
//
//	x[j] = d · (q[j] − 8)
//
// The scale is chosen as ggml's reference does (quantize_row_q4_0_ref in
// ggml-quants.c).
const Q4_0 DType = 3

func init() {
	enter(Q4_0, row{
		name: "q4_0", block: 32, bytes: 18, unit: 2,
		roles: Weights | Targets,
		gguf:  &gguf{tensor: 2, file: 2},
		encode: func(p []byte, values []float32) ([]byte, error) {
			for ; len(values) > 0; values = values[32:] {
				largest, err := largest(values[:32], Q4_0)
				if err != nil {
					return nil, err
				}
				scale := largest / -8
				if p, err = appendScale(p, scale, largest, Q4_0); err != nil {
					return nil, err
				}
				inverse := inverse(scale)
				for j, v := range values[:16] {
					p = append(p, nibble(v*inverse)|nibble(values[j+16]*inverse)<<4)
				}
			}
			return p, nil
		},
		decode: func(dst []float32, p []byte) {
			for ; len(dst) > 0; dst, p = dst[32:], p[18:] {
				scale := float16.Frombits(binary.LittleEndian.Uint16(p)).Float32()
				for j, q := range p[2:18] {
					dst[j] = scale * float32(int(q&15)-8)
					dst[j+16] = scale * float32(int(q>>4)-8)
				}
			}
		},
	})
}

// nibble is ggml's MIN(15, (int8_t)(x + 8.5f)).
func nibble(x float32) byte { return byte(min(15, int8(x+8.5))) }
