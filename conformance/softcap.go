package conformance

import (
	"fmt"
	"math"
	"math/rand/v2"

	"caldera/backend"
)

func init() {
	Register(Kind{
		Op:        &backend.SoftCap{},
		Oracle:    Oracle(softCap),
		NonFinite: softCapNonFinite,
		Cases:     func() []Case { return softCapCases(softCapCase) },
		Random:    func(r *rand.Rand) Case { return softCapCase(randomRows(r), caps[r.IntN(len(caps))]) },
	})
}

// caps are those of cases: Gemma 2's, and one that most elements are beyond.
var caps = []float32{30, 50, 0.75}

func softCapCases(of func(rowShape, float32) Case) []Case {
	cases := rowShapes(func(s rowShape) Case { return of(s, 30) })
	for _, s := range []rowShape{
		{dims: []int{2, 21}, what: "large", values: []float64{50, -50, 1e4, -1e4, 1e15, -1e15, 3e38, -3e38, 290, -290, 260, 135}},
		{dims: []int{2, 20}, what: "small", values: []float64{0, math.Copysign(0, -1), 1e-40, -1e-40, 1e-37, -1e-37, 1e-20, -1e-8, 1e-4, -1e-4}},
		{dims: []int{3, 33}, what: "wide", scale: 40},
	} {
		for i, l := range Layouts {
			s.layout = l
			cases = append(cases, of(s, caps[i%len(caps)]))
		}
	}
	return cases
}

func softCapCase(s rowShape, cap float32) Case {
	return s.build(fmt.Sprintf("softcap/%v", cap), func() (backend.Op, backend.Tensor) {
		x := s.tensor()
		return &backend.SoftCap{Dst: s.tensor(), X: x, Cap: cap}, x
	})
}

func softCap(m Memory, o *backend.SoftCap) {
	x := m.Load(o.X)
	dst := NewValues(len(x.v))
	for i := range x.v {
		dst.Put(i, tanhOf(x.At(i), float64(o.Cap)).Times(Exactly(float64(o.Cap))))
	}
	m.Store(o.Dst, dst)
}

func softCapNonFinite() []Case {
	return poisoned(SameBits, "not finite", rowLayouts, func(l Layout) (*backend.SoftCap, Fill) {
		return &backend.SoftCap{Dst: rowsOf(l), X: rowsOf(l), Cap: 30}, nil
	}, func(o *backend.SoftCap) { putRows(o.X) })
}
