package conformance

import (
	"fmt"
	"math/rand/v2"

	"caldera/backend"
)

func init() {
	Register(Kind{
		Op:        &backend.Dropout{},
		Training:  true,
		Oracle:    Oracle(dropout),
		NonFinite: dropoutNonFinite,
		Cases: func() []Case {
			var cases []Case
			for i, rate := range []float64{0.1, 0, 0.5, 0.999} {
				cases = append(cases, rowShapes(func(s rowShape) Case { return dropoutCase(s, rate, uint32(i)<<31+uint32(i)) })...)
			}
			return cases
		},
		Random: func(r *rand.Rand) Case { return dropoutCase(randomRows(r), r.Float64(), r.Uint32()) },
	})
}

func dropoutCase(s rowShape, rate float64, stream uint32) Case {
	name := fmt.Sprintf("dropout/rate=%.3g,stream=%d,", rate, stream)
	return Case{Name: name + s.String(), Build: func() (backend.Op, Fill) {
		o := &backend.Dropout{Dst: s.tensor(), X: s.tensor(), Seed: s.layout.Ints(4), Rate: float32(rate), Stream: stream}
		return o, func(r *rand.Rand, _ int) {
			fill(o.Seed, func(int) float64 { return float64(int32(r.Uint32())) })
		}
	}}
}

func dropout(m Memory, o *backend.Dropout) {
	x, seed := m.Load(o.X), m.Load(o.Seed)
	word := func(i int) uint32 { return uint32(int32(seed.v[i])) }
	kept := Exactly(1 / (1 - float64(o.Rate)))
	for i := range x.v {
		random := backend.Philox([2]uint32{word(0), word(1)}, [4]uint32{uint32(i / 4), o.Stream, word(2), word(3)})[i%4]
		if float64(random) < float64(uint32(float64(o.Rate)*0x1p32)) {
			x.set(i, 0, 0)
		} else {
			x.Put(i, x.At(i).Times(kept))
		}
	}
	m.Store(o.Dst, x)
}
