package conformance

import (
	"fmt"
	"math/rand/v2"

	"caldera/backend"
)

// rowShape describes a case of an op that turns vectors into vectors.
type rowShape struct {
	dims   []int
	layout Layout
	what   string // of an edge case, with the fill that makes it one
	values []float64
	mean   float64
	scale  float64 // 1 if not given
}

func (s rowShape) String() string {
	name := "x="
	for i, n := range s.dims {
		if i > 0 {
			name += "x"
		}
		name += fmt.Sprint(n)
	}
	if s.what != "" {
		name += "," + s.what
	}
	return name + s.layout.String()
}

func (s rowShape) tensor() backend.Tensor { return s.layout.Tensor(backend.F32, s.dims...) }

// build makes a case of op, whose values to compute from are in x.
func (s rowShape) build(name string, tensors func() (op backend.Op, x backend.Tensor)) Case {
	return Case{Name: name + "/" + s.String(), Edge: s.what != "", Build: func() (backend.Op, Fill) {
		op, x := tensors()
		return op, func(r *rand.Rand, run int) {
			switch {
			case s.values != nil && run == 0:
				Set(x, s.values...)
			case s.values != nil: // in another order
				Set(x, append(append([]float64{}, s.values[1:]...), s.values[0])...)
			default:
				Normal(x, r, s.mean, max(s.scale, 1))
			}
		}
	}}
}

// rowShapes are those that every op on vectors is tried with.
func rowShapes(of func(rowShape) Case) []Case {
	var cases []Case
	for i, n := range [][2]int{
		{1, 1}, {1, 2}, {2, 3}, {3, 5}, {1, 7}, {7, 8}, {8, 9}, {31, 31}, {5, 33}, {33, 63}, {1, 65}, {9, 127}, {2, 129},
		{65, 255}, {3, 257}, {17, 768}, {1, 769}, {127, 64}, {257, 5}, {1, 1023}, {2, 1025}, {1, 4097}, {513, 3}, {1, 50257}, {1, 262147},
	} {
		cases = append(cases, of(rowShape{dims: n[:], layout: Layouts[i%len(Layouts)]}))
	}
	for _, l := range Layouts {
		for _, dims := range [][]int{{7}, {5, 33}, {2, 3, 20}, {2, 3, 2, 9}} {
			cases = append(cases, of(rowShape{dims: dims, layout: l}))
		}
	}
	return cases
}

func randomRows(r *rand.Rand) rowShape {
	s := rowShape{dims: []int{1 + r.IntN(70), 1 + r.IntN(500)}, layout: RandomLayout(r)}
	if r.IntN(2) == 0 {
		s.dims = append([]int{1 + r.IntN(3)}, s.dims...)
	}
	return s
}
