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
		Op:        &backend.Copy{},
		Oracle:    Oracle(func(m Memory, o *backend.Copy) { m.Store(o.Dst, m.Load(o.X)) }),
		NonFinite: func() []Case { return append(copyNonFinite(), blockCopyNonFinite()...) },
		Cases:     copyCases,
		Random:    func(r *rand.Rand) Case { return randomCopy(r).copy() },
	})
}

type copyShape struct {
	dims     []int
	dst, x   backend.DType
	from, to Layout
	view     string // how x is looked at: "", "transposed", "columns", "broadcast"; dst too is transposed by "both"
	what     string
	values   []float64
}

func (s copyShape) String() string {
	name := fmt.Sprintf("dst=%v,x=%v,x=", s.dst, s.x) + rowShape{dims: s.dims}.String()[len("x="):]
	if s.view != "" {
		name += "," + s.view
	}
	if s.what != "" {
		name += "," + s.what
	}
	return name + s.from.String() + ",to" + s.to.String()
}

func (s copyShape) copy() Case {
	return Case{Name: "copy/" + s.String(), Edge: s.what != "", Build: func() (backend.Op, Fill) {
		x := s.from.Tensor(s.x, s.dims...)
		switch s.view {
		case "transposed", "both":
			x = x.Transpose()
		case "columns": // every second one
			wide := append(append([]int{}, s.dims...), 2)
			x = s.from.Tensor(s.x, wide...)
			copy(x.Shape[1:], x.Shape[:3])
			copy(x.Strides[1:], x.Strides[:3])
			x.Shape[0] = 1
		case "broadcast":
			x = x.Slice(2, 0, 1)
			x.Shape[2], x.Strides[2] = 5, 0
		}
		o := &backend.Copy{X: x}
		if s.view == "both" {
			d := x.Transpose()
			o.Dst = s.to.Tensor(s.dst, d.Shape[:]...).Transpose()
		} else {
			o.Dst = s.to.Tensor(s.dst, x.Shape[:]...)
		}
		return o, func(r *rand.Rand, run int) {
			if s.x == backend.I32 {
				Uniform(x, r, math.MinInt32, math.MaxInt32)
			}
			if s.values != nil {
				Set(x, s.values[run:]...)
			}
		}
	}}
}

func copyCases() []Case {
	var cases []Case
	pairs := append(plainPairs(), [2]backend.DType{backend.I32, backend.I32})
	add := func(s copyShape) {
		for _, p := range pairs {
			s.dst, s.x = p[0], p[1]
			cases = append(cases, s.copy())
		}
	}
	for i, dims := range [][]int{{1}, {2}, {3}, {1, 7}, {5, 9}, {33, 31}, {2, 63, 65}, {129, 127}, {3, 2, 5, 9}, {257, 255}, {65537}} {
		add(copyShape{dims: dims, from: Layouts[i%4], to: Layouts[(i+i/4)%4]})
		if len(dims) > 1 && len(dims) < 4 {
			for j, view := range []string{"transposed", "both", "columns", "broadcast"} {
				add(copyShape{dims: dims, view: view, from: Layouts[(i+j)%4], to: Layouts[(i+2*j+1)%4]})
			}
		}
	}
	for _, from := range Layouts {
		for _, to := range Layouts {
			add(copyShape{dims: []int{2, 3, 7}, from: from, to: to})
		}
	}
	all := append([]float64{0x1p-133, -0x1.8p-133, 0x1p-134, 0x1.8p-134, -0x1.fep127, 0x1.ffp127, 1 + 0x1p-8, 1 + 0x1.8p-7, 1e5, -1e5, 65520, -65520, 3e38, math.Inf(1), math.Inf(-1), math.NaN()}, halfEdges...)
	for _, p := range plainPairs() {
		for _, l := range Layouts {
			cases = append(cases, copyShape{dims: []int{3, 21}, dst: p[0], x: p[1], from: l, to: l,
				what: "values on the edge", values: all}.copy())
		}
	}
	return append(cases, blockCopies()...)
}

// blockCopies are those from blocks to f32 and to blocks of activations, whose
// bytes are exact.
func blockCopies() []Case {
	var cases []Case
	for _, l := range Layouts {
		for i, dims := range [][]int{{32}, {3, 64}, {2, 3, 96}, {1, 4128}} {
			for _, d := range append(fully(backend.QuantizedDTypes()), backend.Q8_A) {
				cases = append(cases, copyShape{dims: dims, dst: backend.F32, x: d, from: l, to: l}.copy())
			}
			for _, d := range backend.QuantizedDTypes() {
				if len(fully([]backend.DType{d})) == 0 && i%2 == 0 {
					wide := slices.Clone(dims)
					wide[len(dims)-1] *= d.BlockLen() / 32
					cases = append(cases, copyShape{dims: wide, dst: backend.F32, x: d, from: l, to: l}.copy())
				}
			}
			cases = append(cases, copyShape{dims: dims, dst: backend.Q8_A, x: backend.F32, from: l, to: l}.copy())
		}
		for _, e := range activationEdges {
			cases = append(cases, copyShape{dims: []int{4, 64}, dst: backend.Q8_A, x: backend.F32, from: l, to: l, what: e.what, values: e.values}.copy())
		}
	}
	return cases
}

// activationEdges are values that are hard to put into blocks.
var activationEdges = []struct {
	what   string
	values []float64
}{
	{"ties", []float64{127, 0.5, -0.5, 1.5, -1.5, 2.5, -63.5, 126.5, -126.5, 0.49999997, 1.4999999, -1.5000001, 3, 0}},
	{"ties of small ones", []float64{0x1p-17 * 127, 0x1p-18, -0x1p-18, 0x3p-18, 0x5p-18, -0x7p-18, 0x1.fffffep-18, 0x3.00001p-18, 0}},
	{"zeros", []float64{0, math.Copysign(0, -1)}},
	{"scales near 0", []float64{0x1p-24 * 127, 0x1p-24, 0x1p-25 * 127, -0x1p-24 * 190, 0x1p-26, 0x1p-140, 0x1p-126}},
	{"too small", []float64{0x1p-26 * 127, -0x1p-27 * 127, 0x1p-149, 1e-20}},
	{"clamped", []float64{0x1.8p-24 * 126, 0x1p-24 * 127.4, -0x1p-24 * 189, 0x1p-23}},
	{"too large", []float64{8e6, -8.32e6, 8.3213e6, 1e30, -3e38, 1}},
}

// plainPairs are all pairs of plain dtypes, of dst and x.
func plainPairs() (pairs [][2]backend.DType) {
	for _, dst := range backend.PlainDTypes() {
		for _, x := range backend.PlainDTypes() {
			pairs = append(pairs, [2]backend.DType{dst, x})
		}
	}
	return pairs
}

// randomCopy converts plain dtypes, or now and then blocks.
func randomCopy(r *rand.Rand) copyShape {
	d := plainPairs()[r.IntN(len(plainPairs()))]
	s := copyShape{dims: []int{1 + r.IntN(4), 1 + r.IntN(60), 1 + r.IntN(60)}, dst: d[0], x: d[1],
		view: []string{"", "transposed", "both", "columns", "broadcast"}[r.IntN(5)], from: RandomLayout(r), to: RandomLayout(r)}
	if r.IntN(4) > 0 {
		return s
	}
	s.view = []string{"", "broadcast"}[r.IntN(2)]
	if s.dst, s.x = backend.Q8_A, backend.F32; r.IntN(2) == 0 {
		s.dst, s.x = backend.F32, anyOf(r, append(backend.QuantizedDTypes(), backend.Q8_A))
	}
	s.dims[2] = max(s.dst.BlockLen(), s.x.BlockLen()) * (1 + r.IntN(6))
	return s
}
