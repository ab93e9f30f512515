package conformance

import (
	"fmt"
	"math"
	"math/rand/v2"

	"caldera/backend"
)

func init() {
	Register(Kind{
		Op:        &backend.Attention{},
		Oracle:    Oracle(attention),
		NonFinite: attentionNonFinite,
		Cases:     attentionCases,
		Random:    func(r *rand.Rand) Case { return randomAttention(r).attention() },
	})
}

func attention(m Memory, o *backend.Attention) {
	batch, time, width := o.Q.Dim(-3), o.Q.Dim(-2), o.Q.Dim(-1)
	context, size, groups := o.K.Dim(-2), o.HeadSize(), o.Groups()
	q, k, v, at := m.Load(o.Q), m.Load(o.K), m.Load(o.V), m.Load(o.At)
	dst := NewValues(batch * time * width)
	probs := NewValues(batch * o.Heads * time * context)
	scale := 1 / math.Sqrt(float64(size))
	for b := range batch {
		for t := range time {
			out := dst.Row(b*time+t, width)
			p := int(at.v[b]) + t
			for h := range o.Heads {
				prob := probs.Row((b*o.Heads+h)*time+t, context)
				if p < 0 || p >= context {
					for i := range size {
						out.set(h*size+i, math.NaN(), 0)
					}
					for j := range context { // nothing is said of them
						prob.set(j, 0, math.Inf(1))
					}
					continue
				}
				g := h * groups / o.Heads
				query := q.Row(b*time+t, width).Row(h, size)
				score := NewValues(p + 1)
				for j := range p + 1 {
					s, e := dot(query, k.Row(b*context+j, groups*size).Row(g, size))
					score.set(j, s*scale, e*scale+4*ulp*math.Abs(s*scale))
				}
				score = softmax(score)
				for j := range p + 1 {
					prob.Put(j, score.At(j))
				}
				column := NewValues(p + 1)
				for i := range size {
					for j := range p + 1 {
						from := (b*context+j)*groups*size + g*size + i
						column.v[j], column.e[j] = v.v[from], v.e[from]
					}
					s, e := dot(score, column)
					out.set(h*size+i, s, e)
				}
			}
		}
	}
	m.Store(o.Dst, dst)
	if !o.Probs.Absent() {
		m.Store(o.Probs, probs)
	}
}

type attentionShape struct {
	batch, time, context, heads, groups, size int
	kv                                        backend.DType
	from, to                                  int  // positions of q[b,0], to excluded
	fused                                     bool // q is a slice of [q k v], k and v of one cache [k v]
	probs                                     bool
	layout                                    Layout
	what                                      string
	fill                                      func(o *backend.Attention, r *rand.Rand, set int)
}

func (s attentionShape) String() string {
	name := fmt.Sprintf("kv=%v,q=%dx%dx%dx%d,k=%dx%dx%d,at=%d:%d",
		s.kv, s.batch, s.time, s.heads, s.size, s.batch, s.context, s.groups*s.size, s.from, s.to)
	if s.fused {
		name += ",interleaved"
	}
	if s.probs {
		name += ",probs"
	}
	if s.what != "" {
		name += "," + s.what
	}
	return name + s.layout.String()
}

func (s attentionShape) attention() Case {
	return Case{Name: "attention/" + s.String(), Edge: s.what != "", Build: func() (backend.Op, Fill) {
		l, width, kv := s.layout, s.heads*s.size, s.groups*s.size
		o := &backend.Attention{
			Dst:   l.Tensor(backend.F32, s.batch, s.time, width),
			At:    l.Ints(s.batch),
			Heads: s.heads,
		}
		if s.fused {
			o.Q = l.Tensor(backend.F32, s.batch, s.time, width+2*kv).Slice(-1, 0, width)
			cache := l.Tensor(s.kv, s.batch, s.context, 2*kv)
			o.K, o.V = cache.Slice(-1, 0, kv), cache.Slice(-1, kv, 2*kv)
		} else {
			o.Q = l.Tensor(backend.F32, s.batch, s.time, width)
			o.K = l.Tensor(s.kv, s.batch, s.context, kv)
			o.V = l.Tensor(s.kv, s.batch, s.context, kv)
		}
		if s.probs {
			o.Probs = l.Tensor(backend.F32, s.batch, s.heads, s.time, s.context)
		}
		return o, func(r *rand.Rand, set int) {
			Uniform(o.At, r, s.from, s.to)
			if s.fill != nil {
				s.fill(o, r, set)
			}
		}
	}}
}

func attentionCases() []Case {
	var cases []Case
	add := func(s attentionShape) {
		for _, s.kv = range []backend.DType{backend.F32, backend.F16} {
			cases = append(cases, s.attention())
		}
	}
	for i, n := range [][6]int{ // batch, time, context, heads, groups, size
		{1, 1, 1, 1, 1, 1}, {1, 1, 2, 1, 1, 2}, {1, 1, 7, 2, 2, 3}, {2, 1, 9, 3, 3, 5}, {1, 1, 33, 4, 4, 8},
		{1, 1, 129, 2, 2, 16}, {3, 1, 65, 4, 2, 20}, {1, 1, 257, 3, 3, 64}, {1, 1, 1023, 2, 1, 32},
		{1, 2, 3, 1, 1, 4}, {2, 5, 8, 2, 2, 7}, {1, 7, 31, 6, 3, 9}, {1, 31, 33, 2, 2, 16}, {2, 17, 64, 4, 4, 16},
		{1, 33, 63, 4, 1, 31}, {1, 65, 127, 1, 1, 65}, {1, 63, 65, 3, 3, 20}, {1, 127, 129, 2, 2, 33}, {2, 3, 255, 8, 4, 5},
		{1, 16, 257, 2, 2, 64}, {1, 9, 40, 3, 3, 128}, {1, 129, 130, 2, 2, 8},
	} {
		s := attentionShape{batch: n[0], time: n[1], context: n[2], heads: n[3], groups: n[4], size: n[5],
			to: n[2] - n[1] + 1, layout: Layouts[i%len(Layouts)]}
		add(s)
		s.fused, s.probs, s.layout = true, true, Layouts[(i+1)%len(Layouts)]
		add(s)
	}
	for _, l := range Layouts {
		for _, probs := range []bool{false, true} {
			for _, fused := range []bool{false, true} {
				add(attentionShape{batch: 2, time: 3, context: 17, heads: 4, groups: 2, size: 6, to: 15, probs: probs, fused: fused, layout: l})
				add(attentionShape{batch: 3, time: 1, context: 19, heads: 2, groups: 2, size: 8, to: 19, probs: probs, fused: fused, layout: l})
			}
		}
	}
	edge := attentionShape{batch: 2, time: 4, context: 12, heads: 2, groups: 2, size: 8, to: 9}
	decode := attentionShape{batch: 3, time: 1, context: 12, heads: 2, groups: 2, size: 8, to: 12}
	for _, s := range []attentionShape{edge, decode} {
		s.what, s.from, s.to = "some positions outside", -6, 18
		add(s)
		s.probs = true
		add(s)
		s.from, s.to, s.probs = 0, 12-s.time+1, false
		s.what, s.fill = "rows after the position are NaN", func(o *backend.Attention, r *rand.Rand, _ int) {
			at := sheet{}.Load(o.At)
			for b := range s.batch {
				if p := int(at.v[b]) + s.time; p < s.context {
					Set(o.K.Slice(1, b, b+1).Slice(2, p, s.context), math.NaN())
					Set(o.V.Slice(1, b, b+1).Slice(2, p, s.context), math.NaN())
				}
			}
		}
		add(s)
		s.what, s.fill = "scores of 1e4", func(o *backend.Attention, r *rand.Rand, _ int) {
			Normal(o.Q, r, 0, 100)
			Normal(o.K, r, 0, 100)
		}
		add(s)
		s.what, s.fill = "equal scores", func(o *backend.Attention, r *rand.Rand, _ int) { Set(o.Q, 0) }
		add(s)
	}
	return cases
}

func randomAttention(r *rand.Rand) attentionShape {
	s := attentionShape{batch: 1 + r.IntN(3), time: 1 + r.IntN(40), groups: 1 + r.IntN(3), size: 1 + r.IntN(70),
		kv: []backend.DType{backend.F32, backend.F16}[r.IntN(2)], fused: r.IntN(2) == 0, probs: r.IntN(2) == 0, layout: RandomLayout(r)}
	if r.IntN(2) == 0 {
		s.time = 1
	}
	s.heads = s.groups * (1 + r.IntN(3))
	s.context = s.time + r.IntN(150)
	s.to = s.context - s.time + 1
	return s
}
