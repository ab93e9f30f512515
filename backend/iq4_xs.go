package backend

import (
	"encoding/binary"

	"github.com/x448/float16"
)

// IQ4_XS is ggml's type of that name, with the same bytes. A block is 256 numbers in
// eight groups: an f16 scale d; 16 bits, of which two are the high bits of the scale of
// each group; four bytes, of which each has the low four bits of two of them; and 16
// bytes of each group as in [IQ4_NL].
//
//	x[j] = d · (s[j/32] − 32) · iq4[q[j]]
//
// The scales are searched for as ggml's quantize_iq4_xs does (ggml-quants.c).
const IQ4_XS DType = 23

func init() {
	enter(IQ4_XS, row{
		name: "iq4_xs", block: 256, bytes: 136, unit: 2,
		roles:   Weights,
		gguf:    &gguf{tensor: 23, file: 30},
		instead: IQ4_NL,
		encode: func(p []byte, values []float32) ([]byte, error) {
			for ; len(values) > 0; values = values[256:] {
				var err error
				if p, err = appendIQ4XS(p, values[:256]); err != nil {
					return nil, err
				}
			}
			return p, nil
		},
		decode: func(dst []float32, p []byte) {
			for ; len(dst) > 0; dst, p = dst[256:], p[136:] {
				scale, high := half(p), binary.LittleEndian.Uint16(p[2:])
				for g := range 8 {
					s := int(p[4+g/2]>>(g%2*4)&15) | int(high>>(2*g)&3)<<4
					decodeIQ4(dst[32*g:], p[8+16*g:][:16], scale*float32(s-32))
				}
			}
		},
	})
}

// appendIQ4XS appends a block.
func appendIQ4XS(p []byte, values []float32) ([]byte, error) {
	far, err := within(values, IQ4_XS, 65504*32*127)
	if err != nil {
		return nil, err
	}
	var scales [8]float32
	steepest := float32(0)
	for g := range scales {
		scales[g] = iq4Scale(values[32*g:][:32])
		if abs(scales[g]) > abs(steepest) {
			steepest = scales[g]
		}
	}
	scale := steepest / -32
	if p, err = appendScale(p, scale, far, IQ4_XS); err != nil {
		return nil, err
	}
	stored, inverseScale := float16.Fromfloat32(scale).Float32(), inverse(scale)
	var numbers []byte
	var high uint16
	var low [4]byte
	for g, s := range scales {
		l := clamp(s*inverseScale, -32, 31)
		numbers = appendIQ4(numbers, values[32*g:][:32], inverse(stored*float32(l)))
		high |= uint16(l+32) >> 4 << (2 * g)
		low[g/2] |= byte(l+32) & 15 << (g % 2 * 4)
	}
	p = binary.LittleEndian.AppendUint16(p, high)
	return append(append(p, low[:]...), numbers...), nil
}
