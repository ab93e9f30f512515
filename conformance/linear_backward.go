package conformance

import (
	"fmt"
	"math/rand/v2"

	"caldera/backend"
)

func init() {
	Register(Kind{
		Op:        &backend.LinearBackward{},
		Training:  true,
		Oracle:    Oracle(linearBackward),
		NonFinite: linearBackwardNonFinite,
		Cases:     linearBackwardCases,
		Random: func(r *rand.Rand) Case {
			s := linearBackwardShape{rows: []int{1 + r.IntN(90)}, in: 1 + r.IntN(90), out: 1 + r.IntN(90),
				half: r.IntN(2) == 0, transposed: r.IntN(2) == 0, noBias: r.IntN(3) == 0, layout: RandomLayout(r)}
			if r.IntN(3) == 0 {
				s.rows = append(s.rows, 1+r.IntN(4))
			}
			return s.linearBackward()
		},
	})
}

func linearBackward(m Memory, o *backend.LinearBackward) {
	out, in, rows := o.DY.Dim(-1), o.X.Dim(-1), o.X.Rows()
	x, dy, dw := m.Load(o.X), m.Load(o.DY), m.Load(o.DW)
	for i := range out {
		for j := range in {
			s := Sum(rows, func(r int) Number {
				a, b := r*out+i, r*in+j
				return Number{dy.v[a] * x.v[b], 0}
			})
			dw.Put(i*in+j, dw.At(i*in+j).Plus(s))
		}
	}
	m.Store(o.DW, dw)
	if o.DBias.Absent() {
		return
	}
	dbias := m.Load(o.DBias)
	for i := range out {
		dbias.Put(i, dbias.At(i).Plus(Sum(rows, func(r int) Number { return dy.At(r*out + i) })))
	}
	m.Store(o.DBias, dbias)
}

type linearBackwardShape struct {
	rows       []int // x but for its last axis
	in, out    int
	half       bool // x and dy are f16
	transposed bool // dw lies in memory as [in, out]
	noBias     bool
	fours      bool // rows of x and dy begin at multiples of four numbers
	layout     Layout
}

func (s linearBackwardShape) linearBackward() Case {
	x := ""
	for _, n := range append(append([]int{}, s.rows...), s.in) {
		x += fmt.Sprintf("x%d", n)
	}
	name, d := fmt.Sprintf("x=%s,dw=%dx%d", x[1:], s.out, s.in), backend.F32
	if s.half {
		name, d = "x=f16,"+name, backend.F16
	}
	if s.transposed {
		name += "T"
	}
	if s.noBias {
		name += ",nobias"
	}
	if s.fours {
		name += ",fours"
	}
	return Case{Name: "linear_backward/" + name + s.layout.String(), Build: func() (backend.Op, Fill) {
		l := s.layout
		rows := func(n int) backend.Tensor {
			dims := append(append([]int{}, s.rows...), n)
			if s.fours {
				return l.fours(d, dims...)
			}
			return l.Tensor(d, dims...)
		}
		o := &backend.LinearBackward{DY: rows(s.out), X: rows(s.in)}
		if s.transposed {
			o.DW = l.Tensor(backend.F32, s.in, s.out).Transpose()
		} else {
			o.DW = l.Tensor(backend.F32, s.out, s.in)
		}
		if !s.noBias {
			o.DBias = l.Tensor(backend.F32, s.out)
		}
		return o, nil
	}}
}

func linearBackwardCases() []Case {
	var cases []Case
	add := func(s linearBackwardShape) {
		for _, s.transposed = range []bool{false, true} {
			cases = append(cases, s.linearBackward())
		}
	}
	half := func(s linearBackwardShape) {
		add(s)
		s.half = true
		add(s)
	}
	half(linearBackwardShape{rows: []int{64}, in: 64, out: 68})
	half(linearBackwardShape{rows: []int{3}, in: 1, out: 1})
	for i, n := range [][3]int{ // rows, in, out
		{1, 1, 1}, {1, 2, 3}, {2, 3, 1}, {3, 5, 7}, {7, 1, 9}, {5, 8, 8}, {8, 31, 33}, {9, 64, 63}, {127, 9, 5}, {31, 129, 127},
		{33, 65, 63}, {63, 63, 65}, {64, 64, 64}, {129, 32, 130}, {257, 16, 31}, {1025, 7, 3}, {17, 768, 33}, {5, 12, 1025},
	} {
		add(linearBackwardShape{rows: n[:1:1], in: n[1], out: n[2], noBias: i%3 == 2, layout: Layouts[i%len(Layouts)]})
	}
	for _, n := range [][2]int{{1, 1}, {33, 65}, {62, 127}, {64, 131}} { // in, out
		half(linearBackwardShape{rows: []int{9}, in: n[0], out: n[1], fours: true})
		add(linearBackwardShape{rows: []int{2, 17}, in: n[0], out: n[1], fours: true, noBias: true})
	}
	// Few numbers from many vectors, of which a backend may make several sums.
	half(linearBackwardShape{rows: []int{2051}, in: 20, out: 36})
	half(linearBackwardShape{rows: []int{1537}, in: 65, out: 67})
	add(linearBackwardShape{rows: []int{70_003}, in: 5, out: 3}) // more than some drivers take rounds of a loop
	for _, l := range Layouts {
		for _, noBias := range []bool{false, true} {
			half(linearBackwardShape{rows: []int{7}, in: 33, out: 65, noBias: noBias, layout: l})
			add(linearBackwardShape{rows: []int{2, 3}, in: 20, out: 18, noBias: noBias, layout: l})
			add(linearBackwardShape{rows: []int{2, 2, 3}, in: 9, out: 5, noBias: noBias, layout: l})
		}
	}
	return cases
}
