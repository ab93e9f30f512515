package conformance

import (
	"math"

	"caldera/backend"
)

// activated is f(x) with the error of float32 arithmetic.
func activated(f backend.Activation, x Number) Number {
	v := x.Value
	switch f {
	case backend.NoActivation:
		return x
	case backend.ReLU:
		switch {
		case v <= 0:
			x.Value = 0
		case v < 0x1p-126: // a device may flush it to 0
			x.Bound += v
		}
		return x
	}
	z, share, _ := gating(f, v)
	y := v * share
	e := tiny + 4*ulp*math.Abs(y) + 1.13*x.Bound // no slope is above 1.129
	switch {
	case f == backend.GELUTanh || f == backend.GELUErf:
		switch {
		case z < -20: // below what float32 can tell 1 + tanh, or 1 + erf, from 0 by
			e += math.Abs(y)
		case z < 20:
			e += 0.5 * math.Abs(v) * tanhError
		}
	case z < -80: // exp(−z) may be infinite
		e += math.Abs(y)
	default:
		e += math.Abs(y) * ((1-share)*expError(z) + function)
	}
	return bounded(y, e)
}

// slope is f'(x) with the error of float32 arithmetic.
func slope(f backend.Activation, x Number) Number {
	v := x.Value
	switch f {
	case backend.NoActivation:
		return Number{1, 0}
	case backend.ReLU:
		switch {
		case 0 < v && v < 0x1p-126: // a device may flush it to 0
			return Number{1, 1}
		case v > 0:
			return Number{1, 0}
		case v <= 0:
			return Number{0, 0}
		}
		return x
	case backend.GELUErf:
		z, share, _ := gating(f, v)
		bump := v * math.Exp(-v*v/2) / math.Sqrt(2*math.Pi)
		if math.IsInf(v, 0) {
			bump = 0
		}
		e := tanhError + math.Abs(bump)*expError(v*v/2) + x.Bound
		if math.Abs(z) > 100 {
			e = math.Abs(bump) + 4*ulp*share + tiny
		}
		return bounded(share+bump, e)
	}
	z, s, steep := gating(f, v)
	rest := 1 / (1 + math.Exp(z)) // 1 − s without cancellation
	if s*rest == 0 {
		steep = 0 // it may be infinite
	}
	sErr := s*rest*expError(z) + 4*ulp // absolute, as that of 1 − s may be
	e := sErr + math.Abs(steep)*(sErr*(s+rest)+8*ulp*s*rest) + 2*ulp + x.Bound
	if math.Abs(z) > 40 { // below what float32 can tell 1 − s from 0 by
		e = math.Abs(steep*s*rest) + 4*ulp*s + tiny
	}
	return bounded(s+steep*s*rest, e)
}

// gating tells of f(x) = x · share(z(x)): z, share, and x · z'(x). share is σ(z);
// that of the exact GELU is Φ(x), of which z is about as far along.
func gating(f backend.Activation, x float64) (z, share, steep float64) {
	switch f {
	case backend.GELUTanh:
		c := 2 * math.Sqrt(2/math.Pi)
		z, steep = c*(x+0.044715*x*x*x), c*x*(1+3*0.044715*x*x)
	case backend.GELUErf:
		return x * math.Abs(x), math.Erfc(-x/math.Sqrt2) / 2, 0
	case backend.GELUSigmoid:
		z, steep = 1.702*x, 1.702*x
	case backend.SiLU:
		z, steep = x, x
	}
	return z, 1 / (1 + math.Exp(-z)), steep
}
