package conformance

import (
	"slices"

	"caldera/backend"
)

// stepMutants mistake the tokens of one sequence for those of another, or what is in one
// block for what is in another.
var stepMutants = []struct {
	name, group string
	open        func() backend.Backend
}{
	{"shifts the table", "attention", wrong(func(o *backend.Attention) { shiftTable(&o.Table); right(o) })},
	{"shifts the table", "store", wrong(func(o *backend.Store) { shiftTable(&o.Table); right(o) })},
	{"runs across sequences", "attention", wrong(func(o *backend.Attention) {
		if _, run := o.Runs(); o.Q.Dim(-2)%(2*run) == 0 {
			o.Run = 2 * run
		}
		right(o)
	})},
	{"forgets to count on", "attention", wrong(func(o *backend.Attention) {
		_, run := o.Runs()
		pos, i := direct{}.Load(o.At.Slice(-2, 1, 2)), -1
		o.At = moved(o.At, func(float64) float64 { i++; return pos.v[i/run*run] })
		o.Run = 1
		right(o)
	})},
	{"asks each token of a run for its place", "attention", wrong(func(o *backend.Attention) {
		_, run := o.Runs()
		i := -1
		seq := direct{}.Load(o.At.Slice(-2, 0, 1)).v
		o.At = resequenced(o.At, func(v float64) float64 { // padding as it should be
			if i++; seq[i/run*run] == padding {
				return padding
			}
			return v
		})
		o.Run = 1
		right(o)
	})},
	{"takes padding for tokens", "attention", wrong(func(o *backend.Attention) { o.At = unpadded(o.At, 0); right(o) })},
	{"makes padding NaN", "attention", wrong(func(o *backend.Attention) { o.At = unpadded(o.At, -2); o.Run = 1; right(o) })},
	{"ends a run at padding", "attention", wrong(func(o *backend.Attention) {
		_, run := o.Runs()
		at := direct{}.Load(o.At)
		ended := false
		for i := range o.At.Dim(-1) {
			if i%run == 0 {
				ended = false
			}
			if ended = ended || at.v[i] == padding; ended {
				at.v[i] = padding
			}
		}
		o.At = copied(o.At, func(v float64) float64 { return v })
		direct{}.Store(o.At, at)
		right(o)
	})},
	{"stores padding", "store", wrong(func(o *backend.Store) { o.At = unpadded(o.At, 0); right(o) })},
	{"embeds padding", "embedding", wrong(func(o *backend.Embedding) {
		if !o.At.Absent() {
			o.At = unpadded(o.At, 0)
		}
		right(o)
	})},
	{"makes padding NaN", "embedding", wrong(func(o *backend.Embedding) {
		if !o.At.Absent() {
			o.At = unpadded(o.At, -2)
		}
		right(o)
	})},
	{"makes padding at a position outside NaN", "embedding", wrong(func(o *backend.Embedding) {
		if !o.At.Absent() {
			pos, i := direct{}.Load(o.At.Slice(-2, 1, 2)).v, -1
			o.At = resequenced(o.At, func(v float64) float64 {
				if i++; pos[i] < 0 {
					return -2
				}
				return v
			})
		}
		right(o)
	})},
	{"adds padding", "embedding_backward", wrong(func(o *backend.EmbeddingBackward) {
		if !o.At.Absent() {
			o.At = unpadded(o.At, 0)
		}
		right(o)
	})},
	{"turns padding", "rotary", wrong(func(o *backend.Rotary) { o.At = unpadded(o.At, 0); right(o) })},
	{"clamps sequences to the cache", "attention", wrong(func(o *backend.Attention) {
		sequences, _ := o.Cache()
		o.At = clampSequences(o.At, sequences)
		right(o)
	})},
	{"clamps sequences to the cache", "store", wrong(func(o *backend.Store) {
		sequences, _ := o.Cache()
		o.At = clampSequences(o.At, sequences)
		right(o)
	})},
	{"clamps blocks to the pool", "attention", wrong(func(o *backend.Attention) { clampTable(&o.Table, o.K); right(o) })},
	{"clamps blocks to the pool", "store", wrong(func(o *backend.Store) { clampTable(&o.Table, o.Dst); right(o) })},
	{"wraps rows of blocks at 2³²", "attention", wrong(func(o *backend.Attention) { wrapTable(&o.Table, o.K); right(o) })},
	{"wraps rows of blocks at 2³²", "store", wrong(func(o *backend.Store) { wrapTable(&o.Table, o.Dst); right(o) })},
	{"wraps rows of sequences at 2³²", "attention", wrong(func(o *backend.Attention) { o.At = wrapSequences(o.At, o.K, o.Table); right(o) })},
	{"wraps rows of sequences at 2³²", "store", wrong(func(o *backend.Store) { o.At = wrapSequences(o.At, o.Dst, o.Table); right(o) })},
	{"looks at blocks that no token sees", "attention", wrong(func(o *backend.Attention) {
		right(o)
		if o.Table.Absent() {
			return
		}
		blocks, time := o.Table.Dim(-1), o.Q.Dim(-2)
		for i, p := range placesOf(direct{}, o.At, o.At.Dim(-1)) {
			if p.seq < 0 || p.seq >= o.Table.Dim(-2) {
				continue
			}
			numbers := (direct{}).Load(o.Table).v[p.seq*blocks:][:blocks]
			if slices.ContainsFunc(numbers, func(v float64) bool { return v < 0 || int(v) >= o.K.Dim(1) }) {
				row := o.Dst.Slice(1, i/time, i/time+1).Slice(2, i%time, i%time+1)
				direct{}.Store(row, nans(row.Len()))
			}
		}
	})},
	{"lets another sequence's NaN in", "attention", wrong(func(o *backend.Attention) {
		right(o)
		if sum := (direct{}).Load(o.V); o.K.Dim(1) > 1 { // 0 times NaN
			for i, v := range sum.v {
				if !finite(v) && i > 0 {
					overwrites(o.Dst)
					return
				}
			}
		}
	})},
	{"adds keys in the order of their blocks", "attention", wrong(func(o *backend.Attention) {
		right(o)
		if o.Table.Absent() {
			return
		}
		if numbers := (direct{}).Load(o.Table).v; len(numbers) > 1 && numbers[0] > numbers[1] { // as if that rounded otherwise
			first := o.Dst.Slice(-1, 0, 1).Slice(-2, 0, 1)
			x := direct{}.Load(first)
			for i := range x.v {
				x.v[i] *= 1 + 0x1p-23
			}
			direct{}.Store(first, x)
		}
	})},
}

func shiftTable(table *backend.Tensor) {
	if !table.Absent() {
		*table = copied(*table, func(v float64) float64 { return v + 1 })
	}
}

func clampTable(table *backend.Tensor, pool backend.Tensor) {
	if !table.Absent() {
		*table = copied(*table, func(v float64) float64 { return max(0, min(v, float64(pool.Dim(1)-1))) })
	}
}

// wrapTable computes rows of blocks in 32 bits before it looks whether they are of the pool.
func wrapTable(table *backend.Tensor, pool backend.Tensor) {
	if !table.Absent() {
		block := pool.Dim(-2)
		*table = copied(*table, func(v float64) float64 { return float64(min(int(uint32(int(v)*block))/block, most)) })
	}
}

// wrapSequences does so with rows of sequences of a cache without a table.
func wrapSequences(at, cache, table backend.Tensor) backend.Tensor {
	if !table.Absent() {
		return at
	}
	context := cache.Dim(-2)
	return resequenced(at, func(v float64) float64 {
		if v == padding {
			return v
		}
		return float64(min(int(uint32(int(v)*context))/context, most))
	})
}

// unpadded gives padding a sequence.
func unpadded(at backend.Tensor, seq float64) backend.Tensor {
	return resequenced(at, func(v float64) float64 {
		if v == padding {
			return seq
		}
		return v
	})
}

func clampSequences(at backend.Tensor, sequences int) backend.Tensor {
	return resequenced(at, func(v float64) float64 {
		if v == padding {
			return v
		}
		return max(0, min(v, float64(sequences-1)))
	})
}

// resequenced is a copy of places with each sequence changed by f.
func resequenced(at backend.Tensor, f func(float64) float64) backend.Tensor {
	c := copied(at, func(v float64) float64 { return v })
	seq := c.Slice(-2, 0, 1)
	direct{}.Store(seq, direct{}.Load(copied(seq, f)))
	return c
}
