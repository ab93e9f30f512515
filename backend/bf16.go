package backend

import (
	"encoding/binary"
	"fmt"
	"math"
)

// BF16 is bfloat16: the upper 16 bits of an f32. It has the range of f32 and 8 bits
// of precision. Numbers are rounded to the nearest, ties to even.
const BF16 DType = 31

func init() {
	enter(BF16, row{
		name: "bf16", block: 1, bytes: 2, unit: 2,
		roles:  Weights | Targets | Caches,
		gguf:   &gguf{tensor: 30, file: 32},
		encode: encodeBF16,
		decode: func(dst []float32, p []byte) {
			for i := range dst {
				dst[i] = math.Float32frombits(uint32(binary.LittleEndian.Uint16(p[2*i:])) << 16)
			}
		},
	})
}

func encodeBF16(p []byte, values []float32) ([]byte, error) {
	for _, v := range values {
		h := ToBF16(v)
		if h&0x7fff == 0x7f80 && !math.IsInf(float64(v), 0) {
			return nil, fmt.Errorf("the number %g does not fit bf16, whose largest number is 3.3895314e+38: use f32", v)
		}
		p = binary.LittleEndian.AppendUint16(p, h)
	}
	return p, nil
}

// ToBF16 returns the bits of the bf16 nearest to v, ties to even. NaN stays NaN.
func ToBF16(v float32) uint16 {
	bits := math.Float32bits(v)
	if v != v {
		return uint16(bits>>16) | 0x40 // set the quiet bit: a NaN with payload 0 would be an infinity
	}
	return uint16((bits + 0x7fff + bits>>16&1) >> 16)
}
