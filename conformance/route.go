package conformance

import (
	"fmt"
	"math"
	"math/rand/v2"

	"caldera/backend"
)

func init() {
	Register(Kind{
		Op:        &backend.Route{},
		Oracle:    Oracle(route),
		NonFinite: routeNonFinite,
		Cases:     routeCases,
		Random: func(r *rand.Rand) Case {
			s := randomRows(r)
			n := s.dims[len(s.dims)-1]
			return routeShape{s, 1 + r.IntN(min(n, backend.MaxChosen))}.route()
		},
	})
}

// route chooses by repeated search for the largest that is left.
func route(m Memory, o *backend.Route) {
	n, chosen := o.X.Dim(-1), o.IDs.Dim(-1)
	x := m.Load(o.X)
	ids, weights := NewValues(o.IDs.Len()), NewValues(o.IDs.Len())
	above := func(a, b float64) bool { // in the order of scores
		if denormal(a) {
			a = 0
		}
		if denormal(b) {
			b = 0
		}
		return a > b || math.IsNaN(a) && !math.IsNaN(b)
	}
	for r := range o.X.Rows() {
		row, taken, scores := x.Row(r, n), make([]bool, n), NewValues(chosen)
		for c := range chosen {
			best := -1
			for i, v := range row.v {
				if !taken[i] && (best < 0 || above(v, row.v[best])) {
					best = i
				}
			}
			taken[best] = true
			ids.v[r*chosen+c] = float64(best)
			scores.set(c, row.v[best], row.e[best])
		}
		p := softmax(scores)
		for c := range chosen {
			weights.Put(r*chosen+c, p.At(c))
		}
	}
	m.Store(o.IDs, ids)
	m.Store(o.Weights, weights)
}

// routeShape is a rowShape of Route; x takes its values.
type routeShape struct {
	rowShape
	chosen int
}

func (s routeShape) route() Case {
	c := s.build("route", func() (backend.Op, backend.Tensor) {
		x := s.tensor()
		dims := append(append([]int{}, s.dims[:len(s.dims)-1]...), s.chosen)
		return &backend.Route{IDs: s.layout.Tensor(backend.I32, dims...), Weights: s.layout.Tensor(backend.F32, dims...), X: x}, x
	})
	c.Name = fmt.Sprintf("route/%d of %s", s.chosen, c.Name[len("route/"):])
	return c
}

func routeCases() []Case {
	var cases []Case
	for i, n := range [][3]int{ // rows, experts, chosen
		{1, 1, 1}, {1, 2, 1}, {2, 2, 2}, {3, 5, 4}, {1, 8, 2}, {5, 31, 4}, {7, 32, 4}, {1, 32, 4}, {33, 33, 8}, {2, 64, 6}, {9, 65, 4},
		{1, 128, 4}, {129, 128, 8}, {3, 256, 32}, {2, 257, 9}, {1, 1024, 32}, {5, 32, 32}, {513, 7, 3},
	} {
		cases = append(cases, routeShape{rowShape{dims: n[:2], layout: Layouts[i%len(Layouts)]}, n[2]}.route())
	}
	for _, l := range Layouts {
		for _, s := range []routeShape{
			{rowShape{dims: []int{2, 3, 20}}, 4},
			{rowShape{dims: []int{2, 2, 3, 9}}, 2},
			{rowShape{dims: []int{5, 33}, what: "ties", values: []float64{1, 3, 2, 3, 0, 3, 3}}, 4},
			{rowShape{dims: []int{3, 65}, what: "equal", values: []float64{-7.5}}, 5},
			{rowShape{dims: []int{5, 8}, what: "zeros of both signs and less than normal numbers", values: []float64{math.Copysign(0, -1), 0, 1e-40, -1e-41}}, 3},
			{rowShape{dims: []int{4, 34}, what: "large", values: []float64{3e38, -3e38, 1e30, 2.9e38, -1e30}}, 3},
			{rowShape{dims: []int{3, 33}, what: "few above minus infinity", values: append([]float64{math.Inf(-1), 2, 1}, repeated(math.Inf(-1), 30)...)}, 4},
		} {
			s.layout = l
			cases = append(cases, s.route())
		}
	}
	return cases
}

func repeated(v float64, n int) []float64 {
	list := make([]float64, n)
	for i := range list {
		list[i] = v
	}
	return list
}

func routeNonFinite() []Case {
	return poisoned(SameBits, "not finite", rowLayouts, func(l Layout) (*backend.Route, Fill) {
		x := rowsOf(l)
		return &backend.Route{IDs: l.Tensor(backend.I32, poisonedRows, 4), Weights: l.Tensor(backend.F32, poisonedRows, 4), X: x}, nil
	}, func(o *backend.Route) { putRows(o.X) })
}
