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
			l := rowLayouts[size%2]
			cases = append(cases, poisoned(SameValue, fmt.Sprintf("kv=%v,size=%d,what is not seen is NaN", kv, size), []Layout{l},
				func(l Layout) (*backend.Attention, Fill) {
					const sequences, time = 21, 23
					o := &backend.Attention{Dst: l.Tensor(backend.F32, sequences, time, 2*size), Q: l.Tensor(backend.F32, sequences, time, 2*size),
						K: l.Tensor(kv, sequences, time+2, size), V: l.Tensor(kv, sequences, time+2, size), At: l.Ints(sequences), Heads: 2}
					return o, func(*rand.Rand, int) { Set(o.At, 0) }
				}, func(o *backend.Attention) {
					context := o.K.Dim(-2)
					for b := range o.K.Dim(1) { // the queries up to b see none of it
						Set(o.K.Slice(1, b, b+1).Slice(2, b+1, context), nan, inf, -inf)
						Set(o.V.Slice(1, b, b+1).Slice(2, b+1, context), nan, inf, -inf)
					}
				})...)
		}
		for _, time := range []int{1, 6} {
			for _, probs := range []bool{false, true} {
				cases = append(cases, attentionKinds(kv, time, probs, rowLayouts[(i+time)%2])...)
			}
		}
	}
	return cases
}

// attentionKinds has another thing that is not finite in each sequence.
func attentionKinds(kv backend.DType, time int, probs bool, l Layout) []Case {
	const sequences, context, size = 10, 530, 4
	name := fmt.Sprintf("kv=%v,time=%d,not finite", kv, time)
	if probs {
		name += ",probs"
	}
	return poisoned(SameValue, name, []Layout{l}, func(l Layout) (*backend.Attention, Fill) {
		o := &backend.Attention{Dst: l.Tensor(backend.F32, sequences, time, 2*size), Q: l.Tensor(backend.F32, sequences, time, 2*size),
			K: l.Tensor(kv, sequences, context, 2*size), V: l.Tensor(kv, sequences, context, 2*size), At: l.Ints(sequences), Heads: 2}
		if probs {
			o.Probs = l.Tensor(backend.F32, sequences, 2, time, context)
		}
		return o, func(*rand.Rand, int) {
			Set(o.At, 5, 5, 20, 20, 20, 5, 5, context-float64(time), context-float64(time), 20)
			// Whose scores are infinite is known where queries are positive.
			Set(o.Q.Slice(1, 5, 9), 1, 0.5, 0.25, 0.75)
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
	})
}

func attentionBackwardNonFinite() []Case {
	var cases []Case
	for _, c := range []struct {
		l                         Layout
		time, heads, groups, size int
		cuts                      []int // the position at which each sequence is cut
	}{
		{exact, 36, 1, 1, 4, positions(1, 34)},
		{strided, 23, 2, 2, 5, positions(1, 22)},
		{exact, 129, 1, 1, 4, []int{64, 65, 89}}, // where chunks may end
	} {
		sequences, all := len(c.cuts), (c.heads+2*c.groups)*c.size
		build := func(l Layout) (*backend.AttentionBackward, Fill) {
			return &backend.AttentionBackward{DQKV: l.Tensor(backend.F32, sequences, c.time, all), QKV: l.Tensor(backend.F32, sequences, c.time, all),
				DY: l.Tensor(backend.F32, sequences, c.time, c.heads*c.size), Stats: l.Tensor(backend.F32, sequences, c.heads, c.time, 2), Heads: c.heads}, nil
		}
		queries := c.heads * c.size
		name := fmt.Sprintf("dy=%dx%dx%dx%d,groups=%d", sequences, c.time, c.heads, c.size, c.groups)
		cases = append(cases, poisoned(SameValue, name+",keys and values from a position on are NaN", []Layout{c.l}, build, func(o *backend.AttentionBackward) {
			for b, cut := range c.cuts { // dq before it is finite
				Set(o.QKV.Slice(1, b, b+1).Slice(2, cut, c.time).Slice(-1, queries, all), nan, inf, -inf)
			}
		})...)
		cases = append(cases, poisoned(SameValue, name+",queries and dy before a position are NaN", []Layout{c.l}, build, func(o *backend.AttentionBackward) {
			for b, cut := range c.cuts { // dk and dv from it on are finite
				Set(o.QKV.Slice(1, b, b+1).Slice(2, 0, cut).Slice(-1, 0, queries), nan, inf, -inf)
				Set(o.DY.Slice(1, b, b+1).Slice(2, 0, cut), nan, inf, -inf)
			}
		})...)
	}
	for _, l := range rowLayouts {
		const sequences, time, size = 8, 19, 4
		build := func(l Layout) (*backend.AttentionBackward, Fill) {
			o := &backend.AttentionBackward{DQKV: l.Tensor(backend.F32, sequences, time, 6*size), QKV: l.Tensor(backend.F32, sequences, time, 6*size),
				DY: l.Tensor(backend.F32, sequences, time, 2*size), Stats: l.Tensor(backend.F32, sequences, 2, time, 2), Heads: 2}
			return o, func(*rand.Rand, int) { Set(o.QKV.Slice(1, 5, 8).Slice(-1, 0, 2*size), 1, 0.5, 0.25, 0.75) }
		}
		cases = append(cases, poisoned(SameValue, "not finite", []Layout{l}, build, func(o *backend.AttentionBackward) {
			qkv := func(b int) backend.Tensor { return o.QKV.Slice(1, b, b+1) }
			Put(qkv(1), 9, 1, nan)                      // a query
			Put(qkv(2), 9, 2*size, negativeNaN)         // a key
			Put(qkv(3), 9, 5*size, nan)                 // a value
			Put(o.DY.Slice(1, 4, 5), 9, size+1, nan)    //
			Put(qkv(5), 9, 2*size, -inf)                // a probability of 0
			Put(qkv(6), 9, 2*size, inf)                 // ∞ − ∞
			Set(qkv(7).Slice(-1, 2*size, 3*size), -inf) // no score is above −∞
		})...)
	}
	return cases
}

// positions are those from first to end, excluded.
func positions(first, end int) []int {
	var list []int
	for i := first; i < end; i++ {
		list = append(list, i)
	}
	return list
}
