package conformance

import (
	"fmt"
	"math/rand/v2"

	"caldera/backend"
)

func init() {
	Register(Kind{
		Op:        &backend.SoftCapBackward{},
		Training:  true,
		Oracle:    Oracle(softCapBackward),
		NonFinite: softCapBackwardNonFinite,
		Cases:     func() []Case { return softCapCases(softCapBackwardCase) },
		Random:    func(r *rand.Rand) Case { return softCapBackwardCase(randomRows(r), caps[r.IntN(len(caps))]) },
	})
}

func softCapBackwardCase(s rowShape, cap float32) Case {
	return s.build(fmt.Sprintf("softcap_backward/%v", cap), func() (backend.Op, backend.Tensor) {
		x := s.tensor()
		return &backend.SoftCapBackward{DX: s.tensor(), X: x, DY: s.tensor(), Cap: cap}, x
	})
}

func softCapBackward(m Memory, o *backend.SoftCapBackward) {
	x, dy := m.Load(o.X), m.Load(o.DY)
	dx := NewValues(len(x.v))
	for i := range x.v {
		t := tanhOf(x.At(i), float64(o.Cap))
		dx.Put(i, Number{1, 0}.Minus(t.Times(t)).Times(dy.At(i)))
	}
	m.Store(o.DX, dx)
}

func softCapBackwardNonFinite() []Case {
	build := func(l Layout) (*backend.SoftCapBackward, Fill) {
		return &backend.SoftCapBackward{DX: rowsOf(l), X: rowsOf(l), DY: rowsOf(l), Cap: 30}, nil
	}
	return append(poisoned(SameBits, "x is not finite", rowLayouts, build, func(o *backend.SoftCapBackward) { putRows(o.X) }),
		poisoned(SameBits, "dy is not finite", rowLayouts, build, func(o *backend.SoftCapBackward) { putRows(o.DY) })...)
}
