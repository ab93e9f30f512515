package conformance

import "math"

// number is a value with a bound on the error of float32 arithmetic that comes
// to it: running error analysis, as tolerance.go tells, for formulas that are
// long.
type number struct{ v, e float64 }

func (x values) at(i int) number { return number{x.v[i], x.e[i]} }

func (x values) put(i int, n number) { x.set(i, n.v, n.e) }

// exactly is a number that float32 holds or comes nearest to.
func exactly(v float64) number { return number{v, ulp * math.Abs(v)} }

// rounded adds the error of one operation.
func rounded(v, e float64) number { return bounded(v, e+ulp*math.Abs(v)+tiny) }

// bounded is a number whose bound counts only where it is finite.
func bounded(v, e float64) number {
	if !finite(v) {
		e = 0
	}
	return number{v, e}
}

func (a number) plus(b number) number  { return rounded(a.v+b.v, a.e+b.e) }
func (a number) minus(b number) number { return rounded(a.v-b.v, a.e+b.e) }
func (a number) times(b number) number {
	return rounded(a.v*b.v, a.e*math.Abs(b.v)+math.Abs(a.v)*b.e+a.e*b.e)
}

// over is a / b, for b that its error does not make 0.
func (a number) over(b number) number {
	q := a.v / b.v
	return bounded(q, (a.e+math.Abs(q)*b.e)/(math.Abs(b.v)-b.e)+function*math.Abs(q)+tiny)
}

// root is √a, for a ≥ 0.
func (a number) root() number {
	r := math.Sqrt(a.v)
	e := math.Max(math.Sqrt(a.v+a.e)-r, r-math.Sqrt(math.Max(0, a.v-a.e)))
	return bounded(r, e+function*r+tiny)
}

// sum is a float32 sum of n terms in any order.
func sum(n int, term func(i int) number) number {
	var s number
	magnitude := 0.0
	for i := range n {
		t := term(i)
		s.v += t.v
		s.e += t.e
		magnitude += math.Abs(t.v)
	}
	return bounded(s.v, s.e+sumError(n, magnitude)+float64(n)*tiny)
}
