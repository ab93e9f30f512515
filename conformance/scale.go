package conformance

import (
	"fmt"
	"math"
	"math/rand/v2"

	"caldera/backend"
)

func init() {
	Register(Kind{
		Op:        &backend.Scale{},
		Oracle:    Oracle(scale),
		NonFinite: scaleNonFinite,
		Cases:     scaleCases,
		Random: func(r *rand.Rand) Case {
			s := scaleShape{rowShape: randomRows(r), factors: RandomLayout(r)}
			for i := range 3 {
				s.one[i] = r.IntN(2) == 0
			}
			return s.scale()
		},
	})
}

// scale multiplies element by element. A product that is a float32 has no error:
// those by 1, by 0 and by powers of two. A device may take denormal numbers for 0.
func scale(m Memory, o *backend.Scale) {
	x, by := m.Load(o.X), m.Load(o.Factors())
	dst := NewValues(len(x.v))
	for i := range x.v {
		a, b := perhapsZero(x.At(i)), perhapsZero(by.At(i/o.X.Dim(-1)))
		product := a.Times(b)
		if v := product.Value; a.Bound == 0 && b.Bound == 0 && v == float64(float32(v)) && !denormal(v) {
			product.Bound = 0
		}
		dst.Put(i, product)
	}
	m.Store(o.Dst, dst)
}

func denormal(v float64) bool { return v != 0 && math.Abs(v) < 0x1p-126 }

// perhapsZero is x, with a bound that allows 0 where it is denormal.
func perhapsZero(x Number) Number {
	if denormal(x.Value) {
		x.Bound += tiny
	}
	return x
}

// scaleShape is a rowShape of Scale; x takes its values.
type scaleShape struct {
	rowShape
	factors Layout
	one     [3]bool // axes along which by has length 1
	by      []float64
	product bool // x and dst are heads, in the middle of the rows of a product
}

func (s scaleShape) String() string {
	name := fmt.Sprintf("by=%v,%s", s.shape(), s.rowShape)
	if s.product {
		name += ",heads of a product"
	}
	if s.factors != s.layout {
		name += ",by" + s.factors.String()
	}
	return name
}

// shape is that of by.
func (s scaleShape) shape() [4]int {
	shape := backend.Of(nil, backend.F32, 0, s.dims...).Shape
	for i, one := range s.one {
		if one {
			shape[i] = 1
		}
	}
	shape[3] = 1
	return shape
}

// rows makes x or dst.
func (s scaleShape) rows() backend.Tensor {
	if !s.product {
		return s.tensor()
	}
	batch, time, heads, size := s.dims[0], s.dims[1], s.dims[2], s.dims[3]
	t := s.layout.Tensor(backend.F32, batch, time, 3*heads*size).Slice(-1, heads*size, 2*heads*size)
	t.Shape, t.Strides = [4]int{batch, time, heads, size}, [4]int{t.Strides[1], t.Strides[2], size, 1}
	return t
}

func (s scaleShape) scale() Case {
	shape := s.shape()
	c := s.build("scale", func() (backend.Op, backend.Tensor) {
		x := s.rows()
		return &backend.Scale{Dst: s.rows(), X: x, By: s.factors.Tensor(backend.F32, shape[:]...)}, x
	})
	c.Name = "scale/" + s.String()
	if s.by == nil {
		return c
	}
	build := c.Build
	c.Build = func() (backend.Op, Fill) {
		op, x := build()
		return op, func(r *rand.Rand, run int) {
			x(r, run)
			by := s.by
			if run == 1 { // in another order
				by = append(append([]float64{}, by[1:]...), by[0])
			}
			Set(op.(*backend.Scale).By, by...)
		}
	}
	return c
}

func scaleCases() []Case {
	cases := rowShapes(func(s rowShape) Case { return scaleShape{rowShape: s, factors: s.layout}.scale() })
	all := [3]bool{true, true, true}
	for i, l := range Layouts {
		for axes := range 8 { // by broadcast along each axis, and along several
			s := scaleShape{rowShape: rowShape{dims: []int{2, 3, 4, 9}, layout: l}, factors: Layouts[(i+axes)%len(Layouts)]}
			if axes%2 == 1 { // in fours
				s.dims = []int{3, 2, 5, 20}
			}
			s.one = [3]bool{axes&1 != 0, axes&2 != 0, axes&4 != 0}
			cases = append(cases, s.scale())
		}
		// What a mask does: it keeps all bits of some heads and makes others 0.
		s := scaleShape{rowShape: rowShape{dims: []int{2, 5, 4, 12}, layout: l, what: "a mask of heads"}, factors: l, one: [3]bool{true, true, false}}
		s.by = []float64{1, 0, 1, 1}
		cases = append(cases, s.scale())
		s.product = true
		cases = append(cases, s.scale())
		s = scaleShape{rowShape: rowShape{dims: []int{2, 7, 33}, layout: l, what: "all by one number"}, factors: l, one: all}
		for _, s.by = range [][]float64{{1}, {0}, {-0.5}} {
			s.what = fmt.Sprintf("all by %v", s.by[0])
			cases = append(cases, s.scale())
		}
		s = scaleShape{rowShape: rowShape{dims: []int{6, 11}, layout: l, what: "large and small"}, factors: l}
		s.values = []float64{0, math.Copysign(0, -1), 1e-40, -1e-37, 1e-20, 1.5e38, -1.5e38, 1, -1, 1e30, 7}
		s.by = []float64{1, 2, -1, 1e-30, 0.1, 1e-40}
		cases = append(cases, s.scale())
	}
	large := rowShape{dims: []int{37, 2048}, layout: exact, what: "larger than a binding of 256 KiB"}
	return append(cases,
		scaleShape{rowShape: large, factors: exact}.scale(),
		scaleShape{rowShape: large, factors: exact, one: all}.scale(),
		scaleShape{rowShape: rowShape{dims: []int{70001, 3}, layout: strided, what: "more rows than workgroups"}, factors: shifted}.scale())
}

func scaleNonFinite() []Case {
	build := func(l Layout) (*backend.Scale, Fill) {
		x := rowsOf(l)
		o := &backend.Scale{Dst: rowsOf(l), X: x, By: l.Tensor(backend.F32, poisonedRows, 1)}
		return o, func(r *rand.Rand, _ int) { // some parts are off, before and after
			Normal(o.By, r, 0, 1)
			for _, off := range []int{0, 3, 5, 6} {
				Put(o.By, off, 0, 0)
			}
			Put(o.By, 4, 0, 1)
		}
	}
	return append(poisoned(SameBits, "x is not finite", rowLayouts, build, func(o *backend.Scale) { putRows(o.X) }),
		poisoned(SameBits, "by is not finite", rowLayouts, build, func(o *backend.Scale) {
			Set(o.X.Slice(-1, 2, 3), 0) // 0 · ∞
			Put(o.By, 1, 0, nan)
			Put(o.By, 2, 0, inf)
			Put(o.By, 7, 0, negativeNaN)
			Put(o.By, 8, 0, -inf)
		})...)
}
