package conformance

import (
	"fmt"
	"math"
	"math/rand/v2"

	"caldera/backend"
)

func init() {
	Register(Kind{
		Op:        &backend.AttentionBackward{},
		Training:  true,
		Oracle:    Oracle(attentionBackward),
		NonFinite: attentionBackwardNonFinite,
		Cases:     attentionBackwardCases,
		Random: func(r *rand.Rand) Case {
			s := attentionBackwardShape{batch: 1 + r.IntN(3), time: 1 + r.IntN(90), groups: 1 + r.IntN(3), size: 1 + r.IntN(40), layout: RandomLayout(r)}
			s.heads = s.groups * (1 + r.IntN(3))
			s.apart, s.scores, s.frozen = r.IntN(2) == 0, randomScores(r, s.time), r.IntN(4) == 0
			return s.attentionBackward()
		},
	})
}

func attentionBackward(m Memory, o *backend.AttentionBackward) {
	batch, time, size, groups := o.Q.Dim(-3), o.Q.Dim(-2), o.HeadSize(), o.Groups()
	q, k, v, dy := m.Load(o.Q), m.Load(o.K), m.Load(o.V), m.Load(o.DY)
	dq, dk, dv := NewValues(len(q.v)), NewValues(len(k.v)), NewValues(len(v.v))
	rule := scoring{scale: o.Scale, window: o.Window, softCap: o.SoftCap}
	if !o.Sinks.Absent() {
		rule.sinks = m.Load(o.Sinks).v
	}
	dsinks := make([][]Number, o.Heads) // the terms of each
	// part is vector h of those that lie side by side at [b,t] of x.
	part := func(x Values, b, t, h int) Values { return x.Row(b*time+t, len(x.v)/(batch*time)).Row(h, size) }
	for b := range batch {
		for h := range o.Heads {
			g := h * groups / o.Heads
			of, ds := make([]attended, time), make([]Values, time)
			for t := range time {
				of[t] = rule.softmax(h, t, part(q, b, t, h), func(j int) Values { return part(k, b, j, g) })
				a, n := of[t], len(of[t].p.v)
				dp := NewValues(n)
				for j := range n {
					up, e := dot(part(dy, b, t, h), part(v, b, a.from+j, g))
					dp.set(j, up, e)
				}
				mean := Sum(n, func(j int) Number { return a.p.At(j).Times(dp.At(j)) })
				ds[t] = NewValues(n)
				for j := range n {
					ds[t].Put(j, a.p.At(j).Times(dp.At(j).Minus(mean)).Times(a.slope[j]))
				}
				dsinks[h] = append(dsinks[h], Number{}.Minus(a.sink.Times(mean)))
			}
			for t := range time {
				from, last := of[t].from, time-1 // of the keys that t sees, and of the queries that see it
				for last > t && of[last].from > t {
					last--
				}
				dq, dk, dv := part(dq, b, t, h), part(dk, b, t, g), part(dv, b, t, g)
				for i := range size {
					dq.Put(i, Sum(t+1-from, func(j int) Number { return ds[t].At(j).Times(part(k, b, from+j, g).At(i)) }))
					dk.Put(i, dk.At(i).Plus(Sum(last+1-t, func(n int) Number {
						return ds[t+n].At(t - of[t+n].from).Times(part(q, b, t+n, h).At(i))
					})))
					dv.Put(i, dv.At(i).Plus(Sum(last+1-t, func(n int) Number {
						return of[t+n].p.At(t - of[t+n].from).Times(part(dy, b, t+n, h).At(i))
					})))
				}
			}
		}
	}
	m.Store(o.DQ, dq)
	m.Store(o.DK, dk)
	m.Store(o.DV, dv)
	if !o.DSinks.Absent() {
		total := m.Load(o.DSinks)
		for h, terms := range dsinks {
			total.Put(h, total.At(h).Plus(Sum(len(terms), func(i int) Number { return terms[i] })))
		}
		m.Store(o.DSinks, total)
	}
}

type attentionBackwardShape struct {
	batch, time, heads, groups, size int
	apart                            bool // q, k and v are tensors of their own, as are their gradients; else slices of one
	scores                           scores
	frozen                           bool // sinks without a gradient
	layout                           Layout
	what                             string
	fill                             func(o *backend.AttentionBackward, r *rand.Rand)
}

func (s attentionBackwardShape) attentionBackward() Case {
	name := fmt.Sprintf("dy=%dx%dx%dx%d,groups=%d", s.batch, s.time, s.heads, s.size, s.groups)
	if s.apart {
		name += ",apart"
	}
	if name += s.scores.String(); s.frozen {
		name += ",frozen"
	}
	if s.what != "" {
		name += "," + s.what
	}
	return Case{Name: "attention_backward/" + name + s.layout.String(), Edge: s.what != "", Build: func() (backend.Op, Fill) {
		o := s.op()
		return o, func(r *rand.Rand, _ int) {
			if s.scores.sinks != nil {
				Set(o.Sinks, s.scores.sinks...)
			}
			if s.fill != nil {
				s.fill(o, r)
			}
		}
	}}
}

func (s attentionBackwardShape) op() *backend.AttentionBackward {
	l, width, kv := s.layout, s.heads*s.size, s.groups*s.size
	o := &backend.AttentionBackward{
		DY:    l.Tensor(backend.F32, s.batch, s.time, width),
		Sinks: s.scores.sinkTensor(l, s.heads), Stats: s.stats(),
		Heads: s.heads, Scale: s.scores.of(s.size), Window: s.scores.window, SoftCap: s.scores.softCap,
	}
	if !s.frozen {
		o.DSinks = s.scores.sinkTensor(l, s.heads)
	}
	for _, x := range [2][3]*backend.Tensor{{&o.Q, &o.K, &o.V}, {&o.DQ, &o.DK, &o.DV}} {
		if s.apart {
			*x[0], *x[1], *x[2] = l.Tensor(backend.F32, s.batch, s.time, width), l.Tensor(backend.F32, s.batch, s.time, kv), l.Tensor(backend.F32, s.batch, s.time, kv)
			continue
		}
		all := l.Tensor(backend.F32, s.batch, s.time, width+2*kv)
		*x[0], *x[1], *x[2] = all.Slice(-1, 0, width), all.Slice(-1, width, width+kv), all.Slice(-1, width+kv, width+2*kv)
	}
	return o
}

// stats has gaps between heads and between sequences where the layout has some.
func (s attentionBackwardShape) stats() backend.Tensor {
	t := exact.Tensor(backend.F32, s.batch, s.heads, s.time, 2)
	if s.layout.gap > 0 {
		t = exact.Tensor(backend.F32, s.batch+1, s.heads+1, s.time+1, 2).Slice(0, 0, s.batch).Slice(1, 0, s.heads).Slice(2, 0, s.time)
	}
	return t
}

func attentionBackwardCases() []Case {
	var cases []Case
	add := func(s attentionBackwardShape) { cases = append(cases, s.attentionBackward()) }
	for _, s := range attentionBackwardScores { // first, for they find most of what may be wrong
		add(s)
	}
	for i, n := range [][5]int{ // batch, time, heads, groups, size
		{1, 1, 1, 1, 1}, {1, 2, 1, 1, 2}, {1, 3, 2, 2, 3}, {2, 9, 3, 3, 5}, {1, 31, 4, 4, 8}, {1, 33, 2, 2, 16}, {2, 17, 4, 2, 20},
		{1, 63, 3, 3, 12}, {1, 64, 2, 1, 32}, {1, 65, 1, 1, 65}, {1, 127, 2, 2, 7}, {1, 129, 2, 2, 20}, {3, 7, 6, 3, 9},
		{1, 16, 2, 2, 64}, {1, 9, 1, 1, 128}, {1, 257, 1, 1, 4}, {4, 5, 8, 1, 3},
		{6, 33, 4, 4, 32}, {1, 140, 3, 1, 128}, // all sequences, and one, larger than a binding of 256 KiB
	} {
		add(attentionBackwardShape{batch: n[0], time: n[1], heads: n[2], groups: n[3], size: n[4], layout: Layouts[i%len(Layouts)]})
	}
	for _, l := range Layouts {
		s := attentionBackwardShape{batch: 2, time: 12, heads: 4, groups: 2, size: 6, layout: l}
		add(s)
		s.what, s.fill = "equal scores", func(o *backend.AttentionBackward, _ *rand.Rand) { Set(o.Q, 0) }
		add(s)
		s.what, s.fill = "scores of 1e4", func(o *backend.AttentionBackward, r *rand.Rand) {
			Normal(o.Q, r, 0, 70)
			Normal(o.K, r, 0, 70)
		}
		add(s)
		s.what, s.fill = "first sequence is NaN", func(o *backend.AttentionBackward, _ *rand.Rand) {
			for _, x := range []backend.Tensor{o.Q, o.K, o.V} {
				Set(x.Slice(1, 0, 1), math.NaN())
			}
		}
		add(s)
	}
	return cases
}

// attentionBackwardScores are shapes of tensors that are apart, with a window, a
// soft-cap, sinks, and what models have together.
var attentionBackwardScores = []attentionBackwardShape{
	{batch: 2, time: 17, heads: 4, groups: 2, size: 8, apart: true},
	{batch: 2, time: 33, heads: 4, groups: 1, size: 5, apart: true, layout: strided},
	{batch: 2, time: 17, heads: 4, groups: 2, size: 8, scores: scores{scale: 0.6}},

	{batch: 2, time: 23, heads: 4, groups: 2, size: 8, scores: scores{window: 1}},
	{batch: 2, time: 33, heads: 4, groups: 2, size: 8, apart: true, scores: scores{window: 5}},
	{batch: 1, time: 150, heads: 2, groups: 1, size: 8, scores: scores{window: 64}, layout: strided},
	{batch: 1, time: 150, heads: 2, groups: 2, size: 5, scores: scores{window: 70}},
	{batch: 2, time: 23, heads: 4, groups: 2, size: 8, scores: scores{window: 23}},
	{batch: 2, time: 23, heads: 4, groups: 2, size: 8, scores: scores{window: math.MaxInt}},
	{batch: 1, time: 140, heads: 3, groups: 1, size: 128, scores: scores{window: 40}}, // larger than a binding of 256 KiB

	{batch: 2, time: 33, heads: 4, groups: 2, size: 8, scores: scores{softCap: 1}},
	{batch: 2, time: 23, heads: 2, groups: 2, size: 5, apart: true, scores: scores{scale: 1, softCap: 0.5}, layout: strided},
	{batch: 2, time: 23, heads: 4, groups: 2, size: 8, scores: scores{scale: 4, softCap: 50}},

	{batch: 2, time: 33, heads: 4, groups: 2, size: 8, scores: scores{sinks: []float64{2, -1, 0, 5}}},
	{batch: 1, time: 23, heads: 4, groups: 2, size: 8, scores: scores{sinks: []float64{1e4, -1e4, 3, -3}}, layout: strided},
	{batch: 6, time: 33, heads: 4, groups: 4, size: 32, scores: scores{sinks: []float64{1, -1, 0, 2}}}, // as the shape of 256 KiB above
	{batch: 2, time: 33, heads: 4, groups: 2, size: 8, frozen: true, scores: scores{sinks: []float64{1}}},

	{batch: 2, time: 40, heads: 4, groups: 2, size: 5, scores: scores{scale: 0.3, window: 17, softCap: 2}},
	{batch: 2, time: 40, heads: 8, groups: 2, size: 8, apart: true, scores: scores{window: 16, sinks: []float64{1, -2, 3}}},
	{batch: 1, time: 80, heads: 6, groups: 3, size: 8, scores: scores{window: 16, softCap: 3, sinks: []float64{0, 2}}},
}
