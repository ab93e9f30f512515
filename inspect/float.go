package inspect

import (
	"math"
	"strconv"
)

// Float is a number in JSON: null if it is NaN or infinite, which JSON cannot say, and
// with the digits of a float32 where it is one.
type Float float64

// MarshalJSON writes the number.
func (f Float) MarshalJSON() ([]byte, error) {
	x := float64(f)
	switch {
	case math.IsNaN(x) || math.IsInf(x, 0):
		return []byte("null"), nil
	case float64(float32(x)) == x:
		return strconv.AppendFloat(nil, x, 'g', -1, 32), nil
	}
	return strconv.AppendFloat(nil, x, 'g', -1, 64), nil
}

// UnmarshalJSON reads what MarshalJSON writes; null is NaN.
func (f *Float) UnmarshalJSON(p []byte) error {
	if string(p) == "null" {
		*f = Float(math.NaN())
		return nil
	}
	x, err := strconv.ParseFloat(string(p), 64)
	if y := float32(x); err == nil && strconv.FormatFloat(float64(y), 'g', -1, 32) == string(p) {
		x = float64(y)
	}
	*f = Float(x)
	return err
}

// Floats are numbers as results have them.
func Floats[T float32 | float64](values []T) []Float {
	out := make([]Float, len(values))
	for i, v := range values {
		out[i] = Float(v)
	}
	return out
}
