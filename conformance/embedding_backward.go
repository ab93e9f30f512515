package conformance

import (
	"fmt"
	"math"
	"math/rand/v2"

	"caldera/backend"
)

func init() {
	Register(Kind{
		Op:        &backend.EmbeddingBackward{},
		Training:  true,
		Oracle:    Oracle(embeddingBackward),
		NonFinite: embeddingBackwardNonFinite,
		Cases:     embeddingBackwardCases,
		Random: func(r *rand.Rand) Case {
			s := embeddingShape{batch: 1 + r.IntN(4), time: 1 + r.IntN(40), vocab: 1 + r.IntN(60), width: 1 + r.IntN(200), layout: RandomLayout(r)}
			if r.IntN(2) == 0 {
				s.context = s.time + r.IntN(40)
			}
			return s.embeddingBackward()
		},
	})
}

func embeddingBackward(m Memory, o *backend.EmbeddingBackward) {
	batch, time, width := o.DY.Dim(-3), o.DY.Dim(-2), o.DY.Dim(-1)
	dy, ids := m.Load(o.DY), m.Load(o.IDs)
	at := placesOf(m, o.At, batch*time)
	// scatter adds each vector to the row of table that index names.
	scatter := func(table backend.Tensor, index func(r int) int) {
		rows := map[int][]int{}
		for r := range batch * time {
			if i := index(r); at[r].seq >= 0 && i >= 0 && i < table.Dim(-2) {
				rows[i] = append(rows[i], r)
			}
		}
		sums := m.Load(table)
		for i, list := range rows {
			row := sums.Row(i, width)
			for j := range width {
				// What was there is a term too: others are added to it one by one.
				row.Put(j, Sum(1+len(list), func(k int) Number {
					if k == len(list) {
						return row.At(j)
					}
					return dy.At(list[k]*width + j)
				}))
			}
		}
		m.Store(table, sums)
	}
	scatter(o.DTokens, func(r int) int { return int(ids.v[r]) })
	if !o.DPositions.Absent() {
		scatter(o.DPositions, func(r int) int { return at[r].pos })
	}
}

func (s embeddingShape) embeddingBackward() Case {
	name := fmt.Sprintf("ids=%dx%d,dtokens=%dx%d", s.batch, s.time, s.vocab, s.width)
	if s.context > 0 {
		name += fmt.Sprintf(",dpositions=%dx%d", s.context, s.width)
	}
	if s.what != "" {
		name += "," + s.what
	}
	return Case{Name: "embedding_backward/" + name + s.layout.String(), Edge: s.what != "", Build: func() (backend.Op, Fill) {
		l := s.layout
		o := &backend.EmbeddingBackward{
			DTokens: l.Tensor(backend.F32, s.vocab, s.width),
			DY:      l.Tensor(backend.F32, s.batch, s.time, s.width),
			IDs:     l.Ints(s.batch, s.time),
		}
		if s.context > 0 {
			o.DPositions = l.Tensor(backend.F32, s.context, s.width)
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

func embeddingBackwardCases() []Case {
	var cases []Case
	add := func(s embeddingShape) { cases = append(cases, s.embeddingBackward()) }
	for i, n := range [][5]int{ // batch, time, vocab, context, width
		{1, 1, 1, 1, 1}, {1, 1, 5, 3, 2}, {2, 3, 7, 5, 5}, {1, 7, 33, 9, 31}, {3, 5, 9, 8, 33}, {1, 31, 257, 64, 63},
		{2, 17, 129, 40, 65}, {1, 1, 1003, 8, 127}, {4, 1, 255, 9, 129}, {1, 65, 31, 127, 255}, {8, 33, 3, 33, 12}, {1, 513, 2, 513, 7},
	} {
		s := embeddingShape{batch: n[0], time: n[1], vocab: n[2], context: n[3], width: n[4], layout: Layouts[i%len(Layouts)]}
		add(s)
		s.context, s.layout = 0, Layouts[(i+1)%len(Layouts)]
		add(s)
	}
	for _, l := range Layouts {
		add(embeddingShape{batch: 2, time: 5, vocab: 13, context: 8, width: 10, layout: l})
		add(embeddingShape{batch: 3, time: 40, vocab: 9, context: 50, width: 37, layout: l, what: "one id", ids: []float64{4, 4}})
		add(embeddingShape{batch: 2, time: 4, vocab: 9, context: 6, width: 11, layout: l, what: "ids outside",
			ids: []float64{3, -1, 8, 9, 0, math.MinInt32, math.MaxInt32, -9, 4, 12345678, 1}})
		add(embeddingShape{batch: 2, time: 4, vocab: 3, context: 6, width: 11, layout: l, what: "padding", at: []float64{2, -3, 1}, seqs: paddingAmongOthers})
		add(embeddingShape{batch: 2, time: 4, vocab: 9, context: 6, width: 11, layout: l, what: "positions outside",
			at: []float64{3, -2, 9}})
		add(embeddingShape{batch: 2, time: 4, vocab: 9, context: 6, width: 11, layout: l, what: "positions far outside",
			at: []float64{math.MaxInt32 - 1, math.MinInt32, math.MaxInt32}}) // at + time must not wrap into the table
	}
	return cases
}
