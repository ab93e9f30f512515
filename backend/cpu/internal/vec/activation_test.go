package vec

import (
	"fmt"
	"math"
	"slices"
	"testing"
)

// activations are the functions, with what they and their slopes are in float64.
var activations = []struct {
	name        string
	f           func(dst, x []float32)
	back        func(dx, x, dy []float32)
	want, slope func(x float64) float64
}{
	{"gelu_tanh", GELUTanh, GELUTanhBackward,
		func(x float64) float64 { return x * sigma(2*math.Sqrt(2/math.Pi)*(x+0.044715*x*x*x)) },
		func(x float64) float64 {
			c := 2 * math.Sqrt(2/math.Pi)
			s := sigma(c * (x + 0.044715*x*x*x))
			return s + x*s*(1-s)*c*(1+3*0.044715*x*x)
		}},
	{"gelu_erf", GELUErf, GELUErfBackward,
		func(x float64) float64 { return x * 0.5 * math.Erfc(-x/math.Sqrt2) },
		func(x float64) float64 {
			return 0.5*math.Erfc(-x/math.Sqrt2) + x*math.Exp(-x*x/2)/math.Sqrt(2*math.Pi)
		}},
	{"gelu_sigmoid", GELUSigmoid, GELUSigmoidBackward,
		func(x float64) float64 { return x * sigma(1.702*x) },
		func(x float64) float64 { s := sigma(1.702 * x); return s + x*s*(1-s)*1.702 }},
	{"silu", SiLU, SiLUBackward,
		func(x float64) float64 { return x * sigma(x) },
		func(x float64) float64 { s := sigma(x); return s + x*s*(1-s) }},
	{"relu", ReLU, ReLUBackward,
		func(x float64) float64 { return max(x, 0) },
		func(x float64) float64 {
			if x > 0 {
				return 1
			}
			return x * 0
		}},
}

func sigma(x float64) float64 { return 1 / (1 + math.Exp(-x)) }

func TestActivations(t *testing.T) {
	eachPath(t, func(t *testing.T) {
		x := everyKind()
		y := make([]float32, len(x))
		for _, a := range activations {
			a.f(y, x)
			for i, v := range x {
				// An argument of exp that is rounded costs as many parts of the
				// result as it is large, which matters where that has all but
				// vanished; where exp is ∞, or 0, the result is 0.
				tolerance := 1e-6
				if v < -3 {
					tolerance = 1.5e-5
				}
				want := a.want(float64(v))
				near(t, fmt.Sprintf("%s(%v)", a.name, v), float64(y[i]), want, math.Abs(want)*tolerance+3e-37)
			}
			for _, n := range lengths {
				x := random(n, 2)
				want := make([]float32, n)
				a.f(want, x)
				a.f(x, x) // in place
				if !slices.Equal(x, want) {
					t.Errorf("%s, n=%d: in place differs", a.name, n)
				}
			}
		}
	})
}

func TestActivationGradients(t *testing.T) {
	eachPath(t, func(t *testing.T) {
		x := everyKind()
		dx, dy := make([]float32, len(x)), make([]float32, len(x))
		for i := range dy {
			dy[i] = float32(1 + i%3)
		}
		for _, a := range activations {
			a.back(dx, x, dy)
			for i, v := range x {
				want := a.slope(float64(v))
				switch {
				case v > 40:
					want = 1
				case v < -40:
					want = 0
				}
				near(t, fmt.Sprintf("slope of %s at %v", a.name, v), float64(dx[i]), want*float64(dy[i]), 1e-6*float64(dy[i]))
			}
			for _, n := range lengths {
				x, dy := random(n, 2), random(n, 1)
				want := make([]float32, n+1)
				want[n] = 77
				a.back(want[:n], x, dy)
				for i := range n {
					near(t, a.name, float64(want[i]), a.slope(float64(x[i]))*float64(dy[i]), 2e-6*math.Abs(float64(dy[i])))
				}
				a.back(x, x, dy) // in place
				if !slices.Equal(x, want[:n]) || want[n] != 77 {
					t.Errorf("%s, n=%d: in place differs, or an element past the end was written", a.name, n)
				}
			}
		}
	})
}
