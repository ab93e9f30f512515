package backend

import "encoding/binary"

// Q5_0 is ggml's type of that name, with the same bytes. A block is an f16 scale d, a
// word h of 32 bits, then 16 bytes: byte j has the low four bits of q[j] and, above
// them, those of q[j+16]. Bit j of h is the fifth bit of q[j].
//
//	x[j] = d · (q[j] − 16)
//
// The scale is chosen as ggml's reference does (quantize_row_q5_0_ref in
// ggml-quants.c).
const Q5_0 DType = 5

func init() {
	enter(Q5_0, row{
		name: "q5_0", block: 32, bytes: 22, unit: 2,
		roles: Weights,
		gguf:  &gguf{tensor: 6, file: 8},
		encode: func(p []byte, values []float32) ([]byte, error) {
			for ; len(values) > 0; values = values[32:] {
				largest, err := largest(values[:32], Q5_0)
				if err != nil {
					return nil, err
				}
				scale := largest / -16
				if p, err = appendScale(p, scale, largest, Q5_0); err != nil {
					return nil, err
				}
				inverse := inverse(scale)
				var q [32]byte
				for j, v := range values[:32] {
					q[j] = byte(min(31, int8(v*inverse+16.5)))
				}
				p = appendFives(p, &q)
			}
			return p, nil
		},
		decode: func(dst []float32, p []byte) {
			for ; len(dst) > 0; dst, p = dst[32:], p[22:] {
				scale, high := half(p), binary.LittleEndian.Uint32(p[2:])
				for j, q := range p[6:22] {
					dst[j] = scale * float32(int(q&15|fifth(high, j))-16)
					dst[j+16] = scale * float32(int(q>>4|fifth(high, j+16))-16)
				}
			}
		},
	})
}

// fifth is bit j as the fifth of a number.
func fifth(bits uint32, j int) byte { return byte(bits >> j & 1 << 4) }

// appendFives appends 32 numbers of five bits: the fifth bits, then the others.
func appendFives(p []byte, q *[32]byte) []byte {
	high := uint32(0)
	for j, n := range q {
		high |= uint32(n>>4) << j
	}
	return appendNibbles(binary.LittleEndian.AppendUint32(p, high), q[:])
}

// appendNibbles appends the low four bits of an even count of numbers, those of the
// second half above those of the first.
func appendNibbles(p []byte, q []byte) []byte {
	for j, n := range q[:len(q)/2] {
		p = append(p, n&15|q[len(q)/2+j]<<4)
	}
	return p
}
