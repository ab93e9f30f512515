package conformance

// Cases with NaN and infinities of attention. What a query does not see must
// not reach it, whatever it holds: those of the first kind poison, in each of
// many sequences, all that lies on one side of another position, so that no
// way to cut the work into tiles escapes them.

import (
	"fmt"
	"math/rand/v2"

	"caldera/backend"
)

func attentionNonFinite() []Case {
	var cases []Case
	for i, kv := range []backend.DType{backend.F32, backend.F16} {
		for _, size := range []int{4, 5} {
			cases = append(cases, attentionUnseen(kv, size, 0))
		}
		cases = append(cases, attentionUnseen(kv, 8-3*i, 6))
		for _, time := range []int{1, 6} {
			l := rowLayouts[(i+time)%2]
			for _, probs := range []bool{false, true} {
				cases = append(cases, attentionKinds(kv, time, 4, probs, scores{}, l))
			}
			for _, s := range []scores{{window: 9}, {softCap: 3}, {sinks: []float64{1, -1}}} {
				cases = append(cases, attentionKinds(kv, time, 8, false, s, l))
			}
		}
	}
	// So many queries of vectors of eights, with keys and values in f16, that matrix units take them.
	cases = append(cases, attentionUnseen(backend.F16, 8, 0), attentionUnseen(backend.F16, 8, 6))
	for _, s := range []scores{{}, {window: 9}, {softCap: 3}, {sinks: []float64{1, -1}}} {
		cases = append(cases, attentionKinds(backend.F16, 20, 8, false, s, exact))
	}
	return append(cases, attentionSinks(1), attentionSinks(6))
}

// attentionUnseen poisons in each sequence, without a window, all rows after
// another position, else all before one.
func attentionUnseen(kv backend.DType, size, window int) Case {
	l := rowLayouts[size%2]
	return poisoned(SameValue, fmt.Sprintf("kv=%v,size=%d,window=%d,what is not seen is NaN", kv, size, window), []Layout{l},
		func(l Layout) (*backend.Attention, Fill) {
			const sequences, time = 21, 23
			o := &backend.Attention{Dst: l.Tensor(backend.F32, sequences, time, 2*size), Q: l.Tensor(backend.F32, sequences, time, 2*size),
				K: l.Tensor(kv, sequences, time+2, size), V: l.Tensor(kv, sequences, time+2, size), At: l.places(sequences, time),
				Heads: 2, Scale: 0.6, Window: window}
			return o, func(*rand.Rand, int) { standAt(o.At, time, 0) }
		}, func(o *backend.Attention) {
			for b := range o.K.Dim(1) {
				from, to := b+1, o.K.Dim(-2) // the queries up to b see none of it
				if window > 0 {
					from, to = 0, min(b+1, to-window-2) // those from b + window on do
				}
				Set(o.K.Slice(1, b, b+1).Slice(2, from, to), nan, inf, -inf)
				Set(o.V.Slice(1, b, b+1).Slice(2, from, to), nan, inf, -inf)
			}
		})[0]
}

// attentionKinds has another thing that is not finite in each sequence.
func attentionKinds(kv backend.DType, time, size int, probs bool, s scores, l Layout) Case {
	const sequences, context = 11, 530
	name := fmt.Sprintf("kv=%v,time=%d,not finite%v", kv, time, s)
	if probs {
		name += ",probs"
	}
	return poisoned(SameValue, name, []Layout{l}, func(l Layout) (*backend.Attention, Fill) {
		o := &backend.Attention{Dst: l.Tensor(backend.F32, sequences, time, 2*size), Q: l.Tensor(backend.F32, sequences, time, 2*size),
			K: l.Tensor(kv, sequences, context, 2*size), V: l.Tensor(kv, sequences, context, 2*size), At: l.places(sequences, time),
			Sinks: s.sinkTensor(l, 2), Heads: 2, Scale: s.of(size), Window: s.window, SoftCap: s.softCap}
		if probs {
			o.Probs = l.Tensor(backend.F32, sequences, 2, time, context)
		}
		return o, func(*rand.Rand, int) {
			last := context - float64(time)
			standAt(o.At, time, 5, 5, 5, 5, 5, 5, 5, last, last, 20, 20)
			// Whose scores are infinite is known where queries are positive.
			Set(o.Q.Slice(1, 5, 9), 1, 0.5, 0.25, 0.75)
			if s.sinks != nil {
				Set(o.Sinks, s.sinks...)
			}
		}
	}, func(o *backend.Attention) {
		sequence := func(x backend.Tensor, b int) backend.Tensor { return x.Slice(1, b, b+1) }
		Put(sequence(o.Q, 1), time-1, 1, nan)          // the first head of one query
		Put(sequence(o.K, 2), 3, size, negativeNaN)    // the second head of all queries
		Put(sequence(o.V, 3), 4, 2, nan)               // one element of all of them
		Put(sequence(o.V, 4), 0, -1, -inf)             //
		Put(sequence(o.K, 5), 2, 0, inf)               // ∞ − ∞ in the first head
		Set(sequence(o.K, 6), -inf)                    // no score is above −∞
		Set(sequence(o.K, 7).Slice(2, 0, 520), -inf)   // the last few are: of several chunks all of the first
		Put(sequence(o.K, 8), context-time-2, 0, -inf) // a probability of 0
		Put(sequence(o.K, 8), context-time-2, size, inf)
		Set(sequence(o.Q, 10), 1)
		Set(sequence(o.K, 10).Slice(2, 10, 30), -inf) // rows before these are finite, but not in a window of 9
	})[0]
}

// attentionSinks has sinks that are not finite, and in the second sequence no
// score above −∞.
func attentionSinks(time int) Case {
	const sequences, context, heads, size = 2, 12, 6, 8
	return poisoned(SameValue, fmt.Sprintf("time=%d,sinks are not finite", time), rowLayouts[:1], func(l Layout) (*backend.Attention, Fill) {
		o := &backend.Attention{Dst: l.Tensor(backend.F32, sequences, time, heads*size), Q: l.Tensor(backend.F32, sequences, time, heads*size),
			K: l.Tensor(backend.F32, sequences, context, size), V: l.Tensor(backend.F32, sequences, context, size), At: l.places(sequences, time),
			Sinks: l.Tensor(backend.F32, heads), Heads: heads, Scale: 0.5}
		return o, func(*rand.Rand, int) {
			standAt(o.At, time, 5)
			Set(o.Q, 1)
			Set(o.Sinks, 0.5, -1, 0, 2, -30, 1e4)
		}
	}, func(o *backend.Attention) {
		Set(o.Sinks.Slice(-1, 0, 3), nan, inf, -inf)
		Set(o.K.Slice(1, 1, 2), -inf)
	})[0]
}

func attentionBackwardNonFinite() []Case {
	var cases []Case
	for _, c := range []struct {
		l      Layout
		shape  attentionBackwardShape
		window int
		cuts   []int // the position at which each sequence is cut
	}{
		{exact, attentionBackwardShape{time: 36, heads: 1, groups: 1, size: 4}, 0, positions(1, 34)},
		{strided, attentionBackwardShape{time: 23, heads: 2, groups: 2, size: 5}, 0, positions(1, 22)},
		{exact, attentionBackwardShape{time: 129, heads: 1, groups: 1, size: 4}, 0, []int{64, 65, 89}}, // where chunks may end
		{exact, attentionBackwardShape{time: 36, heads: 1, groups: 1, size: 8}, 7, positions(1, 28)},
		{strided, attentionBackwardShape{time: 129, heads: 2, groups: 2, size: 5}, 60, []int{1, 4, 63, 65}},
	} {
		s := c.shape
		s.batch, s.layout, s.scores = len(c.cuts), c.l, scores{window: c.window}
		build := func(Layout) (*backend.AttentionBackward, Fill) { return s.op(), nil }
		name := fmt.Sprintf("dy=%dx%dx%dx%d,groups=%d%v", s.batch, s.time, s.heads, s.size, s.groups, s.scores)
		part := func(x backend.Tensor, b, from, to int) { Set(x.Slice(1, b, b+1).Slice(2, from, to), nan, inf, -inf) }
		cases = append(cases, poisoned(SameValue, name+",keys and values from a position on are NaN", []Layout{c.l}, build, func(o *backend.AttentionBackward) {
			for b, cut := range c.cuts { // dq before it is finite
				part(o.K, b, cut, s.time)
				part(o.V, b, cut, s.time)
			}
		})...)
		cases = append(cases, poisoned(SameValue, name+",queries and dy before a position are NaN", []Layout{c.l}, build, func(o *backend.AttentionBackward) {
			for b, cut := range c.cuts { // dk and dv from it on are finite
				part(o.Q, b, 0, cut)
				part(o.DY, b, 0, cut)
			}
		})...)
		if c.window == 0 {
			continue
		}
		cases = append(cases, poisoned(SameValue, name+",keys and values before a position are NaN", []Layout{c.l}, build, func(o *backend.AttentionBackward) {
			for b, cut := range c.cuts { // dq a window after it is finite
				part(o.K, b, 0, cut)
				part(o.V, b, 0, cut)
			}
		})...)
		cases = append(cases, poisoned(SameValue, name+",queries and dy from a position on are NaN", []Layout{c.l}, build, func(o *backend.AttentionBackward) {
			for b, cut := range c.cuts { // dk and dv a window before it are finite
				part(o.Q, b, cut+c.window, s.time)
				part(o.DY, b, cut+c.window, s.time)
			}
		})...)
	}
	for i, sc := range []scores{{}, {}, {softCap: 3}, {window: 4}, {sinks: []float64{1, -2}}} {
		s := attentionBackwardShape{batch: 9, time: 19, heads: 2, groups: 2, size: 8, scores: sc, layout: rowLayouts[i%2]}
		build := func(Layout) (*backend.AttentionBackward, Fill) {
			o := s.op()
			return o, func(*rand.Rand, int) {
				Set(o.Q.Slice(1, 5, 9), 1, 0.5, 0.25, 0.75)
				if sc.sinks != nil {
					Set(o.Sinks, sc.sinks...)
				}
			}
		}
		cases = append(cases, poisoned(SameValue, "not finite"+sc.String(), rowLayouts[i%2:][:1], build, func(o *backend.AttentionBackward) {
			sequence := func(x backend.Tensor, b int) backend.Tensor { return x.Slice(1, b, b+1) }
			Put(sequence(o.Q, 1), 9, 1, nan)
			Put(sequence(o.K, 2), 9, 0, negativeNaN)
			Put(sequence(o.V, 3), 9, s.size, nan)
			Put(sequence(o.DY, 4), 9, s.size+1, nan)
			Put(sequence(o.K, 5), 9, 0, -inf)                // a probability of 0
			Put(sequence(o.K, 6), 9, 0, inf)                 // ∞ − ∞
			Set(sequence(o.K, 7).Slice(-1, 0, s.size), -inf) // no score is above −∞
			Set(sequence(o.K, 8).Slice(2, 6, 12), -inf)      // … of a window
		})...)
	}
	// One with sinks that are not finite.
	s := attentionBackwardShape{batch: 2, time: 19, heads: 6, groups: 1, size: 8, scores: scores{sinks: []float64{0.5, -1, 0, 2, -30, 1e4}}, layout: exact}
	return append(cases, poisoned(SameValue, "sinks are not finite", rowLayouts[:1], func(Layout) (*backend.AttentionBackward, Fill) {
		o := s.op()
		return o, func(*rand.Rand, int) { Set(o.Sinks, s.scores.sinks...) }
	}, func(o *backend.AttentionBackward) { Set(o.Sinks.Slice(-1, 0, 3), nan, inf, -inf) })...)
}

// positions are those from first to end, excluded.
func positions(first, end int) []int {
	var list []int
	for i := first; i < end; i++ {
		list = append(list, i)
	}
	return list
}
