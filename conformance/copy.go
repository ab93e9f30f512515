package conformance

import (
	"fmt"
	"math"
	"math/rand/v2"

	"caldera/backend"
)

func init() {
	Register(Kind{
		Op:        &backend.Copy{},
		Oracle:    Oracle(func(m Memory, o *backend.Copy) { m.Store(o.Dst, m.Load(o.X)) }),
		NonFinite: copyNonFinite,
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
	return cases
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

func randomCopy(r *rand.Rand) copyShape {
	d := plainPairs()[r.IntN(len(plainPairs()))]
	return copyShape{dims: []int{1 + r.IntN(4), 1 + r.IntN(60), 1 + r.IntN(60)}, dst: d[0], x: d[1],
		view: []string{"", "transposed", "both", "columns", "broadcast"}[r.IntN(5)], from: RandomLayout(r), to: RandomLayout(r)}
}
