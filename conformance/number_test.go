package conformance

import (
	"math"
	"testing"

	"caldera/backend"
)

// TestBounds: a bound holds all that a right backend may give, and is never NaN, which nothing is within.
func TestBounds(t *testing.T) {
	inf := math.Inf(1)
	unknown, zero := Number{1, inf}, Number{}
	for _, c := range []struct {
		name string
		got  Number
		low  float64 // the bound is at least that, and at most high
		high float64
	}{
		{"anything times 0", unknown.Times(zero), inf, inf},
		{"0 times anything", zero.Times(unknown), inf, inf},
		{"a quotient by what may be 0", Exactly(1).Over(Number{2, 3}), inf, inf},
		{"a quotient by what may be as little as 1", Number{2, 0}.Over(Number{2, 1}), 1, 1.001},
		{"beyond the limit, and maybe within", clamped(Number{1.5, 2}, 1, false), 1.5, 1.5},
		{"below the limit, and maybe above the other", clamped(Number{-1.5, 3}, 1, false), 2.5, 2.5},
		{"beyond the limit for sure", clamped(Number{9, 2}, 1, false), ulp, ulp},
		{"as far below as it was", clamped(Number{-9, 2}, 1, true), 2, 2},
		{"infinity at the limit", clamped(Number{inf, 0}, 1, true), ulp, ulp},
	} {
		if !(c.low <= c.got.Bound && c.got.Bound <= c.high) {
			t.Errorf("%s: %v with a bound of %v, expected one of %v to %v", c.name, c.got.Value, c.got.Bound, c.low, c.high)
		}
	}
	sum, e := dot(Values{v: []float64{1, 1}, e: []float64{inf, 0}}, Values{v: []float64{0, 1}, e: make([]float64, 2)})
	out := NewValues(1)
	if out.set(0, sum, e); out.v[0] != 1 || out.e[0] != inf {
		t.Errorf("a sum with anything times 0: %v with a bound of %v, expected 1 with an infinite one", out.v[0], out.e[0])
	}
}

// TestUnknownBlocks: a row behind a norm that may hold more than blocks of activations can has no bound, also where it is multiplied with 0.
func TestUnknownBlocks(t *testing.T) {
	const in = 32
	tensor := func(d backend.DType, v float64, dims ...int) backend.Tensor {
		x := exact.Tensor(d, dims...)
		Set(x, v)
		return x
	}
	op := &backend.Linear{Dst: tensor(backend.F32, 0, 2, 1), X: tensor(backend.F32, 1, 2, in), W: exact.Tensor(backend.Q8_0, 1, in), Rounded: exact.Tensor(backend.Q8_A, 2, in),
		Norm: backend.LinearNorm{Gamma: tensor(backend.F32, 4e6, in), Beta: tensor(backend.F32, 0, in), Epsilon: 1e-12, Normed: tensor(backend.F32, 0, 2, in)}}
	clear(op.W.Buf.(*block).data)
	for i := range in { // of the other row the norm is 0, within what rounding leaves, times 1/√epsilon
		Put(op.X, 0, i, float64(i%2*2-1))
	}
	s := sheet{}
	linear(s, op)
	if got := s.Load(op.Dst); got.v[0] != 0 || got.v[1] != 0 || !finite(got.e[0]) || !math.IsInf(got.e[1], 1) {
		t.Errorf("found %v within %v, expected 0 within a finite bound, and 0 without one", got.v, got.e)
	}
}
