package backend

import "encoding/binary"

// Q5_1 is ggml's type of that name, with the same bytes. A block is an f16 scale d, an
// f16 minimum m, then numbers of five bits as in [Q5_0].
//
//	x[j] = d · q[j] + m
//
// Both are chosen as ggml's reference does (quantize_row_q5_1_ref in ggml-quants.c).
const Q5_1 DType = 6

func init() {
	enter(Q5_1, row{
		name: "q5_1", block: 32, bytes: 24, unit: 2,
		roles: Weights,
		gguf:  &gguf{tensor: 7, file: 9},
		encode: func(p []byte, values []float32) ([]byte, error) {
			return appendRanges(p, values, Q5_1, appendFives)
		},
		decode: func(dst []float32, p []byte) {
			for ; len(dst) > 0; dst, p = dst[32:], p[24:] {
				scale, minimum, high := half(p), half(p[2:]), binary.LittleEndian.Uint32(p[4:])
				for j, q := range p[8:24] {
					dst[j] = float32(scale*float32(q&15|fifth(high, j))) + minimum
					dst[j+16] = float32(scale*float32(q>>4|fifth(high, j+16))) + minimum
				}
			}
		},
	})
}

// appendRanges appends blocks of 32 numbers with a scale and a minimum, which reach
// from the smallest value to the largest: in 4 bits, or in 5 where d is [Q5_1].
func appendRanges(p []byte, values []float32, d DType, numbers func(p []byte, q *[32]byte) []byte) ([]byte, error) {
	top := float32(15)
	if d == Q5_1 {
		top = 31
	}
	for ; len(values) > 0; values = values[32:] {
		far, err := largest(values[:32], d)
		if err != nil {
			return nil, err
		}
		low, high := values[0], values[0]
		for _, v := range values[:32] {
			low, high = min(low, v), max(high, v)
		}
		scale := (high - low) / top
		if p, err = appendScale(p, scale, far, d); err != nil {
			return nil, err
		}
		if p, err = appendScale(p, low, far, d); err != nil {
			return nil, err
		}
		var q [32]byte
		inverse := inverse(scale)
		for j, v := range values[:32] {
			q[j] = byte(min(top, (v-low)*inverse+0.5))
		}
		p = numbers(p, &q)
	}
	return p, nil
}
