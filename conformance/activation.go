package conformance

import (
	"math"

	"caldera/backend"
)

// What activation functions and their slopes are, with bounds on the error of
// float32 arithmetic; x is exact.

func activation(f backend.Activation, x float64) number {
	switch f {
	case backend.GELUTanh:
		z := math.Sqrt(2/math.Pi) * (x + 0.044715*x*x*x)
		y := 0.5 * x * (1 + math.Tanh(z))
		if z < -10 {
			y = x / (1 + math.Exp(-2*z)) // the same, without cancellation
		}
		return halfOf(x, y, z)
	case backend.GELUErf:
		return halfOf(x, 0.5*x*math.Erfc(-x/math.Sqrt2), x/math.Sqrt2)
	case backend.GELUSigmoid:
		return swish(x, 1.702)
	case backend.SiLU:
		return swish(x, 1)
	}
	return number{math.Max(x, 0), 0} // ReLU
}

// halfOf bounds y = ½·x·(1 + f(z)), f being tanh or erf.
func halfOf(x, y, z float64) number {
	e := tiny + 4*ulp*math.Abs(y)
	switch {
	case z < -10: // below what float32 can tell 1 + f from 0 by
		e += math.Abs(y)
	case z < 10:
		e += 0.5 * math.Abs(x) * tanhError
	}
	return bounded(y, e)
}

// swish is x·σ(scale·x).
func swish(x, scale float64) number {
	z := scale * x
	s, rest := logistic(z)
	// Where s is as small as a denormal, exp(−z) may be infinite.
	return bounded(x*s, tiny+math.Abs(x)*math.Min(tiny, s)+math.Abs(x*s)*(rest*expError(z)+8*ulp))
}

// logistic is σ(z), and 1 − σ(z) without cancellation.
func logistic(z float64) (s, rest float64) { return 1 / (1 + math.Exp(-z)), 1 / (1 + math.Exp(z)) }

// slope is the derivative of a function at x.
func slope(f backend.Activation, x float64) number {
	switch f {
	case backend.GELUTanh:
		c := 2 * math.Sqrt(2/math.Pi)
		return swishSlope(x, c*(x+0.044715*x*x*x), c*(1+3*0.044715*x*x))
	case backend.GELUErf:
		phi, steep := 0.5*math.Erfc(-x/math.Sqrt2), 0.0
		if e := math.Exp(-x * x / 2); e > 0 {
			steep = x * e / math.Sqrt(2*math.Pi)
		}
		if math.Abs(x) > 14 { // below what float32 can tell 1 + erf from 0 by
			return bounded(phi+steep, math.Abs(steep)+4*ulp*phi+tiny)
		}
		return bounded(phi+steep, 0.5*tanhError+math.Abs(steep)*(expError(x*x/2)+8*ulp)+2*ulp)
	case backend.GELUSigmoid:
		return swishSlope(x, 1.702*x, 1.702)
	case backend.SiLU:
		return swishSlope(x, x, 1)
	}
	switch { // ReLU
	case x > 0:
		return number{1, 0}
	case x <= 0:
		return number{0, 0}
	}
	return number{x, 0}
}

// swishSlope is the derivative of x·σ(z) at x, where z has the derivative dz.
func swishSlope(x, z, dz float64) number {
	s, rest := logistic(z)
	steep := 0.0 // x · z'
	if s*rest > 0 {
		steep = x * dz
	}
	sErr := s*rest*expError(z) + 4*ulp // absolute, as that of 1 − s may be
	if math.Abs(z) > 100 {             // exp is 0 or infinite
		sErr = tiny
	}
	e := math.Abs(steep)*(sErr*(s+rest)+8*ulp*s*rest) + sErr + 2*ulp
	if math.Abs(z) > 40 { // below what float32 can tell 1 − s from 0 by
		e = math.Abs(steep*s*rest) + 4*ulp*s + tiny
	}
	return bounded(s+steep*s*rest, e)
}
