package backend

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/x448/float16"
)

// What quantised dtypes share: blocks with a scale.

// largest returns the value with the largest magnitude, with its sign.
func largest(values []float32, d DType) (largest float32, err error) {
	for _, v := range values {
		if v != v {
			return 0, fmt.Errorf("NaN cannot be stored as %v", d)
		}
		if abs(v) > abs(largest) {
			largest = v
		}
	}
	return largest, nil
}

// appendScale appends the scale of a block as an f16.
func appendScale(p []byte, scale, largest float32, d DType) ([]byte, error) {
	half := float16.Fromfloat32(scale)
	if !half.IsFinite() {
		return nil, tooLarge(largest, d)
	}
	return binary.LittleEndian.AppendUint16(p, half.Bits()), nil
}

// within returns largest with an error where most is less than its magnitude.
func within(values []float32, d DType, most float32) (far float32, err error) {
	far, err = largest(values, d)
	if err == nil && abs(far) > most {
		err = tooLarge(far, d)
	}
	return far, err
}

func tooLarge(largest float32, d DType) error {
	return fmt.Errorf("the number %g is too large for %v: use f32", largest, d)
}

// half reads an f16.
func half(p []byte) float32 {
	return float16.Frombits(binary.LittleEndian.Uint16(p)).Float32()
}

// inverse returns 1 / scale, or 0 if that would overflow: such a scale is 0 in f16.
func inverse(scale float32) float32 {
	if abs(scale) > 0x1p-126 {
		return 1 / scale
	}
	return 0
}

func abs(x float32) float32 { return math.Float32frombits(math.Float32bits(x) &^ (1 << 31)) }
