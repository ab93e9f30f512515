package conformance

import (
	"fmt"
	"math"
	"math/rand/v2"

	"caldera/backend"
)

func init() {
	Register(Kind{
		Op:        &backend.Sample{},
		Oracle:    Oracle(sample),
		NonFinite: sampleNonFinite,
		Cases:     sampleCases,
		Random: func(r *rand.Rand) Case {
			rows := 1 + r.IntN(6)
			return sampleShape{rows: rows, n: 1 + r.IntN(4000), slots: rows + r.IntN(4), window: r.IntN(70), layout: RandomLayout(r),
				scale: math.Exp(4*r.Float64() - 2), what: fmt.Sprint(r.Uint64()), any: true}.Case()
		},
	})
}

// sampleShape describes a case of Sample.
type sampleShape struct {
	rows, n, slots, window int
	layout                 Layout
	what                   string
	s                      []backend.SampleSettings // of slots, in turn
	any                    bool                     // settings are random instead
	values                 []float64                // logits, in turn; nil: normally distributed
	scale                  float64                  // of those; 0 stands for 2.5
	which                  []float64                // slots of the rows, in turn; nil: each its own
	barred                 float64                  // share of tokens that are
	past                   int                      // tokens in windows
	draws                  float64                  // that were made before
}

func (s sampleShape) Case() Case {
	name := fmt.Sprintf("sample/x=%dx%d,slots=%d,window=%d,%s%v", s.rows, s.n, s.slots, s.window, s.what, s.layout)
	return Case{Name: name, Edge: true, Build: func() (backend.Op, Fill) {
		o := s.op()
		return o, func(r *rand.Rand, run int) { s.fill(o, r, run) }
	}}
}

func (s sampleShape) op() *backend.Sample {
	l := s.layout
	i32 := func(dims ...int) backend.Tensor { return l.Tensor(backend.I32, dims...) }
	return &backend.Sample{
		Dst: i32(s.rows, backend.SampleWords), Next: i32(s.rows), X: l.Tensor(backend.F32, s.rows, s.n), Slots: i32(s.rows),
		Settings: i32(s.slots, backend.SampleSettingWords), Marks: i32(s.slots, 2, (s.n+31)/32), Recent: i32(s.slots, 2+s.window),
	}
}

func (s sampleShape) fill(o *backend.Sample, r *rand.Rand, run int) {
	if s.values != nil {
		Set(o.X, append(append([]float64{}, s.values[run%len(s.values):]...), s.values[:run%len(s.values)]...)...)
	} else {
		scale := s.scale
		if scale == 0 {
			scale = 2.5
		}
		Normal(o.X, r, 0, scale)
	}
	fill(o.Slots, func(i int) float64 {
		if s.which != nil {
			return s.which[(i+run)%len(s.which)]
		}
		return float64((i + run) % s.slots) // there are as many as rows, or more
	})
	Set(o.Next, -7)
	for slot := range s.slots {
		settings := anySampling(r)
		if !s.any {
			settings = s.s[slot%len(s.s)]
			settings.Seed = r.Uint64()
		}
		words := settings.Words()
		fill(o.Settings.Slice(-2, slot, slot+1), func(i int) float64 { return float64(words[i]) })
		s.history(o, slot, int(settings.Window), r)
	}
}

// history fills what a slot remembers.
func (s sampleShape) history(o *backend.Sample, slot, window int, r *rand.Rand) {
	barred, seen := make([]float64, (s.n+31)/32), make([]float64, (s.n+31)/32)
	state := make([]float64, 2+s.window)
	state[0] = s.draws
	if window = min(window, s.window); window < 0 {
		window = math.MaxInt
	}
	past := s.past
	if s.any {
		past = r.IntN(2 * (s.window + 1))
	}
	for i := range past {
		if window == 0 {
			break
		}
		id := r.IntN(min(s.n, 50))
		state[1]++
		if window < math.MaxInt {
			state[2+i%window] = float64(id)
		} else {
			setBit(seen, id, true)
		}
	}
	if window < math.MaxInt {
		for i := range min(past, window) {
			setBit(seen, int(state[2+i]), true)
		}
	}
	for i := range s.n {
		setBit(barred, i, r.Float64() < s.barred)
	}
	fill(o.Marks.Slice(1, slot, slot+1).Slice(2, 0, 1), func(i int) float64 { return barred[i] })
	fill(o.Marks.Slice(1, slot, slot+1).Slice(2, 1, 2), func(i int) float64 { return seen[i] })
	fill(o.Recent.Slice(-2, slot, slot+1), func(i int) float64 { return state[i] })
}

// anySampling are random settings.
func anySampling(r *rand.Rand) backend.SampleSettings {
	one := func(v, off float64) float64 {
		if r.IntN(2) == 0 {
			return off
		}
		return v
	}
	return backend.NewSampleSettings(one(3*r.Float64(), 0.8), int(one(float64(r.IntN(100)), 0)), one(r.Float64(), 1), one(r.Float64()/5, 0),
		one(0.5+r.Float64(), 1), r.IntN(80)-1, r.Uint64())
}

func sampleCases() []Case {
	var cases []Case
	off := func(temperature float64) backend.SampleSettings {
		return backend.NewSampleSettings(temperature, 0, 1, 0, 1, 0, 0)
	}
	settings := []struct {
		what string
		s    []backend.SampleSettings
	}{
		{"greedy", []backend.SampleSettings{off(0)}},
		{"llama.cpp", []backend.SampleSettings{backend.NewSampleSettings(0.8, 40, 0.95, 0.05, 1, 0, 0)}},
		{"mixed", []backend.SampleSettings{
			off(0), off(1), backend.NewSampleSettings(0.7, 40, 1, 0, 1.1, 5, 0), backend.NewSampleSettings(1.3, 0, 0.5, 0, 1.2, -1, 0),
			backend.NewSampleSettings(1, 0, 1, 0.1, 0.8, 3, 0), backend.NewSampleSettings(0, 0, 1, 0, 1.5, 9, 0),
			backend.NewSampleSettings(2, 7, 0.9, 0.01, 1.05, -1, 0),
		}},
	}
	sizes := func(sizes ...int) {
		for i, n := range sizes {
			for _, x := range settings {
				rows := len(x.s)
				cases = append(cases, sampleShape{rows: rows, n: n, slots: rows, window: 12, layout: Layouts[i%len(Layouts)], what: x.what, s: x.s, past: 20, barred: 0.1}.Case())
			}
		}
	}
	sizes(1, 2, 31, 32, 33, 257, 1024)
	one := func(what string, s backend.SampleSettings, n int, values ...float64) sampleShape {
		return sampleShape{rows: 1, n: n, slots: 1, window: 4, what: what, s: []backend.SampleSettings{s}, values: values}
	}
	tops := backend.NewSampleSettings(1, 3, 0.75, 0.01, 1, 0, 0)
	for _, s := range []sampleShape{
		one("ties", tops, 40, 1, 3, 2, 3, 3, 0),
		one("all equal", backend.NewSampleSettings(1, 0, 0.5, 0, 1, 0, 0), 1024, -7),
		one("too many equal", backend.NewSampleSettings(1, 40, 1, 0, 1, 0, 0), 1025, -7),
		one("zeros and what is below the normal numbers", tops, 20, 0, math.Copysign(0, -1), 1e-40, -1e-40, -1e-45),
		one("the largest numbers", tops, 20, math.MaxFloat32, -math.MaxFloat32, math.MaxFloat32, 0),
		one("far apart", backend.NewSampleSettings(1e30, 5, 1, 0, 1, 0, 0), 20, 0, -40, -1000, -3e38),
		one("hardly any temperature", backend.NewSampleSettings(math.SmallestNonzeroFloat64, 0, 1, 0, 1, 0, 0), 20, 1, 0.999, 1, -1),
		one("all temperature", backend.NewSampleSettings(math.MaxFloat64, 0, 1, 0, 1, 0, 0), 300),
		one("a top-p next to 0", backend.NewSampleSettings(1, 0, math.SmallestNonzeroFloat64, 0, 1, 0, 0), 300, 1, 1, 0),
		one("a top-p next to 1", backend.NewSampleSettings(1, 0, math.Nextafter(1, 0), 0, 1, 0, 0), 300),
		one("top-p of many", backend.NewSampleSettings(1, 0, 0.9, 0, 1, 0, 0), 5000),
		one("top-p of few", backend.NewSampleSettings(1, 0, 0.9, 0, 1, 0, 0), 5000, append([]float64{9, 8.5, 8}, make([]float64, 1200)...)...),
		one("min-p 1", backend.NewSampleSettings(1, 0, 1, 1, 1, 0, 0), 5000, 1, 2, 2, 1.5, 0, 0, 0, -1, -2, -3, -4, -5, -6, -7),
		one("min-p on the edge", backend.NewSampleSettings(1, 0, 1, math.Exp(-2), 1, 0, 0), 30, 0, -2, float64(math.Nextafter32(-2, -3)), -5),
		one("a large top-k", backend.NewSampleSettings(1, 1000, 0.9, 0, 1, 0, 0), 9000),
		one("too large a top-k", backend.NewSampleSettings(1, 1025, 0.5, 0.3, 1, 0, 0), 9000),
		one("min-p leaves too many", backend.NewSampleSettings(1, 0, 1, 1e-9, 1, 0, 0), 9000),
		one("all but one are barred", off(1), 64),
		one("most of a large vocabulary", backend.NewSampleSettings(1, 40, 0.9, 0, 1.1, -1, 0), 1<<18),
		one("the last draw", backend.NewSampleSettings(1, 40, 0.9, 0, 1.1, 4, 0), 100),
		one("an extreme penalty", backend.NewSampleSettings(1, 5, 1, 0, math.MaxFloat64, -1, 0), 60),
		one("an extreme reward", backend.NewSampleSettings(1, 5, 1, 0, math.SmallestNonzeroFloat64, -1, 0), 60),
	} {
		switch s.what {
		case "all but one are barred":
			s.barred = 0.97
		case "the last draw":
			s.draws, s.past = math.MaxInt32, 9
		case "an extreme penalty", "an extreme reward":
			s.past = 30
		}
		for i, l := range Layouts {
			if s.layout = l; i == 0 || s.n < 100 {
				cases = append(cases, s.Case())
			}
		}
	}
	for _, l := range Layouts {
		s := sampleShape{rows: 6, n: 300, slots: 4, window: 3, layout: l, s: settings[2].s, past: 5}
		s.what, s.which = "rows without a slot", []float64{2, -1, 0, 4, math.MaxInt32, math.MinInt32, 3, 1}
		cases = append(cases, s.Case())
		s = sampleShape{rows: 4, n: 300, slots: 4, layout: l, what: "no room for a window", s: settings[2].s, past: 3}
		cases = append(cases, s.Case())
	}
	sizes(1025, 2047, 2049, 4099, 50257) // last, for they take long
	return cases
}

func sampleNonFinite() []Case {
	s := sampleShape{rows: poisonedRows, n: 64, slots: poisonedRows, window: 4, what: "not finite", past: 3, s: []backend.SampleSettings{
		backend.NewSampleSettings(0, 0, 1, 0, 1, 0, 0), backend.NewSampleSettings(1, 0, 0.9, 0, 1.1, -1, 0), backend.NewSampleSettings(0.8, 5, 1, 0, 1.1, 3, 0),
	}}
	cases := poisoned(SameBits, "not finite", rowLayouts, func(l Layout) (*backend.Sample, Fill) {
		s.layout = l
		o := s.op()
		return o, func(r *rand.Rand, _ int) { s.fill(o, r, 0) }
	}, func(o *backend.Sample) { putRows(o.X) })
	barred := s
	barred.barred, barred.rows, barred.slots, barred.what = 1, 2, 2, "none may be drawn"
	none := barred
	none.values, none.barred, none.what = []float64{math.Inf(-1)}, 0, "all logits are minus infinity"
	return append(cases, barred.Case(), none.Case())
}
