package conformance

import (
	"fmt"
	"math"
	"math/rand/v2"

	"caldera/backend"
)

func init() {
	Register(Kind{
		Op:        &backend.GlobalNorm{},
		Training:  true,
		Oracle:    Oracle(globalNorm),
		NonFinite: globalNormNonFinite,
		Cases: func() []Case {
			var cases []Case
			for i, n := range []int{1, 2, 3, 7, 8, 31, 33, 63, 65, 127, 129, 255, 257, 1023, 1025, 4097, 131071} {
				for j, limit := range []float64{1e-3, 1, 1e6, math.Inf(1)} { // some clip and others do not
					cases = append(cases, globalNormCase(n, limit, Layouts[(i+j)%len(Layouts)], ""))
				}
			}
			for _, l := range Layouts {
				cases = append(cases, globalNormCase(65, 1, l, "zeros"), globalNormCase(65, 1, l, "large"))
			}
			return cases
		},
		Random: func(r *rand.Rand) Case {
			return globalNormCase(1+r.IntN(3000), math.Exp(3*r.NormFloat64()), RandomLayout(r), "")
		},
	})
}

func globalNormCase(n int, limit float64, l Layout, what string) Case {
	name := fmt.Sprintf("global_norm/x=%d,max=%.3g", n, limit)
	if what != "" {
		name += "," + what
	}
	return Case{Name: name + l.String(), Edge: what != "", Build: func() (backend.Op, Fill) {
		o := &backend.GlobalNorm{Dst: l.Tensor(backend.F32, 2), X: l.Tensor(backend.F32, n), Max: float32(limit)}
		return o, func(r *rand.Rand, _ int) {
			scale := map[string]float64{"": 1, "zeros": 0, "large": 1e30}[what]
			fill(o.X, func(int) float64 { return scale * r.ExpFloat64() })
		}
	}}
}

func globalNorm(m Memory, o *backend.GlobalNorm) {
	x := m.Load(o.X)
	norm := Sum(len(x.v), x.At).Sqrt()
	factor := Number{float64(o.Max), 0}.Over(norm.Plus(Exactly(1e-6)))
	if factor.Value > 1 { // an error that makes it less than 1 counts where it is near
		factor = Number{1, math.Max(0, factor.Bound-(factor.Value-1))}
	}
	switch {
	case math.IsNaN(norm.Value):
		factor = norm
	case math.IsInf(float64(o.Max), 1):
		factor = Number{1, 0}
	}
	dst := NewValues(2)
	dst.Put(0, norm)
	dst.Put(1, factor)
	m.Store(o.Dst, dst)
}
