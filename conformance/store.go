package conformance

import (
	"fmt"
	"math"
	"math/rand/v2"

	"caldera/backend"
)

func init() {
	Register(Kind{
		Op:        &backend.Store{},
		Oracle:    Oracle(store),
		NonFinite: storeNonFinite,
		Cases:     storeCases,
		Random: func(r *rand.Rand) Case {
			s := randomStep(r, false)
			if r.IntN(2) == 0 {
				return randomStore(r).Store()
			}
			return s.store()
		},
	})
}

func store(m Memory, o *backend.Store) {
	time := o.X.Dim(-2)
	_, row := rowsOfCache(m, o.Dst, o.Table)
	for i, p := range placesOf(m, o.At, o.X.Rows()) {
		if r, ok := row(p); ok {
			b, t, n := i/time, i%time, o.Dst.Dim(-2)
			m.Store(o.Dst.Slice(1, r/n, r/n+1).Slice(2, r%n, r%n+1), m.Load(o.X.Slice(1, b, b+1).Slice(2, t, t+1)))
		}
	}
}

type storeShape struct {
	batch, time, context, width int
	dst                         backend.DType
	half                        bool // dst is the second half of wider rows, as values are in a cache of keys and values
	layout                      Layout
	what                        string
	at, values                  []float64 // instead of random ones
}

func (s storeShape) String() string {
	name := fmt.Sprintf("dst=%v,x=%dx%dx%d,dst=%dx%dx%d", s.dst, s.batch, s.time, s.width, s.batch, s.context, s.width)
	if s.half {
		name += ",interleaved"
	}
	if s.what != "" {
		name += "," + s.what
	}
	return name + s.layout.String()
}

func (s storeShape) Store() Case {
	return Case{Name: "store/" + s.String(), Edge: s.what != "", Build: func() (backend.Op, Fill) {
		l := s.layout
		o := &backend.Store{X: l.Tensor(backend.F32, s.batch, s.time, s.width), At: l.places(s.batch, s.time)}
		if s.half {
			o.Dst = l.Tensor(s.dst, s.batch, s.context, 2*s.width).Slice(-1, s.width, 2*s.width)
		} else {
			o.Dst = l.Tensor(s.dst, s.batch, s.context, s.width)
		}
		return o, func(r *rand.Rand, run int) {
			standAnywhere(o.At, s.time, r, 0, max(1, s.context-s.time+1))
			if s.at != nil {
				standAt(o.At, s.time, s.at[run:]...)
			}
			if s.values != nil {
				Set(o.X, s.values[run:]...)
			}
		}
	}}
}

func storeCases() []Case {
	var cases []Case
	add := func(s storeShape) {
		for _, s.dst = range backend.DTypes(backend.Caches) {
			for _, s.half = range []bool{false, true} {
				cases = append(cases, s.Store())
			}
		}
	}
	for i, n := range [][4]int{ // batch, time, context, width
		{1, 1, 1, 1}, {1, 1, 5, 3}, {2, 3, 7, 5}, {1, 7, 9, 31}, {3, 1, 33, 33}, {2, 31, 64, 63}, {1, 1, 129, 65},
		{4, 2, 9, 127}, {1, 5, 8, 257}, {1, 17, 40, 768}, {1, 129, 255, 12},
	} {
		add(storeShape{batch: n[0], time: n[1], context: n[2], width: n[3], layout: Layouts[i%len(Layouts)]})
	}
	for _, l := range Layouts {
		add(storeShape{batch: 3, time: 2, context: 9, width: 7, layout: l})
		add(storeShape{batch: 3, time: 4, context: 9, width: 7, layout: l, what: "rows outside", at: []float64{-2, 7, 3, -4}})
		add(storeShape{batch: 2, time: 3, context: 9, width: 6, layout: l, what: "rows far outside",
			at: []float64{math.MaxInt32 - 1, math.MinInt32, math.MaxInt32}}) // at + time must not wrap into the cache
		add(storeShape{batch: 1, time: 5, context: 3, width: 6, layout: l, what: "more rows than the cache has", at: []float64{0, -1}})
		add(storeShape{batch: 1, time: 3, context: 5, width: 14, layout: l, what: "values on the edge of f16", values: halfEdges})
	}
	return append(cases, storeSteps()...)
}

func randomStore(r *rand.Rand) storeShape {
	return storeShape{batch: 1 + r.IntN(4), time: 1 + r.IntN(20), context: 1 + r.IntN(60), width: 1 + r.IntN(200),
		dst: anyOf(r, backend.DTypes(backend.Caches)), half: r.IntN(2) == 0, layout: RandomLayout(r)}
}

// halfEdges are values that are hard to round to f16: the middle between two
// neighbours goes to the even one, denormals, the largest, what overflows.
var halfEdges = []float64{1, -1, 1 + 0x1p-11, 1 + 0x1p-10 + 0x1p-11, -1 - 0x1p-11, 1 + 0x1p-11 + 0x1p-20, 1.0 / 3, 0,
	0x1p-14, 0x1p-15, -0x1p-15 * 1.75, 0x1p-24, -0x1p-24 * 3, 0x1p-14 - 0x1p-24, 0x1p-24 * 1.25, 65504, -65504, 65519, 1e-3, 2049, 2051}
