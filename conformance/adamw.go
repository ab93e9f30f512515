package conformance

import (
	"fmt"
	"math"
	"math/rand/v2"

	"caldera/backend"
)

func init() {
	Register(Kind{
		Op:        &backend.AdamW{},
		Training:  true,
		Oracle:    Oracle(adamW),
		NonFinite: adamWNonFinite,
		Cases: func() []Case {
			cases := rowShapes(func(s rowShape) Case { return adamWCase(s, 0.1, true, 7) })
			cases = append(cases, adamWCase(rowShape{dims: []int{131, 516}, what: "larger than a binding of 256 KiB"}, 0.1, true, 7))
			for _, l := range Layouts {
				s := rowShape{dims: []int{5, 33}, layout: l}
				cases = append(cases, adamWCase(s, 0, true, 1), adamWCase(s, 0.1, false, 1), adamWCase(s, 0, false, 100000))
				s.what, s.values = "gradients of 0", []float64{0}
				cases = append(cases, adamWCase(s, 0.1, true, 3))
				s.what, s.values = "gradients of 1e-12", []float64{1e-12, -2e-12, 0, 3e-13}
				cases = append(cases, adamWCase(s, 0.1, false, 1))
			}
			return cases
		},
		Random: func(r *rand.Rand) Case { return adamWCase(randomRows(r), r.Float64(), r.IntN(2) == 0, 1+r.IntN(1000)) },
	})
}

// adamWCase is step number t. s.values are gradients, of means that are 0.
func adamWCase(s rowShape, decay float64, scaled bool, t int) Case {
	name := fmt.Sprintf("adamw/decay=%.2g,t=%d,", decay, t)
	if !scaled {
		name += "noscale,"
	}
	return Case{Name: name + s.String(), Edge: s.what != "", Build: func() (backend.Op, Fill) {
		o := &backend.AdamW{W: s.tensor(), M: s.tensor(), V: s.tensor(), G: s.tensor(), Step: s.layout.Tensor(backend.F32, 3),
			Beta1: 0.9, Beta2: 0.999, Epsilon: 1e-8, Decay: float32(decay)}
		if scaled {
			o.Scale = s.layout.Tensor(backend.F32, 1)
		}
		return o, func(r *rand.Rand, run int) {
			fill(o.V, func(int) float64 { return r.ExpFloat64() })
			if s.values != nil {
				Set(o.G, s.values...)
				Set(o.M, 0)
				Set(o.V, 0)
			}
			t := float64(t + run)
			Set(o.Step, 1e-3/t, 1-math.Pow(0.9, t), 1-math.Pow(0.999, t))
			if scaled {
				Set(o.Scale, r.Float64())
			}
		}
	}}
}

func adamW(m Memory, o *backend.AdamW) {
	w, mean, square, grad, step := m.Load(o.W), m.Load(o.M), m.Load(o.V), m.Load(o.G), m.Load(o.Step)
	scale := Number{1, 0}
	if !o.Scale.Absent() {
		scale = m.Load(o.Scale).At(0)
	}
	rate := step.At(0)
	for i := range w.v {
		g := grad.At(i).Times(scale)
		a := Exactly(o.Beta1).Times(mean.At(i)).Plus(Exactly(1 - o.Beta1).Times(g))
		b := Exactly(o.Beta2).Times(square.At(i)).Plus(Exactly(1 - o.Beta2).Times(g.Times(g)))
		denominator := b.Over(step.At(2)).Sqrt().Plus(Exactly(float64(o.Epsilon)))
		move := a.Over(step.At(1)).Over(denominator)
		mean.Put(i, a)
		square.Put(i, b)
		w.Put(i, w.At(i).Minus(rate.Times(Exactly(float64(o.Decay)).Times(w.At(i)).Plus(move))))
	}
	m.Store(o.M, mean)
	m.Store(o.V, square)
	m.Store(o.W, w)
}
