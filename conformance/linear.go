package conformance

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

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
			var cases []Case
			for _, s := range slices.Concat(activationShapes(), linearShapes(), halfShapes(false), roundedShapes(), plainShapes(), blockShapes(),
				withResidual(epilogueShapes(0)), withActivation(epilogueShapes(1), backend.GELUTanh),
				[]linearShape{large, tall}) {
				cases = append(cases, s.linear())
			}
			cases = append(cases, normedRowCases()...)
			for _, d := range fully(backend.DTypes(backend.Weights)[1:]) {
				cases = append(cases, roundedJoinedCases(d)...)
			}
			for _, d := range fully(backend.QuantizedDTypes()) {
				cases = append(cases, convertedCases(d)...)
			}
			cases = append(cases, simpleCases()...)
			cases = append(cases, oddHalfCases()...)
			return append(joinedCases(), cases...) // these are few and fast: mutants of them fail early
		},
		Random: func(r *rand.Rand) Case {
			if r.IntN(4) == 0 {
				return randomJoined(r).joined()
			}
			return randomLinear(r).linear()
		},
	})
}

// activationShapes tries what no other shape does: the other functions, and
// two epilogues at once.
func activationShapes() []linearShape {
	few := linearShape{rows: []int{3}, in: 64, out: 68, w: backend.F32, layout: exact}
	many := linearShape{rows: []int{12}, in: 64, out: 68, w: backend.F32, layout: exact}
	var shapes []linearShape
	for _, f := range others() {
		shapes = append(shapes, withActivation([]linearShape{few}, f)...)
	}
	return append(shapes, withResidual(withActivation([]linearShape{few, many}, backend.SiLU))...)
}

// epilogueShapes are one half or the other of linearShapes and of a few halfShapes. An
// epilogue is the same code for each storage of w, and takes pipelines of its own for each.
func epilogueShapes(half int) []linearShape {
	return slices.DeleteFunc(slices.Concat(linearShapes(), halfShapes(true)), func(s linearShape) bool {
		of := max(slices.Index(backend.PlainDTypes(), s.w), slices.Index(fully(backend.QuantizedDTypes()), s.w))
		if s.transposed {
			of++
		}
		return of%2 != half
	})
}

func withActivation(shapes []linearShape, f backend.Activation) []linearShape {
	for i := range shapes {
		shapes[i].activation = f
	}
	return shapes
}

func withResidual(shapes []linearShape) []linearShape {
	for i := range shapes {
		shapes[i].residual = true
	}
	return shapes
}

func linear(m Memory, o *backend.Linear) { linearOf(m, o, false) }

// linearOf is linear. rounded tells that x was rounded. It is behind the norm, and before all else.
func linearOf(m Memory, o *backend.Linear, rounded bool) {
	if !o.Rounded.Absent() && !o.InBlocks() && o.Norm.Gamma.Absent() {
		rest := *o
		rest.X, rest.Rounded = o.Rounded, backend.Tensor{}
		x := roundedF16(m.Load(o.X))
		x.loseSmall(o.X.Dim(-1))
		m.Store(o.Rounded, x)
		linearOf(m, &rest, true)
		return
	}
	if o.Activation == backend.NoActivation && !o.Joined() {
		products(m, o, rounded)
		return
	}
	for _, op := range o.Lower() {
		if l, ok := op.(*backend.Linear); ok {
			linearOf(m, l, rounded)
		} else if err := interpret(m, op); err != nil {
			panic(err) // each has an oracle
		}
	}
}

// loseSmall gives numbers that are small beside others of their row, of n numbers, the bounds
// that they have in a product that rounds x: see [backend.Linear].
func (x Values) loseSmall(n int) {
	for r := range len(x.v) / n {
		row, largest := x.Row(r, n), 0.0
		for _, x := range row.v {
			if finite(x) {
				largest = math.Max(largest, math.Abs(x))
			}
		}
		for i, x := range row.v {
			if math.Abs(x) < largest*0x1p-12 {
				row.e[i] += largest * 0x1p-22
			}
		}
	}
}

// products is dst = x · wᵀ + bias + residual, of which the last two may be absent.
// A backend may begin a sum with them and add the products to it. rounded tells that x was rounded.
func products(m Memory, o *backend.Linear, rounded bool) {
	w, bias, residual := o.W, o.Bias, o.Residual
	out, in, rows := w.Dim(-2), w.Dim(-1), o.X.Rows()
	xs, bs, rs, sums := m.Load(o.X), NewValues(out), NewValues(rows*out), NewValues(rows*out)
	if !bias.Absent() {
		bs = m.Load(bias)
	}
	if !residual.Absent() {
		rs = m.Load(residual)
	}
	for i := range out {
		row := m.Load(w.Slice(-2, i, i+1))
		if rounded && w.DType == backend.BF16 {
			row.loseSmall(in)
		}
		for r := range rows {
			sum, err := dot(xs.Row(r, in), row, bs.At(i), rs.At(r*out+i))
			sums.set(r*out+i, sum, err)
		}
	}
	m.Store(o.Dst, sums)
}

// linearShape describes a case of Linear.
type linearShape struct {
	rows       []int // x but for its last axis
	in, out    int
	w          backend.DType
	half       bool // x is f16, as w is
	blocks     bool // x is q8_a
	rounded    bool // x is rounded
	converted  bool // x becomes q8_a
	what       string
	x          []float64 // powers of two that rows of x are multiplied with, in turn
	spread     bool      // numbers of a row are of very different sizes
	transposed bool      // w lies in memory as [in, out]
	noBias     bool
	large      bool
	fours      bool // rows of x begin at multiples of four numbers
	layout     Layout
	activation backend.Activation
	residual   bool
}

func (s linearShape) String() string {
	x := ""
	for _, n := range append(append([]int{}, s.rows...), s.in) {
		x += fmt.Sprintf("x%d", n)
	}
	name := fmt.Sprintf("w=%v,x=%s,w=%dx%d", s.w, x[1:], s.out, s.in)
	switch {
	case s.half:
		name = "x=f16," + name
	case s.blocks:
		name = "x=q8_a," + name
	case s.rounded:
		name = "x=rounded," + name
	case s.converted:
		name = "x=to_q8_a," + name
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
	if s.activation != backend.NoActivation {
		name += "," + s.activation.String()
	}
	if s.residual {
		name += ",residual"
	}
	if s.what != "" {
		name += "," + s.what
	}
	return name + s.layout.String()
}

func (s linearShape) tensors() *backend.Linear {
	l := s.layout
	x := backend.F32
	switch {
	case s.half:
		x = backend.F16
	case s.blocks:
		x = backend.Q8_A
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
	if s.rounded {
		o.Rounded = l.Tensor(backend.F32, o.X.Shape[:]...)
	}
	if s.converted {
		o.Rounded = l.Tensor(backend.Q8_A, o.X.Shape[:]...)
	}
	if s.residual {
		o.Residual = l.Tensor(backend.F32, o.Dst.Shape[:]...)
	}
	if o.Activation = s.activation; o.HasEpilogue() {
		o.Sum = l.Tensor(backend.F32, o.Dst.Shape[:]...)
	}
	return o
}

func (s linearShape) linear() Case {
	return Case{Name: "linear/" + s.String(), Large: s.large, Edge: s.what != "", Build: func() (backend.Op, Fill) {
		o := s.tensors()
		if s.x == nil {
			return o, nil
		}
		return o, func(r *rand.Rand, run int) {
			if o.W.DType == backend.BF16 { // whose outputs may need scales too
				w := make([]float64, o.W.Len())
				for i := range w {
					w[i] = r.NormFloat64() * s.x[i/s.in%len(s.x)]
				}
				Set(o.W, w...)
			}
			x, i, n := make([]float64, o.X.Len()), 0, o.X.Dim(-1)
			for row := range o.X.Rows() {
				for range n {
					x[i] = r.NormFloat64() * s.x[(row+run)%len(s.x)]
					if s.spread && i%3 > 0 {
						x[i] = math.Ldexp(x[i], -r.IntN(40))
					}
					i++
				}
			}
			Set(o.X, x...)
		}
	}}
}

// linearShapes are of one storage of w after the other.
func linearShapes() []linearShape {
	var shapes []linearShape
	add := func(s linearShape) {
		for _, s.w = range []backend.DType{backend.F32, backend.F16} {
			for _, s.transposed = range []bool{false, true} {
				shapes = append(shapes, s)
			}
		}
	}
	for i, n := range [][3]int{ // rows, in, out
		{1, 1, 1}, {1, 2, 3}, {2, 3, 1}, {3, 5, 7}, {1, 7, 9}, {5, 8, 8}, {8, 31, 33}, {9, 64, 63},
		{1, 127, 129}, {1, 255, 257}, {1, 768, 255}, {2, 257, 65}, {1, 1023, 31}, {31, 129, 127}, {33, 65, 63},
		{63, 63, 65}, {64, 64, 64}, {65, 127, 31}, {127, 33, 9}, {129, 32, 130}, {255, 5, 3}, {257, 16, 31},
		{17, 768, 96}, {1, 3072, 65}, {4, 64, 1025}, {1, 64, 2305},
		{6, 1100, 37}, {16, 96, 20}, {32, 40, 323},
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
		{6, 1120, 37}, {16, 96, 20}, {32, 64, 68},
	} {
		for _, d := range fully(backend.QuantizedDTypes()) {
			s := linearShape{rows: n[:1:1], in: n[1], out: n[2], w: d, noBias: i%3 == 2}
			for _, s.layout = range []Layout{Layouts[i%len(Layouts)], Layouts[(i+1)%len(Layouts)]} {
				shapes = append(shapes, s)
			}
		}
	}
	for _, l := range Layouts {
		for _, d := range fully(backend.QuantizedDTypes()) {
			shapes = append(shapes, linearShape{rows: []int{2, 2, 3}, in: 96, out: 5, w: d, layout: l},
				linearShape{rows: []int{2, 9}, in: 64, out: 67, w: d, layout: l})
		}
	}
	return shapes
}

// halfShapes are of two f16. Epilogues differ in what follows the products,
// which few of them show.
func halfShapes(few bool) []linearShape {
	var shapes []linearShape
	add := func(s linearShape) {
		s.w, s.half = backend.F16, true
		for _, s.transposed = range []bool{false, true} {
			shapes = append(shapes, s)
		}
	}
	for _, l := range Layouts {
		add(linearShape{rows: []int{7}, in: 33, out: 65, layout: l})
		add(linearShape{rows: []int{2, 9}, in: 20, out: 18, noBias: true, layout: l})
	}
	add(linearShape{rows: []int{17}, in: 64, out: 68})
	if few {
		return shapes
	}
	for i, n := range [][3]int{ // rows, in, out
		{1, 1, 1}, {1, 2, 3}, {2, 3, 1}, {3, 5, 7}, {1, 127, 129}, {8, 31, 33}, {9, 64, 63}, {31, 129, 127}, {33, 65, 63}, {64, 64, 64},
		{129, 32, 130}, {255, 5, 3}, {17, 768, 96}, {1, 3072, 65}, {4, 64, 1025},
	} {
		add(linearShape{rows: n[:1:1], in: n[1], out: n[2], noBias: i%3 == 2, layout: Layouts[i%len(Layouts)]})
	}
	for _, in := range []int{3, 33, 63, 130} { // as linearShapes has them
		add(linearShape{rows: []int{9}, in: in, out: 68, fours: true})
		add(linearShape{rows: []int{2, 17}, in: in, out: 20, noBias: true, fours: true})
	}
	return shapes
}

// roundedShapes round x. Most have as many rows as tiles need, for all else is as without it.
func roundedShapes() []linearShape {
	var shapes []linearShape
	for _, d := range fully(backend.DTypes(backend.Weights)[1:]) {
		for i, n := range [][3]int{{1, 64, 7}, {33, 64, 68}, {70, 96, 133}, {40, 768, 36}} { // rows, in, out
			shapes = append(shapes, linearShape{rows: n[:1:1], in: n[1], out: n[2], w: d, rounded: true, noBias: i == 2, layout: []Layout{exact, strided}[i/2]})
		}
		shape := linearShape{rows: []int{2, 20}, in: 64, out: 36, w: d, rounded: true, layout: exact, activation: backend.GELUTanh, residual: true}
		shapes = append(shapes, shape)
		shape.activation, shape.residual = backend.NoActivation, false
		// Rows that f16 does not hold, or holds as denormals, beside others.
		shape.what, shape.x = "rows of all sizes", []float64{1, 0x1p17, 0x1p-20, 0, 0x1p60, 0x1p-60, 0x1p-3, 0x1p9}
		shapes = append(shapes, shape)
		shape.what, shape.x, shape.spread = "small numbers beside large ones", []float64{1, 0x1p20, 0x1p-18, 0x1p-2}, true
		shapes = append(shapes, shape)
	}
	for _, transposed := range []bool{false, true} {
		shapes = append(shapes, linearShape{rows: []int{35}, in: 40, out: 44, w: backend.F16, rounded: true, transposed: transposed, layout: exact},
			linearShape{rows: []int{34}, in: 33, out: 31, w: backend.BF16, rounded: true, transposed: transposed, layout: strided})
	}
	for _, d := range fully(backend.DTypes(backend.Weights)[1:]) { // rows are neighbours
		shapes = append(shapes, linearShape{rows: []int{18}, in: 64, out: 1, w: d, rounded: true, layout: exact, residual: true})
	}
	return shapes
}

// plainShapes are of plain dtypes beside f32 and f16. They are few, for each takes
// pipelines of its own.
func plainShapes() []linearShape {
	var shapes []linearShape
	for _, d := range backend.PlainDTypes()[2:] {
		for _, n := range [][3]int{{1, 64, 68}, {1, 3072, 12}, {3, 33, 31}, {5, 96, 133}, {17, 64, 68}, {33, 65, 63}} { // rows, in, out
			s := linearShape{rows: n[:1:1], in: n[1], out: n[2], w: d, noBias: n[0] == 3, layout: exact}
			if n[1]%4 != 0 {
				s.layout = strided
			}
			for _, s.transposed = range []bool{false, true} {
				shapes = append(shapes, s)
			}
		}
	}
	return shapes
}

// blockShapes have activations in blocks. They are few, as plainShapes are.
func blockShapes() []linearShape {
	var shapes []linearShape
	for _, d := range fully(backend.QuantizedDTypes()) {
		for i, n := range [][3]int{{1, 32, 1}, {1, 768, 65}, {3, 96, 33}, {1, 3072, 31}, {17, 64, 67}, {65, 128, 130}} { // rows, in, out
			for _, l := range []Layout{exact, strided} {
				shapes = append(shapes, linearShape{rows: n[:1:1], in: n[1], out: n[2], w: d, blocks: true, noBias: i%3 == 2, layout: l})
			}
		}
		shapes = append(shapes, linearShape{rows: []int{2, 9}, in: 64, out: 67, w: d, blocks: true, layout: strided})
	}
	return append(shapes, withResidual(shapes[:1])...)
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
		residual:   r.IntN(2) == 0,
	}
	if r.IntN(2) == 0 {
		s.activation = randomActivation(r)
	}
	s.half = s.w == backend.F16 && r.IntN(2) == 0
	s.rounded = s.w != backend.F32 && !s.half && r.IntN(2) == 0
	if s.w.Quantized() {
		s.blocks = !s.rounded && r.IntN(2) == 0
		s.converted = !s.rounded && !s.blocks && r.IntN(2) == 0
		s.in, s.transposed = s.w.BlockLen()*(1+s.in/s.w.BlockLen()), false
	}
	if r.IntN(4) == 0 {
		s.rows = append(s.rows[:1:1], 1+r.IntN(4))
	}
	return s
}
