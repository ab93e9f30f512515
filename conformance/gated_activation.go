package conformance

import (
	"fmt"
	"math"
	"math/rand/v2"

	"caldera/backend"
)

func init() {
	Register(Kind{
		Op:        &backend.GatedActivation{},
		Oracle:    Oracle(gatedActivation),
		NonFinite: gatedActivationNonFinite,
		Cases:     func() []Case { return gateShapes(gatedActivationCase) },
		Random:    func(r *rand.Rand) Case { return gatedActivationCase(randomGate(r)) },
	})
}

// clamped is x within ±limit, or below limit only; NaN stays NaN. A number beyond the limit may be
// as far within as its bound reaches.
func clamped(x Number, limit float64, below bool) Number {
	var at float64
	switch {
	case x.Value > limit:
		at = limit
	case x.Value < -limit && !below:
		at = -limit
	default:
		return x
	}
	return Number{at, math.Max(Exactly(at).Bound, x.Bound-math.Abs(x.Value-at))}
}

func gatedActivation(m Memory, o *backend.GatedActivation) {
	gate, up := m.Load(o.Gate), m.Load(o.Up)
	dst := NewValues(len(gate.v))
	limit := float64(o.Bound())
	for i := range gate.v {
		passed := clamped(up.At(i), limit, false)
		if o.Shift != 0 {
			passed = passed.Plus(Exactly(float64(o.Shift)))
		}
		dst.Put(i, activated(o.Func, clamped(gate.At(i), limit, true)).Times(passed))
	}
	m.Store(o.Dst, dst)
}

// gateShape is a rowShape of gated activations; the gate takes its values.
type gateShape struct {
	rowShape
	f            backend.Activation
	limit, shift float32
	slices       bool // gate and up are slices of one product
}

// name goes before that of the rows.
func (s gateShape) name(op string) string {
	name := fmt.Sprintf("%s/%v", op, s.f)
	if s.limit != 0 || s.shift != 0 {
		name += fmt.Sprintf(",limit=%v,shift=%v", s.limit, s.shift)
	}
	if s.slices {
		name += ",slices"
	}
	return name
}

// operands are gate and up.
func (s gateShape) operands() (gate, up backend.Tensor) {
	if !s.slices {
		return s.tensor(), s.tensor()
	}
	last := len(s.dims) - 1
	n := s.dims[last]
	wide := s.layout.Tensor(backend.F32, append(append([]int{}, s.dims[:last]...), 2*n)...)
	return wide.Slice(-1, 0, n), wide.Slice(-1, n, 2*n)
}

func gatedActivationCase(s gateShape) Case {
	return s.named("gated_activation", func() (backend.Op, backend.Tensor) {
		gate, up := s.operands()
		return &backend.GatedActivation{Dst: s.tensor(), Gate: gate, Up: up, Func: s.f, Limit: s.limit, Shift: s.shift}, gate
	})
}

func (s gateShape) named(op string, tensors func() (backend.Op, backend.Tensor)) Case {
	c := s.build(op, tensors)
	c.Name = s.name(op) + c.Name[len(op):]
	return c
}

// activationValues are where functions differ from each other, overflow, or
// vanish.
var activationValues = [][]float64{
	{50, -50, 1e4, -1e4, 1e15, -1e15, 1e30, -1e30, 5e37, -5e37, 9.5, -9.5},
	{0, math.Copysign(0, -1), 1e-40, -1e-40, 1e-37, -1e-37, 1e-20, -1e-20, 1e-8, 1e-4, -1e-4},
	{-2.3, 2.3, -1.9, 1.9, -2.7, 2.7, -0.75, 0.75, -3.5, 3.5, -5.5, 5.5, 0.5, -0.5},
}

// gateShapes try all functions where rows are in fours, and one of them on all
// shapes: each function costs pipelines.
func gateShapes(of func(gateShape) Case) []Case {
	cases := rowShapes(func(s rowShape) Case { return of(gateShape{rowShape: s, f: backend.SiLU}) })
	for f := backend.NoActivation; f.Valid(); f++ {
		for i, what := range []string{"large", "small", "where functions differ most"} {
			cases = append(cases, of(gateShape{rowShape: rowShape{dims: []int{4, 21}, what: what, values: activationValues[i], layout: exact}, f: f}))
		}
		cases = append(cases, of(gateShape{rowShape: rowShape{dims: []int{3, 36}, what: "wide", scale: 4, layout: exact}, f: f, slices: true}))
	}
	for _, l := range Layouts {
		s := gateShape{rowShape: rowShape{dims: []int{2, 3, 19}, what: "clamped", scale: 2, layout: l}, f: backend.SiLU, limit: 1.5, shift: 1, slices: true}
		cases = append(cases, of(s))
		s.values, s.what, s.limit = []float64{7, -7, 7.0000005, -7.0000005, 6.9999995, 0, 1e30, -1e30}, "at the limit", 7
		cases = append(cases, of(s))
		s.values, s.limit, s.what, s.dims = nil, 0, "shifted", []int{5, 9}
		cases = append(cases, of(s))
	}
	return append(cases,
		of(gateShape{rowShape: rowShape{dims: []int{2, 3, 20}, what: "clamped", scale: 5, layout: exact}, f: backend.GELUSigmoid, limit: 7, shift: 1, slices: true}),
		of(gateShape{rowShape: rowShape{dims: []int{37, 2048}, what: "larger than a binding of 256 KiB", layout: exact}, f: backend.SiLU, slices: true}))
}

func randomGate(r *rand.Rand) gateShape {
	s := gateShape{rowShape: randomRows(r), f: backend.Activation(r.IntN(6)), slices: r.IntN(2) == 0}
	if r.IntN(2) == 0 {
		s.limit, s.shift = r.Float32()*2, r.Float32()
	}
	return s
}
