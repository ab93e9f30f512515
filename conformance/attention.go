package conformance

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"

	"caldera/backend"
)

func init() {
	Register(Kind{
		Op:        &backend.Attention{},
		Oracle:    Oracle(attention),
		NonFinite: attentionNonFinite,
		Cases:     attentionCases,
		Random: func(r *rand.Rand) Case {
			if r.IntN(2) == 0 {
				return randomStep(r, true).attention()
			}
			return randomAttention(r).attention()
		},
	})
}

func attention(m Memory, o *backend.Attention) {
	batch, time, width := o.Q.Dim(-3), o.Q.Dim(-2), o.Q.Dim(-1)
	size, groups, n := o.HeadSize(), o.Groups(), batch*time
	q, k, v := m.Load(o.Q), m.Load(o.K), m.Load(o.V)
	context, row := rowsOfCache(m, o.K, o.Table)
	sequences, _ := o.Cache()
	_, run := o.Runs()
	at := placesOf(m, o.At, n)
	rule := scoring{scale: o.Scale, window: o.Window, softCap: o.SoftCap}
	if !o.Sinks.Absent() {
		rule.sinks = m.Load(o.Sinks).v
	}
	dst := NewValues(n * width)
	probs := NewValues(n * o.Heads * context)
	for i := range n {
		out, p := dst.Row(i, width), at[i/run*run]
		p.pos += i % run
		if at[i].isPadding() {
			p.seq = padding
		}
		outside := !p.within(context) || p.seq >= sequences
		// part is the part of group g of the key or value at position j.
		part := func(x Values, j, g int) Values {
			r, ok := row(place{p.seq, j})
			if !ok {
				return nans(size)
			}
			return x.Row(r, groups*size).Row(g, size)
		}
		for h := range o.Heads {
			prob := probs.Row((i/time*o.Heads+h)*time+i%time, context)
			if outside {
				for i := range size {
					out.set(h*size+i, p.missing(), 0)
				}
				for j := range context {
					prob.set(j, p.missing(), 0)
				}
				continue
			}
			g := h * groups / o.Heads
			s := rule.softmax(h, p.pos, q.Row(i, width).Row(h, size), func(j int) Values { return part(k, j, g) })
			n := len(s.p.v)
			for j := range n {
				prob.Put(s.from+j, s.p.At(j))
			}
			if o.K.DType == backend.F16 && o.V.DType == backend.F16 && o.Probs.Absent() {
				s.p.loseFaint()
			}
			columns := make([]Values, size)
			for i := range columns {
				columns[i] = NewValues(n)
			}
			for j := range n {
				value := part(v, s.from+j, g)
				for i := range columns {
					columns[i].v[j], columns[i].e[j] = value.v[i], value.e[i]
				}
			}
			for i, column := range columns {
				s, e := dot(s.p, column)
				out.set(h*size+i, s, e)
			}
		}
	}
	m.Store(o.Dst, dst)
	if !o.Probs.Absent() {
		m.Store(o.Probs, probs)
	}
}

// loseFaint gives probabilities that are faint beside the largest of their row's keys the bounds
// that they have where keys and values are f16: see [backend.Attention].
func (p Values) loseFaint() {
	largest := slices.Max(p.v)
	for i, v := range p.v {
		if v < largest*0x1p-16 {
			p.e[i] += math.Min(v, largest*0x1p-39)
		}
	}
}

// scoring says how attention makes probabilities of products of queries and keys.
type scoring struct {
	scale, softCap float32
	window         int
	sinks          []float64 // of the heads; nil: none
}

// attended is what a query makes of the keys that it sees, from the first one on.
type attended struct {
	from  int
	p     Values   // probabilities
	slope []Number // of the score, by the product of query and key
	sink  Number   // probability of the sink
}

// softmax is that of the query q at position t in head h; key gives the key in row j.
func (r scoring) softmax(h, t int, q Values, key func(j int) Values) attended {
	a := attended{}
	if r.window > 0 {
		a.from = max(0, t-r.window+1)
	}
	n := t + 1 - a.from
	score := NewValues(n)
	for j := range n {
		s, slope := r.score(q, key(a.from+j))
		score.Put(j, s)
		a.slope = append(a.slope, slope)
	}
	if r.sinks == nil {
		a.p = softmax(score)
		return a
	}
	all := softmax(Values{v: append(score.v, r.sinks[h]), e: append(score.e, 0)})
	a.p, a.sink = Values{v: all.v[:n], e: all.e[:n]}, all.At(n)
	return a
}

// score is that of a key, and its slope.
func (r scoring) score(q, k Values) (s, slope Number) {
	product, e := dot(q, k)
	scale := float64(r.scale)
	s = bounded(product*scale, e*scale+4*ulp*math.Abs(product*scale))
	if r.softCap == 0 {
		return s, Exactly(scale)
	}
	limit := float64(r.softCap)
	t := tanhOf(s, limit)
	return t.Times(Exactly(limit)), Number{1, 0}.Minus(t.Times(t)).Times(Exactly(scale))
}

// tanhOf is tanh(x / limit).
func tanhOf(x Number, limit float64) Number {
	t := Number{math.Tanh(x.Value / limit), tanhError}
	if finite(x.Value) {
		e := x.Bound/limit + 4*ulp*math.Abs(x.Value/limit) // of the argument; the slope's own is at most 1
		t.Bound += e * (1 - t.Value*t.Value + e)
	}
	return bounded(t.Value, t.Bound)
}

type attentionShape struct {
	batch, time, context, heads, groups, size int
	kv                                        backend.DType
	from, to                                  int  // positions of q[b,0], to excluded
	fused                                     bool // q is a slice of [q k v], k and v of one cache [k v]
	probs                                     bool
	scores                                    scores
	layout                                    Layout
	what                                      string
	fill                                      func(o *backend.Attention, r *rand.Rand, run int)
}

// scores are how attention makes scores of products, by a shape.
type scores struct {
	scale   float32 // 0: 1/√size
	window  int
	softCap float32
	sinks   []float64 // of the heads, in turn; nil: none
}

func (s scores) String() string {
	name := ""
	if s.scale != 0 {
		name += fmt.Sprint(",scale=", s.scale)
	}
	if s.window != 0 {
		name += fmt.Sprint(",window=", s.window)
	}
	if s.softCap != 0 {
		name += fmt.Sprint(",softcap=", s.softCap)
	}
	if s.sinks != nil {
		name += fmt.Sprint(",sinks=", strings.Trim(fmt.Sprint(s.sinks), "[]"))
	}
	return strings.ReplaceAll(name, " ", "_")
}

// of is the factor of products of vectors of that size.
func (s scores) of(size int) float32 {
	if s.scale != 0 {
		return s.scale
	}
	return float32(1 / math.Sqrt(float64(size)))
}

// sinkTensor is what holds the sinks of so many heads, absent without.
func (s scores) sinkTensor(l Layout, heads int) backend.Tensor {
	if s.sinks == nil {
		return backend.Tensor{}
	}
	return l.Tensor(backend.F32, heads)
}

// randomScores has each of them in one case of three or so.
func randomScores(r *rand.Rand, context int) scores {
	s := scores{}
	if r.IntN(3) == 0 {
		s.scale = 0.1 + r.Float32()
	}
	if r.IntN(3) == 0 {
		s.window = 1 + r.IntN(context+context/4)
	}
	if r.IntN(3) == 0 {
		s.softCap = 0.5 + 20*r.Float32()
	}
	if r.IntN(3) == 0 {
		s.sinks = []float64{3 * r.NormFloat64(), 3 * r.NormFloat64(), 3 * r.NormFloat64()}
	}
	return s
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
	name += s.scores.String()
	if s.what != "" {
		name += "," + s.what
	}
	return name + s.layout.String()
}

func (s attentionShape) attention() Case {
	return Case{Name: "attention/" + s.String(), Edge: s.what != "", Build: func() (backend.Op, Fill) {
		l, width, kv := s.layout, s.heads*s.size, s.groups*s.size
		o := &backend.Attention{
			Dst: l.Tensor(backend.F32, s.batch, s.time, width),
			At:  l.places(s.batch, s.time), Sinks: s.scores.sinkTensor(l, s.heads),
			Heads: s.heads, Scale: s.scores.of(s.size), Window: s.scores.window, SoftCap: s.scores.softCap,
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
		return o, func(r *rand.Rand, run int) {
			standAnywhere(o.At, s.time, r, s.from, s.to)
			if s.scores.sinks != nil {
				Set(o.Sinks, s.scores.sinks...)
			}
			if s.fill != nil {
				s.fill(o, r, run)
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
	for _, s := range attentionScores { // first, for they find most of what may be wrong
		add(s)
	}
	cases = append(cases, stepCases()...)
	// There are few sizes of heads, for a backend may compile each anew, for one query, two, four and more.
	for i, n := range [][6]int{ // batch, time, context, heads, groups, size
		{1, 1, 1, 1, 1, 1}, {1, 1, 2, 1, 1, 1}, {1, 1, 7, 2, 2, 5}, {2, 1, 9, 3, 3, 5}, {1, 1, 33, 4, 4, 8},
		{1, 1, 129, 2, 2, 8}, {3, 1, 65, 4, 2, 5}, {1, 1, 257, 3, 3, 64}, {1, 1, 1023, 2, 1, 64},
		{1, 2, 3, 1, 1, 8}, {2, 5, 8, 2, 2, 5}, {1, 7, 31, 6, 3, 5}, {1, 31, 33, 2, 2, 8}, {2, 17, 64, 4, 4, 20},
		{1, 33, 63, 4, 1, 5}, {1, 65, 127, 1, 1, 65}, {1, 63, 65, 3, 3, 20}, {1, 127, 129, 2, 2, 65}, {2, 3, 255, 8, 4, 6},
		{1, 16, 257, 2, 2, 64}, {1, 9, 40, 3, 3, 128}, {1, 129, 130, 2, 2, 8},
		{2, 19, 40, 2, 1, 32},
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
	long := attentionShape{batch: 1, time: 11, context: 20, heads: 2, groups: 1, size: 32, to: 10, layout: exact}
	long.what, long.fill = "the last query's own row is NaN", func(o *backend.Attention, _ *rand.Rand, _ int) {
		last := placesOf(sheet{}, o.At, long.time)[0].pos + long.time - 1
		Set(o.K.Slice(2, last, last+1), math.NaN())
		Set(o.V.Slice(2, last, last+1), math.NaN())
	}
	add(long)
	long.what, long.fill = "a query has 1e8 where keys are 0", func(o *backend.Attention, _ *rand.Rand, _ int) {
		for t := range long.time {
			Put(o.Q, t, 5, 1e8)
			Put(o.Q, t, long.size+5, -1e8)
		}
		for j := range long.context {
			Put(o.K, j, 5, 0)
		}
	}
	add(long)
	long.what, long.fill = "a key whose value is 0 outweighs the others", func(o *backend.Attention, _ *rand.Rand, _ int) {
		for t := range long.time {
			Put(o.Q, t, 5, 12)
			Put(o.Q, t, long.size+5, 9)
		}
		Put(o.K, 0, 5, 12) // a score of 25, or 19
		Set(o.V.Slice(2, 0, 1), 0)
	}
	add(long)
	long.fill = nil
	for _, s := range []attentionShape{edge, decode, long} {
		s.what, s.from, s.to = "some positions outside", -6, 18
		add(s)
		s.probs = true
		add(s)
		s.from, s.to, s.probs = 0, 12-s.time+1, false
		s.what, s.fill = "rows after the position are NaN", func(o *backend.Attention, r *rand.Rand, _ int) {
			at := placesOf(sheet{}, o.At, s.batch*s.time)
			for b := range s.batch {
				if p := at[b*s.time].pos + s.time; p < s.context {
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
	// Caches of other dtypes take pipelines of their own, so there are few.
	for _, d := range backend.DTypes(backend.Caches)[2:] {
		for _, s := range []attentionShape{
			{batch: 2, time: 1, context: 19, heads: 2, groups: 2, size: 8, to: 19, layout: exact},
			{batch: 1, time: 9, context: 40, heads: 4, groups: 2, size: 20, to: 32, layout: exact},
			{batch: 1, time: 1, context: 33, heads: 3, groups: 3, size: 7, to: 33, layout: strided},
			{batch: 2, time: 5, context: 17, heads: 2, groups: 1, size: 5, to: 13, probs: true, fused: true, layout: strided},
		} {
			s.kv = d
			cases = append(cases, s.attention())
		}
	}
	return cases
}

// attentionScores are shapes with a window, a soft-cap, sinks, and what models
// have together. They have few sizes, for a backend may compile each anew.
var attentionScores = []attentionShape{
	{batch: 2, time: 1, context: 33, heads: 4, groups: 2, size: 8, to: 33, scores: scores{scale: 0.6}},
	{batch: 2, time: 23, context: 33, heads: 4, groups: 2, size: 8, to: 11, scores: scores{scale: 0.6}},

	// Windows: of one row, of a few, across chunks of keys, of the context and more.
	{batch: 3, time: 1, context: 33, heads: 4, groups: 2, size: 8, from: 20, to: 33, scores: scores{window: 1}, layout: strided},
	{batch: 2, time: 23, context: 40, heads: 4, groups: 2, size: 8, to: 18, scores: scores{window: 1}},
	{batch: 3, time: 1, context: 1300, heads: 2, groups: 1, size: 8, from: 1000, to: 1300, scores: scores{window: 7}},
	{batch: 3, time: 1, context: 1300, heads: 2, groups: 1, size: 8, from: 530, to: 1300, scores: scores{window: 520}, layout: strided},
	{batch: 1, time: 23, context: 300, heads: 4, groups: 2, size: 8, from: 100, to: 278, scores: scores{window: 5}},
	{batch: 2, time: 150, context: 300, heads: 4, groups: 2, size: 8, to: 150, scores: scores{window: 64}},
	{batch: 2, time: 23, context: 300, heads: 2, groups: 2, size: 5, from: 60, to: 278, scores: scores{window: 65}, layout: strided},
	{batch: 2, time: 1, context: 300, heads: 2, groups: 1, size: 5, to: 300, scores: scores{window: 128}},
	{batch: 2, time: 23, context: 33, heads: 4, groups: 2, size: 8, to: 11, scores: scores{window: 33}},
	{batch: 2, time: 1, context: 33, heads: 4, groups: 2, size: 8, to: 33, scores: scores{window: math.MaxInt}},
	{batch: 2, time: 3, context: 90, heads: 4, groups: 2, size: 8, to: 88, probs: true, scores: scores{window: 9}, layout: strided},
	{batch: 2, time: 23, context: 140, heads: 4, groups: 2, size: 8, to: 118, probs: true, scores: scores{window: 30}},
	{batch: 2, time: 4, context: 12, heads: 4, groups: 2, size: 8, from: -6, to: 18, probs: true, scores: scores{window: 3}, what: "some positions outside"},
	// A cache of more than 256 KiB.
	{batch: 2, time: 1, context: 1300, heads: 2, groups: 1, size: 64, from: 900, to: 1300, scores: scores{window: 700, sinks: []float64{2}}},
	{batch: 1, time: 16, context: 1300, heads: 1, groups: 1, size: 64, from: 1000, to: 1284, scores: scores{window: 400, softCap: 5}},

	// Soft-caps: of the size of the scores, small against them, large.
	{batch: 2, time: 1, context: 65, heads: 4, groups: 4, size: 8, to: 65, scores: scores{softCap: 1}},
	{batch: 2, time: 23, context: 65, heads: 2, groups: 1, size: 5, to: 43, scores: scores{scale: 1, softCap: 0.25}, layout: strided},
	{batch: 1, time: 23, context: 65, heads: 4, groups: 2, size: 8, to: 43, fused: true, scores: scores{scale: 4, softCap: 50}},
	{batch: 1, time: 23, context: 65, heads: 4, groups: 2, size: 8, to: 43, scores: scores{softCap: 1e4}},

	// Sinks: of both signs, so large that nothing else counts, and so small that they do not.
	{batch: 2, time: 1, context: 65, heads: 4, groups: 2, size: 8, to: 65, scores: scores{sinks: []float64{2, -1, 0, 5}}},
	{batch: 2, time: 23, context: 65, heads: 4, groups: 2, size: 8, to: 43, scores: scores{sinks: []float64{1e4, -1e4, 3, -3}}, layout: strided},
	{batch: 2, time: 23, context: 65, heads: 4, groups: 2, size: 8, to: 43, probs: true, scores: scores{sinks: []float64{4, -2}}},
	// Sinks that take most of the probability, and nearly all, beside keys that still count.
	{batch: 2, time: 23, context: 65, heads: 4, groups: 2, size: 8, to: 43, scores: scores{sinks: []float64{10, 20, 30, 50}}},
	{batch: 2, time: 23, context: 65, heads: 4, groups: 2, size: 8, to: 43, fused: true, scores: scores{window: 16, softCap: 3, sinks: []float64{80, 25, 87, 15}}},
	{batch: 1, time: 2, context: 65, heads: 4, groups: 1, size: 8, to: 64, scores: scores{sinks: []float64{10, 20, 30, 50}}},
	{batch: 2, time: 1, context: 700, heads: 4, groups: 2, size: 8, from: 600, to: 700, scores: scores{sinks: []float64{10, 20, 30, 50}}},

	// Gemma 2, and gpt-oss.
	{batch: 2, time: 40, context: 100, heads: 4, groups: 2, size: 5, to: 61, fused: true, scores: scores{scale: 0.3, window: 17, softCap: 2}},
	{batch: 2, time: 1, context: 100, heads: 8, groups: 2, size: 8, to: 100, fused: true, scores: scores{window: 16, sinks: []float64{1, -2, 3}}},
	{batch: 2, time: 40, context: 100, heads: 8, groups: 2, size: 8, to: 61, fused: true, scores: scores{window: 16, sinks: []float64{1, -2, 3}}},
	{batch: 2, time: 9, context: 100, heads: 6, groups: 3, size: 8, to: 92, probs: true, scores: scores{window: 16, softCap: 3, sinks: []float64{0, 2}}},
}

func randomAttention(r *rand.Rand) attentionShape {
	s := attentionShape{batch: 1 + r.IntN(3), time: 1 + r.IntN(40), groups: 1 + r.IntN(3), size: 1 + r.IntN(70),
		kv: anyOf(r, backend.DTypes(backend.Caches)), fused: r.IntN(2) == 0, probs: r.IntN(2) == 0, layout: RandomLayout(r)}
	if r.IntN(2) == 0 {
		s.time = 1
	}
	s.heads = s.groups * (1 + r.IntN(3))
	s.context = s.time + r.IntN(150)
	s.to = s.context - s.time + 1
	s.scores = randomScores(r, s.context)
	return s
}
