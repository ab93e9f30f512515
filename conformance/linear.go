package conformance

import (
	"fmt"
	"math"
	"math/rand/v2"

	"caldera/backend"
)

func init() {
	Register(Kind{
		Op:        &backend.Linear{},
		Oracle:    Oracle(linear),
		NonFinite: linearNonFinite,
		Cases: func() []Case {
			// GPT-2's token matrix in f32 is 147 MiB; bindings may end at 128.
			large := linearShape{rows: []int{2}, in: 768, out: 50257, w: backend.F32, noBias: true, large: true}
			// The gradient of scores has as many inputs as the vocabulary has
			// tokens: more than some drivers take rounds of a loop.
			tall := linearShape{rows: []int{1}, in: 70_003, out: 5, w: backend.F32, transposed: true}
			cases := append(linearCases((linearShape).linear), halfCases((linearShape).linear, false)...)
			return append(append(cases, plainCases()...), large.linear(), tall.linear())
		},
		Random: func(r *rand.Rand) Case { return randomLinear(r).linear() },
	})
}

func linear(m Memory, o *backend.Linear) {
	out, in, rows := o.W.Dim(-2), o.W.Dim(-1), o.X.Rows()
	x := m.Load(o.X)
	bias := NewValues(out)
	if !o.Bias.Absent() {
		bias = m.Load(o.Bias)
	}
	dst := NewValues(rows * out)
	for i := range out {
		w := m.Load(o.W.Slice(-2, i, i+1))
		for r := range rows {
			sum, err := dot(x.Row(r, in), w)
			sum += bias.v[i]
			err += bias.e[i] + ulp*(math.Abs(sum)+math.Abs(bias.v[i]))
			dst.set(r*out+i, sum, err)
		}
	}
	m.Store(o.Dst, dst)
}

// linearShape describes a case of Linear or of an op that it is part of.
type linearShape struct {
	rows       []int // x but for its last axis
	in, out    int
	w          backend.DType
	half       bool // x is f16, as w is
	transposed bool // w lies in memory as [in, out]
	noBias     bool
	large      bool
	fours      bool // rows of x begin at multiples of four numbers
	layout     Layout
}

func (s linearShape) String() string {
	x := ""
	for _, n := range append(append([]int{}, s.rows...), s.in) {
		x += fmt.Sprintf("x%d", n)
	}
	name := fmt.Sprintf("w=%v,x=%s,w=%dx%d", s.w, x[1:], s.out, s.in)
	if s.half {
		name = "x=f16," + name
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
	return name + s.layout.String()
}

func (s linearShape) tensors() *backend.Linear {
	l := s.layout
	x := backend.F32
	if s.half {
		x = backend.F16
	}
	o := &backend.Linear{
		Dst: l.Tensor(backend.F32, append(append([]int{}, s.rows...), s.out)...),
		X:   l.Tensor(x, append(append([]int{}, s.rows...), s.in)...),
	}
	if s.fours {
		o.X = l.fours(x, append(append([]int{}, s.rows...), s.in)...)
	}
	if s.transposed {
		o.W = l.Tensor(s.w, s.in, s.out).Transpose()
	} else {
		o.W = l.Tensor(s.w, s.out, s.in)
	}
	o.W.Buf.(*block).constant = s.large
	if !s.noBias {
		o.Bias = l.Tensor(backend.F32, s.out)
	}
	return o
}

func (s linearShape) linear() Case {
	return Case{Name: "linear/" + s.String(), Large: s.large, Build: func() (backend.Op, Fill) { return s.tensors(), nil }}
}

// linearCases makes a case of each shape, for one of the ops around Linear.
func linearCases(of func(linearShape) Case) []Case {
	var cases []Case
	add := func(s linearShape) {
		for _, s.w = range []backend.DType{backend.F32, backend.F16} {
			for _, s.transposed = range []bool{false, true} {
				cases = append(cases, of(s))
			}
		}
	}
	for i, n := range [][3]int{ // rows, in, out
		{1, 1, 1}, {1, 2, 3}, {2, 3, 1}, {3, 5, 7}, {1, 7, 9}, {5, 8, 8}, {8, 31, 33}, {9, 64, 63},
		{1, 127, 129}, {1, 255, 257}, {1, 768, 255}, {2, 257, 65}, {1, 1023, 31}, {31, 129, 127}, {33, 65, 63},
		{63, 63, 65}, {64, 64, 64}, {65, 127, 31}, {127, 33, 9}, {129, 32, 130}, {255, 5, 3}, {257, 16, 31},
		{17, 768, 96}, {1, 3072, 65}, {4, 64, 1025}, {1, 64, 2305},
	} {
		add(linearShape{rows: n[:1:1], in: n[1], out: n[2], noBias: i%3 == 2, layout: Layouts[i%len(Layouts)]})
	}
	for _, l := range Layouts {
		for _, noBias := range []bool{false, true} {
			add(linearShape{rows: []int{7}, in: 33, out: 65, noBias: noBias, layout: l})
			add(linearShape{rows: []int{1}, in: 96, out: 67, noBias: noBias, layout: l})
			add(linearShape{rows: []int{2, 3}, in: 20, out: 18, noBias: noBias, layout: l})
			add(linearShape{rows: []int{2, 2, 3}, in: 9, out: 5, noBias: noBias, layout: l})
		}
	}
	for _, in := range []int{3, 33, 63, 130} { // such rows, so that the gradient of scores is multiplied fast
		add(linearShape{rows: []int{9}, in: in, out: 68, fours: true})
		add(linearShape{rows: []int{2, 17}, in: in, out: 20, noBias: true, fours: true})
		add(linearShape{rows: []int{1}, in: in, out: 12, fours: true})
	}
	for i, n := range [][3]int{ // rows, in, out
		{1, 32, 1}, {1, 64, 3}, {2, 96, 33}, {3, 32, 129}, {1, 768, 65}, {1, 3072, 31}, {4, 320, 17}, {7, 64, 66},
		{9, 96, 63}, {33, 128, 65}, {64, 64, 64}, {129, 32, 130}, {17, 768, 96}, {1, 64, 2305},
	} {
		for _, d := range backend.QuantizedDTypes() {
			s := linearShape{rows: n[:1:1], in: n[1], out: n[2], w: d, noBias: i%3 == 2}
			for _, s.layout = range []Layout{Layouts[i%len(Layouts)], Layouts[(i+1)%len(Layouts)]} {
				cases = append(cases, of(s))
			}
		}
	}
	for _, l := range Layouts {
		for _, d := range backend.QuantizedDTypes() {
			cases = append(cases, of(linearShape{rows: []int{2, 2, 3}, in: 96, out: 5, w: d, layout: l}),
				of(linearShape{rows: []int{2, 9}, in: 64, out: 67, w: d, layout: l}))
		}
	}
	return cases
}

// halfCases makes cases of two f16. Ops around Linear differ in what follows the
// products, which few of them show.
func halfCases(of func(linearShape) Case, few bool) []Case {
	var cases []Case
	add := func(s linearShape) {
		s.w, s.half = backend.F16, true
		for _, s.transposed = range []bool{false, true} {
			cases = append(cases, of(s))
		}
	}
	for _, l := range Layouts {
		add(linearShape{rows: []int{7}, in: 33, out: 65, layout: l})
		add(linearShape{rows: []int{2, 9}, in: 20, out: 18, noBias: true, layout: l})
	}
	add(linearShape{rows: []int{17}, in: 64, out: 68})
	if few {
		return cases
	}
	for i, n := range [][3]int{ // rows, in, out
		{1, 1, 1}, {1, 2, 3}, {2, 3, 1}, {3, 5, 7}, {1, 127, 129}, {8, 31, 33}, {9, 64, 63}, {31, 129, 127}, {33, 65, 63}, {64, 64, 64},
		{129, 32, 130}, {255, 5, 3}, {17, 768, 96}, {1, 3072, 65}, {4, 64, 1025},
	} {
		add(linearShape{rows: n[:1:1], in: n[1], out: n[2], noBias: i%3 == 2, layout: Layouts[i%len(Layouts)]})
	}
	for _, in := range []int{3, 33, 63, 130} { // as linearCases has them
		add(linearShape{rows: []int{9}, in: in, out: 68, fours: true})
		add(linearShape{rows: []int{2, 17}, in: in, out: 20, noBias: true, fours: true})
	}
	return cases
}

// plainCases are those of plain dtypes beside f32 and f16. They are few, for each
// takes pipelines of its own.
func plainCases() []Case {
	var cases []Case
	for _, d := range backend.PlainDTypes()[2:] {
		for _, n := range [][3]int{{1, 64, 68}, {1, 3072, 12}, {3, 33, 31}, {17, 64, 68}, {33, 65, 63}} { // rows, in, out
			s := linearShape{rows: n[:1:1], in: n[1], out: n[2], w: d, noBias: n[0] == 3, layout: exact}
			if n[1]%4 != 0 {
				s.layout = strided
			}
			for _, s.transposed = range []bool{false, true} {
				cases = append(cases, s.linear())
			}
		}
	}
	return cases
}

func randomLinear(r *rand.Rand) linearShape {
	s := linearShape{
		rows:       []int{[]int{1, 1 + r.IntN(8), 1 + r.IntN(80)}[r.IntN(3)]},
		in:         1 + r.IntN(300),
		out:        1 + r.IntN(300),
		w:          anyOf(r, backend.DTypes(backend.Weights)),
		transposed: r.IntN(2) == 0,
		noBias:     r.IntN(3) == 0,
		layout:     RandomLayout(r),
	}
	s.half = s.w == backend.F16 && r.IntN(2) == 0
	if s.w.Quantized() {
		s.in, s.transposed = 32*(1+s.in/32), false
	}
	if r.IntN(4) == 0 {
		s.rows = append(s.rows[:1:1], 1+r.IntN(4))
	}
	return s
}
