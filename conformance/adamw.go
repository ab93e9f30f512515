package conformance

import (
	"fmt"
	"math"
	"math/rand/v2"

	"caldera/backend"
)

func init() {
	register(kind{
		op:        &backend.AdamW{},
		training:  true,
		oracle:    oracle(adamW),
		nonfinite: adamWNonFinite,
		cases: func() []Case {
			cases := rowShapes(func(s rowShape) Case { return adamWCase(s, 0.1, true, 7) })
			cases = append(cases, adamWCase(rowShape{dims: []int{131, 516}, what: "larger than a binding of 256 KiB"}, 0.1, true, 7))
			for _, l := range layouts {
				s := rowShape{dims: []int{5, 33}, layout: l}
				cases = append(cases, adamWCase(s, 0, true, 1), adamWCase(s, 0.1, false, 1), adamWCase(s, 0, false, 100000))
				s.what, s.values = "gradients of 0", []float64{0}
				cases = append(cases, adamWCase(s, 0.1, true, 3))
				s.what, s.values = "gradients of 1e-12", []float64{1e-12, -2e-12, 0, 3e-13}
				cases = append(cases, adamWCase(s, 0.1, false, 1))
			}
			return cases
		},
		random: func(r *rand.Rand) Case { return adamWCase(randomRows(r), r.Float64(), r.IntN(2) == 0, 1+r.IntN(1000)) },
	})
}

// adamWCase is step number t. s.values are gradients, of means that are 0.
func adamWCase(s rowShape, decay float64, scaled bool, t int) Case {
	name := fmt.Sprintf("adamw/decay=%.2g,t=%d,", decay, t)
	if !scaled {
		name += "noscale,"
	}
	return Case{Name: name + s.String(), Edge: s.what != "", Build: func() (backend.Op, Fill) {
		o := &backend.AdamW{W: s.tensor(), M: s.tensor(), V: s.tensor(), G: s.tensor(), Step: s.layout.tensor(backend.F32, 3),
			Beta1: 0.9, Beta2: 0.999, Epsilon: 1e-8, Decay: float32(decay)}
		if scaled {
			o.Scale = s.layout.tensor(backend.F32, 1)
		}
		return o, func(r *rand.Rand, run int) {
			fill(o.V, func(int) float64 { return r.ExpFloat64() })
			if s.values != nil {
				set(o.G, s.values...)
				set(o.M, 0)
				set(o.V, 0)
			}
			t := float64(t + run)
			set(o.Step, 1e-3/t, 1-math.Pow(0.9, t), 1-math.Pow(0.999, t))
			if scaled {
				set(o.Scale, r.Float64())
			}
		}
	}}
}

func adamW(m memory, o *backend.AdamW) {
	w, mean, square, grad, step := m.load(o.W), m.load(o.M), m.load(o.V), m.load(o.G), m.load(o.Step)
	scale := number{1, 0}
	if !o.Scale.Absent() {
		scale = m.load(o.Scale).at(0)
	}
	rate := step.at(0)
	for i := range w.v {
		g := grad.at(i).times(scale)
		a := exactly(o.Beta1).times(mean.at(i)).plus(exactly(1 - o.Beta1).times(g))
		b := exactly(o.Beta2).times(square.at(i)).plus(exactly(1 - o.Beta2).times(g.times(g)))
		denominator := b.over(step.at(2)).root().plus(exactly(float64(o.Epsilon)))
		move := a.over(step.at(1)).over(denominator)
		mean.put(i, a)
		square.put(i, b)
		w.put(i, w.at(i).minus(rate.times(exactly(float64(o.Decay)).times(w.at(i)).plus(move))))
	}
	m.store(o.M, mean)
	m.store(o.V, square)
	m.store(o.W, w)
}
