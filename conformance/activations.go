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
		scale := activationScale(largest)
		d, sum := float64(scale.Float32()), 0
		for j, v := range x[:32] {
			q := activationNumber(v, d)
			to[4+j] = byte(int8(q))
			sum += int(q)
		}
		binary.LittleEndian.PutUint16(to, uint16(scale))
		binary.LittleEndian.PutUint16(to[2:], uint16(int16(sum)))
	}
}

// activationScale is the scale of a block with numbers up to largest in magnitude.
func activationScale(largest float64) float16.Float16 {
	scale := float16.Fromfloat32(float32(largest * float64(float32(1)/float32(127))))
	if !scale.IsFinite() {
		return 0x7e00
	}
	return scale
}

// activationNumber is v in a block of scale d, as an integer.
func activationNumber(v, d float64) float64 {
	if !(d > 0) {
		return 0
	}
	return math.Copysign(math.Min(127, math.Floor(math.Abs(v)/d+0.5)), v)
}

// activationBounds sets how far blocks of numbers may be from held, what encodeActivations gives
// of v, where these may be as far as e from v: a number may be rounded to the next one, and so may the scale.
func activationBounds(bounds, held, v, e []float64) {
	for i := 0; i < len(v); i += 32 {
		low, high := 0.0, 0.0 // of the largest magnitude
		for j := i; j < i+32; j++ {
			low, high = math.Max(low, math.Abs(v[j])-e[j]), math.Max(high, math.Abs(v[j])+e[j])
		}
		from, to := activationScale(low), activationScale(high)
		for j := i; j < i+32; j++ {
			switch {
			case !finite(held[j]) || e[j] == 0 && from == to:
				bounds[j] = 0
			case !to.IsFinite():
				bounds[j] = math.Inf(1)
			case to-from > 1: // whatever the scale
				d := float64(to.Float32())
				bounds[j] = math.Abs(held[j]-v[j]) + e[j] + d/2 + math.Max(0, math.Abs(v[j])+e[j]-127*float64(from.Float32()))
			default:
				for _, scale := range []float16.Float16{from, to} {
					d := float64(scale.Float32())
					for _, v := range []float64{v[j] - e[j], v[j] + e[j]} {
						bounds[j] = math.Max(bounds[j], math.Abs(d*activationNumber(v, d)-held[j]))
					}
				}
			}
		}
	}
}
