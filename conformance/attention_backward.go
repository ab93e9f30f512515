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
			return s.attentionBackward()
		},
	})
}

func attentionBackward(m Memory, o *backend.AttentionBackward) {
	batch, time, size, groups := o.DY.Dim(-3), o.DY.Dim(-2), o.HeadSize(), o.Groups()
	qkv, dy := m.Load(o.QKV), m.Load(o.DY)
	dqkv := NewValues(len(qkv.v))
	scale := 1 / math.Sqrt(float64(size))
	// part is vector h of those that lie side by side at [b,t] of x.
	part := func(x Values, b, t, h int) Values { return x.Row(b*time+t, len(x.v)/(batch*time)).Row(h, size) }
	for b := range batch {
		for h := range o.Heads {
			g := h * groups / o.Heads
			key, value := o.Heads+g, o.Heads+groups+g
			p, ds := make([]Values, time), make([]Values, time)
			for t := range time {
				p[t], ds[t] = NewValues(t+1), NewValues(t+1)
				score, dp := NewValues(t+1), NewValues(t+1)
				for j := range t + 1 {
					s, e := dot(part(qkv, b, t, h), part(qkv, b, j, key))
					score.set(j, s*scale, e*scale+4*ulp*math.Abs(s*scale))
					up, e := dot(part(dy, b, t, h), part(qkv, b, j, value))
					dp.set(j, up, e)
				}
				p[t] = softmax(score)
				mean := Sum(t+1, func(j int) Number { return p[t].At(j).Times(dp.At(j)) })
				for j := range t + 1 {
					ds[t].Put(j, p[t].At(j).Times(dp.At(j).Minus(mean)).Times(Exactly(scale)))
				}
			}
			for t := range time {
				dq, dk, dv := part(dqkv, b, t, h), part(dqkv, b, t, key), part(dqkv, b, t, value)
				for i := range size {
					dq.Put(i, Sum(t+1, func(j int) Number { return ds[t].At(j).Times(part(qkv, b, j, key).At(i)) }))
					// Queries from t on see t.
					dk.Put(i, dk.At(i).Plus(Sum(time-t, func(k int) Number { return ds[t+k].At(t).Times(part(qkv, b, t+k, h).At(i)) })))
					dv.Put(i, dv.At(i).Plus(Sum(time-t, func(k int) Number { return p[t+k].At(t).Times(part(dy, b, t+k, h).At(i)) })))
				}
			}
		}
	}
	m.Store(o.DQKV, dqkv)
}

type attentionBackwardShape struct {
	batch, time, heads, groups, size int
	layout                           Layout
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
			DQKV:  l.Tensor(backend.F32, s.batch, s.time, all),
			QKV:   l.Tensor(backend.F32, s.batch, s.time, all),
			DY:    l.Tensor(backend.F32, s.batch, s.time, s.heads*s.size),
			Stats: l.Tensor(backend.F32, s.batch, s.heads, s.time, 2),
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
		add(attentionBackwardShape{batch: n[0], time: n[1], heads: n[2], groups: n[3], size: n[4], layout: Layouts[i%len(Layouts)]})
	}
	for _, l := range Layouts {
		s := attentionBackwardShape{batch: 2, time: 12, heads: 4, groups: 2, size: 6, layout: l}
		add(s)
		s.what, s.fill = "equal scores", func(o *backend.AttentionBackward, _ *rand.Rand) { Set(o.QKV.Slice(-1, 0, 24), 0) }
		add(s)
		s.what, s.fill = "scores of 1e4", func(o *backend.AttentionBackward, r *rand.Rand) { Normal(o.QKV.Slice(-1, 0, 36), r, 0, 70) }
		add(s)
		s.what, s.fill = "first sequence is NaN", func(o *backend.AttentionBackward, _ *rand.Rand) { Set(o.QKV.Slice(1, 0, 1), math.NaN()) }
		add(s)
	}
	return cases
}
