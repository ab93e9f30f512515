package conformance

import (
	"fmt"
	"math"
	"math/rand/v2"

	"caldera/backend"
)

func init() {
	Register(Kind{
		Op:        &backend.Embedding{},
		Oracle:    Oracle(embedding),
		NonFinite: embeddingNonFinite,
		Cases:     embeddingCases,
		Random:    func(r *rand.Rand) Case { return randomEmbedding(r).embedding() },
	})
}

func embedding(m Memory, o *backend.Embedding) {
	batch, time, width := o.Dst.Dim(-3), o.Dst.Dim(-2), o.Dst.Dim(-1)
	ids := m.Load(o.IDs)
	at := placesOf(m, o.At, batch*time)
	dst := NewValues(batch * time * width)
	// add puts row i of table on top of out, or NaN where there is no such row.
	add := func(out Values, table backend.Tensor, i int) {
		row := Values{}
		if 0 <= i && i < table.Dim(-2) {
			row = m.Load(table.Slice(-2, i, i+1))
		}
		for j := range width {
			if row.v == nil {
				out.set(j, math.NaN(), 0)
				continue
			}
			sum := out.v[j] + row.v[j]
			e := out.e[j] + row.e[j]
			if out.v[j] != 0 {
				e += ulp * math.Abs(sum)
			}
			out.set(j, sum, e)
		}
	}
	for i, p := range at {
		out := dst.Row(i, width)
		if p.isPadding() {
			continue
		}
		add(out, o.Tokens, int(ids.v[i]))
		switch {
		case o.Positions.Absent():
		case p.within(o.Positions.Dim(-2)):
			add(out, o.Positions, p.pos)
		default:
			add(out, o.Positions, -1)
		}
	}
	m.Store(o.Dst, dst)
}

type embeddingShape struct {
	batch, time, vocab, context, width int // context 0: no positions
	tokens, positions                  backend.DType
	large                              bool
	layout                             Layout
	what                               string
	ids, at                            []float64 // instead of random ones
	seqs                               []float64 // likewise, where they are not 0, 1, …
}

func (s embeddingShape) String() string {
	name := fmt.Sprintf("tokens=%v,ids=%dx%d,tokens=%dx%d", s.tokens, s.batch, s.time, s.vocab, s.width)
	if s.context > 0 {
		name += fmt.Sprintf(",positions=%v,positions=%dx%d", s.positions, s.context, s.width)
	}
	if s.what != "" {
		name += "," + s.what
	}
	return name + s.layout.String()
}

func (s embeddingShape) embedding() Case {
	return Case{Name: "embedding/" + s.String(), Large: s.large, Edge: s.what != "", Build: func() (backend.Op, Fill) {
		l := s.layout
		o := &backend.Embedding{
			Dst:    l.Tensor(backend.F32, s.batch, s.time, s.width),
			Tokens: l.Tensor(s.tokens, s.vocab, s.width),
			IDs:    l.Ints(s.batch, s.time),
		}
		o.Tokens.Buf.(*block).constant = s.large
		if s.context > 0 {
			o.Positions = l.Tensor(s.positions, s.context, s.width)
			o.At = l.places(s.batch, s.time)
		}
		return o, func(r *rand.Rand, run int) {
			Uniform(o.IDs, r, 0, s.vocab)
			if s.ids != nil {
				Set(o.IDs, s.ids[run:]...)
			}
			if s.context > 0 {
				standAnywhere(o.At, s.time, r, 0, s.context-s.time+1)
				if s.at != nil {
					standAt(o.At, s.time, s.at[run:]...)
				}
				setSequences(o.At, s.seqs, run)
			}
		}
	}}
}

func embeddingCases() []Case {
	var cases []Case
	both := []backend.DType{backend.F32, backend.F16}
	add := func(s embeddingShape) {
		for _, s.tokens = range both {
			s.positions = s.tokens
			cases = append(cases, s.embedding())
		}
	}
	for i, n := range [][5]int{ // batch, time, vocab, context, width
		{1, 1, 1, 1, 1}, {1, 1, 5, 3, 2}, {2, 3, 7, 5, 5}, {1, 7, 33, 9, 31}, {3, 5, 9, 8, 33}, {1, 31, 257, 64, 63},
		{2, 17, 129, 40, 65}, {1, 1, 1003, 8, 127}, {4, 1, 255, 9, 129}, {1, 65, 31, 127, 255}, {1, 9, 63, 33, 257},
		{1, 3, 65, 7, 768}, {2, 2, 17, 4, 1025}, {1, 129, 12, 257, 12},
	} {
		s := embeddingShape{batch: n[0], time: n[1], vocab: n[2], context: n[3], width: n[4], layout: Layouts[i%len(Layouts)]}
		add(s)
		s.context, s.layout = 0, Layouts[(i+1)%len(Layouts)]
		add(s)
	}
	for _, l := range Layouts {
		add(embeddingShape{batch: 2, time: 5, vocab: 13, context: 8, width: 10, layout: l})
		for _, tokens := range both {
			positions := both[0]
			if tokens == positions {
				positions = both[1]
			}
			cases = append(cases, embeddingShape{batch: 2, time: 5, vocab: 13, context: 8, width: 10,
				tokens: tokens, positions: positions, layout: l}.embedding())
		}
		add(embeddingShape{batch: 2, time: 4, vocab: 9, context: 6, width: 11, layout: l, what: "ids outside",
			ids: []float64{3, -1, 8, 9, 0, math.MinInt32, math.MaxInt32, -9, 4, 12345678, 1}})
		add(embeddingShape{batch: 2, time: 4, vocab: 9, context: 6, width: 11, layout: l, what: "positions outside",
			at: []float64{3, -2, 9}})
		add(embeddingShape{batch: 2, time: 4, vocab: 9, context: 6, width: 11, layout: l, what: "positions far outside",
			at: []float64{math.MaxInt32 - 1, math.MinInt32, math.MaxInt32}}) // at + time must not wrap into the table
		add(embeddingShape{batch: 2, time: 4, vocab: 9, context: 6, width: 11, layout: l, what: "padding",
			ids: []float64{3, 8, -1, 0, 9, 1, 12345678, 2, 4}, at: []float64{2, -3, 1}, seqs: paddingAmongOthers}) // some of it outside
		add(embeddingShape{batch: 1, time: 6, vocab: 5, width: 6, layout: l, what: "only picks, ids outside",
			ids: []float64{4, 5, -1, 0, math.MinInt32, 2, 3}})
	}
	for i, l := range Layouts {
		for _, d := range backend.QuantizedDTypes() {
			s := embeddingShape{batch: 2, time: 5, vocab: 13, context: 8, width: d.BlockLen() * (i + 1), tokens: d, layout: l}
			if len(fully([]backend.DType{d})) == 0 && i%2 == 0 {
				continue
			}
			for _, s.positions = range both {
				cases = append(cases, s.embedding())
			}
			s.context, s.what, s.ids = 0, "only picks, ids outside", []float64{4, 13, -1, 0, math.MinInt32, 2, 3, 12, 11, 7}
			cases = append(cases, s.embedding())
		}
	}
	for _, d := range backend.PlainDTypes()[len(both):] {
		for i, l := range Layouts {
			s := embeddingShape{batch: 2, time: 5, vocab: 13, context: 8, width: 10 + i, tokens: d, positions: d, layout: l}
			cases = append(cases, s.embedding())
			s.context, s.what, s.ids = 0, "only picks, ids outside", []float64{4, 13, -1, 0, math.MinInt32, 2, 3, 12, 11, 7}
			cases = append(cases, s.embedding())
		}
	}
	return append(cases, embeddingShape{batch: 1, time: 5, vocab: 50257, context: 16, width: 768, tokens: backend.F32,
		positions: backend.F32, large: true, what: "large",
		ids: []float64{50256, 0, 43690, 43691, 21845, 49999, 12345}}.embedding())
}

func randomEmbedding(r *rand.Rand) embeddingShape {
	s := embeddingShape{batch: 1 + r.IntN(4), time: 1 + r.IntN(20), vocab: 1 + r.IntN(300), width: 1 + r.IntN(300),
		tokens: anyOf(r, backend.DTypes(backend.Weights)), positions: anyOf(r, backend.PlainDTypes()), layout: RandomLayout(r)}
	if s.tokens.Quantized() {
		s.width = s.tokens.BlockLen() * (1 + s.width/s.tokens.BlockLen())
	}
	if r.IntN(2) == 0 {
		s.context = s.time + r.IntN(40)
	}
	return s
}
