package backend

import (
	"encoding/binary"
	"math"
)

// F32 is IEEE 754 binary32 (float32). It is the dtype of all results, and each op
// accepts it for each operand that holds real numbers.
const F32 DType = 1

func init() {
	enter(F32, row{
		name: "f32", block: 1, bytes: 4, unit: 4,
		roles: Weights | Targets | Caches | Activations,
		gguf:  &gguf{tensor: 0, file: 0},
		encode: func(p []byte, values []float32) ([]byte, error) {
			for _, v := range values {
				p = binary.LittleEndian.AppendUint32(p, math.Float32bits(v))
			}
			return p, nil
		},
		decode: func(dst []float32, p []byte) {
			for i := range dst {
				dst[i] = math.Float32frombits(binary.LittleEndian.Uint32(p[4*i:]))
			}
		},
	})
}
