package backend

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/x448/float16"
)

// F16 is IEEE 754 binary16 (half). Numbers are rounded to the nearest, ties to even.
const F16 DType = 2

func init() {
	enter(F16, row{
		name: "f16", block: 1, bytes: 2, unit: 2,
		roles:  Weights | Targets | Caches | Activations,
		gguf:   &gguf{tensor: 1, file: 1},
		encode: encodeF16,
		decode: func(dst []float32, p []byte) {
			for i := range dst {
				dst[i] = float16.Frombits(binary.LittleEndian.Uint16(p[2*i:])).Float32()
			}
		},
	})
}

func encodeF16(p []byte, values []float32) ([]byte, error) {
	for _, v := range values {
		h := float16.Fromfloat32(v)
		if h.IsInf(0) && !math.IsInf(float64(v), 0) {
			return nil, fmt.Errorf("the number %g does not fit f16, whose largest number is 65504: use f32", v)
		}
		p = binary.LittleEndian.AppendUint16(p, h.Bits())
	}
	return p, nil
}
