package conformance

import (
	"fmt"
	"math"
	"math/rand/v2"

	"caldera/backend"
)

func init() {
	register(kind{
		op:        &backend.AttentionBackward{},
		training:  true,
		oracle:    oracle(attentionBackward),
		nonfinite: attentionBackwardNonFinite,
		cases:     attentionBackwardCases,
		random: func(r *rand.Rand) Case {
			s := attentionBackwardShape{batch: 1 + r.IntN(3), time: 1 + r.IntN(90), groups: 1 + r.IntN(3), size: 1 + r.IntN(40), layout: randomLayout(r)}
			s.heads = s.groups * (1 + r.IntN(3))
			return s.attentionBackward()
		},
	})
}

func attentionBackward(m memory, o *backend.AttentionBackward) {
	batch, time, size, groups := o.DY.Dim(-3), o.DY.Dim(-2), o.HeadSize(), o.Groups()
	qkv, dy := m.load(o.QKV), m.load(o.DY)
	dqkv := newValues(len(qkv.v))
	scale := 1 / math.Sqrt(float64(size))
	// part is vector h of those that lie side by side at [b,t] of x.
	part := func(x values, b, t, h int) values { return x.row(b*time+t, len(x.v)/(batch*time)).row(h, size) }
	for b := range batch {
		for h := range o.Heads {
			g := h * groups / o.Heads
			key, value := o.Heads+g, o.Heads+groups+g
			p, ds := make([]values, time), make([]values, time)
			for t := range time {
				p[t], ds[t] = newValues(t+1), newValues(t+1)
				score, dp := newValues(t+1), newValues(t+1)
				for j := range t + 1 {
					s, e := dot(part(qkv, b, t, h), part(qkv, b, j, key))
					score.set(j, s*scale, e*scale+4*ulp*math.Abs(s*scale))
					up, e := dot(part(dy, b, t, h), part(qkv, b, j, value))
					dp.set(j, up, e)
				}
				p[t] = softmax(score)
				mean := sum(t+1, func(j int) number { return p[t].at(j).times(dp.at(j)) })
				for j := range t + 1 {
					ds[t].put(j, p[t].at(j).times(dp.at(j).minus(mean)).times(exactly(scale)))
				}
			}
			for t := range time {
				dq, dk, dv := part(dqkv, b, t, h), part(dqkv, b, t, key), part(dqkv, b, t, value)
				for i := range size {
					dq.put(i, sum(t+1, func(j int) number { return ds[t].at(j).times(part(qkv, b, j, key).at(i)) }))
					// Queries from t on see t.
					dk.put(i, dk.at(i).plus(sum(time-t, func(k int) number { return ds[t+k].at(t).times(part(qkv, b, t+k, h).at(i)) })))
					dv.put(i, dv.at(i).plus(sum(time-t, func(k int) number { return p[t+k].at(t).times(part(dy, b, t+k, h).at(i)) })))
				}
			}
		}
	}
	m.store(o.DQKV, dqkv)
}

type attentionBackwardShape struct {
	batch, time, heads, groups, size int
	layout                           layout
	what                             string
	fill                             func(o *backend.AttentionBackward, r *rand.Rand)
}

func (s attentionBackwardShape) attentionBackward() Case {
	name := fmt.Sprintf("dy=%dx%dx%dx%d,groups=%d", s.batch, s.time, s.heads, s.size, s.groups)
	if s.what != "" {
		name += "," + s.what
	}
	return Case{Name: "attention_backward/" + name + s.layout.String(), Edge: s.what != "", Build: func() (backend.Op, Fill) {
		l := s.layout
		all := (s.heads + 2*s.groups) * s.size
		o := &backend.AttentionBackward{
			DQKV:  l.tensor(backend.F32, s.batch, s.time, all),
			QKV:   l.tensor(backend.F32, s.batch, s.time, all),
			DY:    l.tensor(backend.F32, s.batch, s.time, s.heads*s.size),
			Stats: l.tensor(backend.F32, s.batch, s.heads, s.time, 2),
			Heads: s.heads,
		}
		return o, func(r *rand.Rand, _ int) {
			if s.fill != nil {
				s.fill(o, r)
			}
		}
	}}
}

func attentionBackwardCases() []Case {
	var cases []Case
	add := func(s attentionBackwardShape) { cases = append(cases, s.attentionBackward()) }
	for i, n := range [][5]int{ // batch, time, heads, groups, size
		{1, 1, 1, 1, 1}, {1, 2, 1, 1, 2}, {1, 3, 2, 2, 3}, {2, 9, 3, 3, 5}, {1, 31, 4, 4, 8}, {1, 33, 2, 2, 16}, {2, 17, 4, 2, 20},
		{1, 63, 3, 3, 12}, {1, 64, 2, 1, 32}, {1, 65, 1, 1, 65}, {1, 127, 2, 2, 7}, {1, 129, 2, 2, 20}, {3, 7, 6, 3, 9},
		{1, 16, 2, 2, 64}, {1, 9, 1, 1, 128}, {1, 257, 1, 1, 4}, {4, 5, 8, 1, 3},
		{6, 33, 4, 4, 32}, {1, 140, 3, 1, 128}, // all sequences, and one, larger than a binding of 256 KiB
	} {
		add(attentionBackwardShape{batch: n[0], time: n[1], heads: n[2], groups: n[3], size: n[4], layout: layouts[i%len(layouts)]})
	}
	for _, l := range layouts {
		s := attentionBackwardShape{batch: 2, time: 12, heads: 4, groups: 2, size: 6, layout: l}
		add(s)
		s.what, s.fill = "equal scores", func(o *backend.AttentionBackward, _ *rand.Rand) { set(o.QKV.Slice(-1, 0, 24), 0) }
		add(s)
		s.what, s.fill = "scores of 1e4", func(o *backend.AttentionBackward, r *rand.Rand) { normal(o.QKV.Slice(-1, 0, 36), r, 0, 70) }
		add(s)
		s.what, s.fill = "first sequence is NaN", func(o *backend.AttentionBackward, _ *rand.Rand) { set(o.QKV.Slice(1, 0, 1), math.NaN()) }
		add(s)
	}
	return cases
}
