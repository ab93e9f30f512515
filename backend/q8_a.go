package backend

import (
	"encoding/binary"
	"math"

	"github.com/x448/float16"
)

// Q8_A is the dtype of activations that are multiplied with quantised weights. No
// file holds it. A block is an f16 scale d, the sum of all q[j] as int16, then 32
// int8 q[j]. It is aligned to four bytes.
//
//	x[j] = d · q[j]
//
// The bits follow from x alone, on every backend whose products round to nearest.
// No step divides or fuses, and of the others only one product rounds:
//
//	d = largest |x| · f32(1/127), an f32 product, rounded to the nearest f16, ties to even
//	q = the integer nearest to x/d, ties away from zero, at most 127 in magnitude
//
// So the magnitude of q is the largest n up to 127 with |x| ≥ d·(n − ½); the right
// side is exact in f32. If d is 0, all q are 0. If x has NaN or an infinity, or d
// would be infinite, d is NaN (0x7e00), and all q and the sum are 0.
const Q8_A DType = 129

func init() {
	enter(Q8_A, row{
		name: "q8_a", block: 32, bytes: 36, unit: 4,
		roles: Activations,
		encode: func(p []byte, values []float32) ([]byte, error) {
			for ; len(values) > 0; values = values[32:] {
				p = appendQ8A(p, values[:32])
			}
			return p, nil
		},
		decode: func(dst []float32, p []byte) {
			for ; len(dst) > 0; dst, p = dst[32:], p[36:] {
				scale := float16.Frombits(binary.LittleEndian.Uint16(p)).Float32()
				for j, q := range p[4:36] {
					dst[j] = scale * float32(int8(q))
				}
			}
		},
	})
}

// appendQ8A appends a block.
func appendQ8A(p []byte, x []float32) []byte {
	largest := uint32(0) // bits of magnitudes sort as the numbers do, with NaN above infinity
	for _, v := range x {
		largest = max(largest, math.Float32bits(v)&0x7fffffff)
	}
	half := float16.Fromfloat32(math.Float32frombits(largest) * (1.0 / 127))
	if !half.IsFinite() {
		half = 0x7e00
	}
	p = binary.LittleEndian.AppendUint16(p, half.Bits())
	at, sum := len(p), 0
	p = append(p, 0, 0)
	d := half.Float32()
	for _, v := range x {
		n := 0
		for step := 64; step > 0 && d > 0; step /= 2 {
			if abs(v) >= d*(float32(n+step)-0.5) {
				n += step
			}
		}
		if v < 0 {
			n = -n
		}
		sum += n
		p = append(p, byte(int8(n)))
	}
	binary.LittleEndian.PutUint16(p[at:], uint16(int16(sum)))
	return p
}
