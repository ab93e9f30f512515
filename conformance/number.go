package conformance

import "math"

// Number is a value with a bound: how far float32 arithmetic may be from it. Methods
// of Number compute both, so that the result of a long formula carries the bound that
// follows from its steps (running error analysis: see tolerance.go).
type Number struct{ Value, Bound float64 }

// At returns element i.
func (x Values) At(i int) Number { return Number{x.v[i], x.e[i]} }

// Put sets element i. One that is not finite is exact: its bound becomes 0.
func (x Values) Put(i int, n Number) { x.set(i, n.Value, n.Bound) }

// Exactly is a constant of a formula, rounded to float32.
func Exactly(v float64) Number { return Number{v, ulp * math.Abs(v)} }

// rounded adds the error of one operation.
func rounded(v, e float64) Number { return bounded(v, e+ulp*math.Abs(v)+tiny) }

// bounded is a number whose bound counts only where it is finite. A bound of NaN is that of
// something that may be anything, multiplied with 0: it may be NaN.
func bounded(v, e float64) Number {
	switch {
	case !finite(v):
		e = 0
	case math.IsNaN(e):
		e = math.Inf(1)
	}
	return Number{v, e}
}

// Plus is a + b.
func (a Number) Plus(b Number) Number { return rounded(a.Value+b.Value, a.Bound+b.Bound) }

// Minus is a − b.
func (a Number) Minus(b Number) Number { return rounded(a.Value-b.Value, a.Bound+b.Bound) }

// Times is a · b.
func (a Number) Times(b Number) Number {
	return rounded(a.Value*b.Value, a.Bound*math.Abs(b.Value)+math.Abs(a.Value)*b.Bound+a.Bound*b.Bound)
}

// Over is a / b. It has no bound where b may be 0.
func (a Number) Over(b Number) Number {
	q, least := a.Value/b.Value, math.Abs(b.Value)-b.Bound
	if least <= 0 {
		return bounded(q, math.Inf(1))
	}
	return bounded(q, (a.Bound+math.Abs(q)*b.Bound)/least+function*math.Abs(q)+tiny)
}

// Sqrt is √a, for a ≥ 0.
func (a Number) Sqrt() Number {
	r := math.Sqrt(a.Value)
	e := math.Max(math.Sqrt(a.Value+a.Bound)-r, r-math.Sqrt(math.Max(0, a.Value-a.Bound)))
	return bounded(r, e+function*r+tiny)
}

// Sum is the sum of n terms, which float32 arithmetic may add in any order.
func Sum(n int, term func(i int) Number) Number {
	var s Number
	magnitude := 0.0
	for i := range n {
		t := term(i)
		s.Value += t.Value
		s.Bound += t.Bound
		magnitude += math.Abs(t.Value)
	}
	return bounded(s.Value, s.Bound+sumError(n, magnitude)+float64(n)*tiny)
}
