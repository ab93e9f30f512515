package backend

import (
	"encoding/binary"

	"github.com/x448/float16"
)

// Q8_0 is ggml's type of that name, with the same bytes. A block is an f16 scale d,
// then 32 int8 q[j]:
//
//	x[j] = d · q[j]
//
// The scale is chosen as ggml's reference does (quantize_row_q8_0_ref in
// ggml-quants.c), so that converting a file here and with llama.cpp gives the same
// bytes.
const Q8_0 DType = 9

func init() {
	enter(Q8_0, row{
		name: "q8_0", block: 32, bytes: 34, unit: 2,
		roles: Weights | Targets,
		gguf:  &gguf{tensor: 8, file: 7},
		encode: func(p []byte, values []float32) ([]byte, error) {
			for ; len(values) > 0; values = values[32:] {
				largest, err := largest(values[:32], Q8_0)
				if err != nil {
					return nil, err
				}
				scale := abs(largest) / 127
				if p, err = appendScale(p, scale, largest, Q8_0); err != nil {
					return nil, err
				}
				inverse := inverse(scale)
				for _, v := range values[:32] {
					p = append(p, byte(int8(roundAway(v*inverse))))
				}
			}
			return p, nil
		},
		decode: func(dst []float32, p []byte) {
			for ; len(dst) > 0; dst, p = dst[32:], p[34:] {
				scale := float16.Frombits(binary.LittleEndian.Uint16(p)).Float32()
				for j, q := range p[2:34] {
					dst[j] = scale * float32(int8(q))
				}
			}
		},
	})
}

// roundAway rounds to the nearest integer, ties away from zero, as C's roundf does.
func roundAway(x float32) int32 {
	if x < 0 {
		return -roundAway(-x)
	}
	n := int32(x)
	if x-float32(n) >= 0.5 {
		n++
	}
	return n
}
