package conformance

import (
	"math"
	"math/rand/v2"

	"caldera/backend"
)

func init() {
	Register(Kind{
		Op:        &backend.Activate{},
		Oracle:    Oracle(activate),
		NonFinite: activateNonFinite,
		Cases:     func() []Case { return activationCases(activateCase) },
		Random:    func(r *rand.Rand) Case { return activateCase(randomRows(r), randomActivation(r)) },
	})
}

// activationCases tries one function with rows of all kinds, and the others
// with the values at which functions differ: what lies where is the same.
func activationCases(of func(rowShape, backend.Activation) Case) []Case {
	cases := rowShapes(func(s rowShape) Case { return of(s, backend.GELUTanh) })
	for _, s := range []rowShape{
		{dims: []int{3, 33}, what: "wide", scale: 6},
		{dims: []int{2, 21}, what: "large", values: []float64{50, -50, 1e4, -1e4, 1e15, -1e15, 1e30, -1e30, 3e38, -3e38, 9.5, -9.5}},
		{dims: []int{2, 21}, what: "where exp overflows", values: []float64{-52.1, -52.5, -61, -87, -88.6, -88.8, -89.5, -103, -105, -14.2, -13.1, 88.9}},
		{dims: []int{2, 21}, what: "small", values: []float64{0, math.Copysign(0, -1), 1e-40, -1e-40, 1e-37, -1e-37, 1e-20, -1e-20, 1e-8, 1e-4, -1e-4}},
		{dims: []int{2, 21}, what: "where tanh and erf differ most", values: []float64{-2.3, 2.3, -1.9, 1.9, -2.7, 2.7, -0.75, 0.75, -3.5, 3.5}},
	} {
		for _, s.layout = range Layouts {
			cases = append(cases, of(s, backend.GELUTanh))
		}
		s.layout, s.dims = exact, []int{2, 20} // in fours, and no more than that
		for _, f := range others() {
			cases = append(cases, of(s, f))
		}
	}
	return cases
}

// others are the functions but GELUTanh, which is tried on all shapes.
func others() []backend.Activation {
	return []backend.Activation{backend.GELUErf, backend.GELUSigmoid, backend.ReLU, backend.SiLU}
}

func randomActivation(r *rand.Rand) backend.Activation {
	return append(others(), backend.GELUTanh)[r.IntN(5)]
}

func activateCase(s rowShape, f backend.Activation) Case {
	return s.build("activate/"+f.String(), func() (backend.Op, backend.Tensor) {
		x := s.tensor()
		return &backend.Activate{Dst: s.tensor(), X: x, Func: f}, x
	})
}

func activate(m Memory, o *backend.Activate) {
	x := m.Load(o.X)
	dst := NewValues(len(x.v))
	for i := range x.v {
		dst.Put(i, activated(o.Func, x.At(i)))
	}
	m.Store(o.Dst, dst)
}
