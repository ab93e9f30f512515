package conformance

import "math"

// Number is a value with a bound on the error of float32 arithmetic that comes
// to it: running error analysis, as tolerance.go tells, for formulas that are
// long.
type Number struct{ Value, Bound float64 }

func (x Values) At(i int) Number { return Number{x.v[i], x.e[i]} }

func (x Values) Put(i int, n Number) { x.set(i, n.Value, n.Bound) }

// Exactly is a number that float32 holds or comes nearest to.
func Exactly(v float64) Number { return Number{v, ulp * math.Abs(v)} }

// rounded adds the error of one operation.
func rounded(v, e float64) Number { return bounded(v, e+ulp*math.Abs(v)+tiny) }

// bounded is a number whose bound counts only where it is finite.
func bounded(v, e float64) Number {
	if !finite(v) {
		e = 0
	}
	return Number{v, e}
}

func (a Number) Plus(b Number) Number  { return rounded(a.Value+b.Value, a.Bound+b.Bound) }
func (a Number) Minus(b Number) Number { return rounded(a.Value-b.Value, a.Bound+b.Bound) }
func (a Number) Times(b Number) Number {
	return rounded(a.Value*b.Value, a.Bound*math.Abs(b.Value)+math.Abs(a.Value)*b.Bound+a.Bound*b.Bound)
}

// Over is a / b, for b that its error does not make 0.
func (a Number) Over(b Number) Number {
	q := a.Value / b.Value
	return bounded(q, (a.Bound+math.Abs(q)*b.Bound)/(math.Abs(b.Value)-b.Bound)+function*math.Abs(q)+tiny)
}

// Sqrt is √a, for a ≥ 0.
func (a Number) Sqrt() Number {
	r := math.Sqrt(a.Value)
	e := math.Max(math.Sqrt(a.Value+a.Bound)-r, r-math.Sqrt(math.Max(0, a.Value-a.Bound)))
	return bounded(r, e+function*r+tiny)
}

// Sum is a float32 sum of n terms in any order.
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
