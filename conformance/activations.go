package conformance

// Blocks of activations, which every backend must give to the bit.

import (
	"encoding/binary"
	"math"

	"github.com/x448/float16"
)

// encodeActivations writes the blocks of q8_a of values that are f32: what
// backend.Q8_A says, with quotients in float64, which are exact enough to tell on
// which side of a half they are.
func encodeActivations(to []byte, x []float64) {
	for ; len(x) > 0; x, to = x[32:], to[36:] {
		largest := 0.0
		for _, v := range x[:32] {
			largest = math.Max(largest, math.Abs(v)) // NaN where one is
		}
		scale := float16.Fromfloat32(float32(largest * float64(float32(1)/float32(127))))
		if !scale.IsFinite() {
			scale = 0x7e00
		}
		d, sum := float64(scale.Float32()), 0
		for j, v := range x[:32] {
			q := 0.0
			if d > 0 {
				q = math.Copysign(math.Min(127, math.Floor(math.Abs(v)/d+0.5)), v)
			}
			to[4+j] = byte(int8(q))
			sum += int(q)
		}
		binary.LittleEndian.PutUint16(to, uint16(scale))
		binary.LittleEndian.PutUint16(to[2:], uint16(int16(sum)))
	}
}
