package setting

import "math"

// TopP is a top-p that a user asks for, as package gpt takes it. For users 0 is the likeliest token
// alone, as in llama.cpp, where 0 is off in package gpt.
func TopP(p float64) (float64, error) {
	switch {
	case !(p >= 0 && p <= 1): // NaN too
		return 0, Errorf("{top-p}: found %v, expected 0 (the likeliest token alone) to 1 (off)", p)
	case p == 0:
		return math.SmallestNonzeroFloat64, nil
	}
	return p, nil
}
