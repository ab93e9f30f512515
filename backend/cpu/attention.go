package cpu

import (
	"caldera/backend"
	"caldera/backend/cpu/internal/gemm"
	"caldera/backend/cpu/internal/vec"
)

// queryBlock is the number of queries whose scores are computed together: few
// enough that keys they may not see cost little, and scores stay in cache.
const queryBlock = 64

func init() {
	register(func(b *Backend, op *backend.Attention) {
		runs, time := op.Runs()
		if b.attentionByTiles(op) {
			return
		}
		_, context := op.Cache()
		// How much of the cache is in use stands in memory; half is a guess.
		keys := float64(context) / 2
		if op.Window > 0 {
			keys = min(keys, float64(op.Window)+queryBlock/2)
		}
		nanos := keys * (1 + 4*float64(op.HeadSize())/gflops)
		if groups := op.Groups(); time == 1 && groups < op.Heads && runs*groups >= b.pool.threads() {
			b.parallel(op, runs*groups, nanos*float64(op.Heads/groups), attentionGroupsPart)
			return
		}
		b.parallel(op, runs*op.Heads*blocks(time), nanos*min(float64(time), queryBlock), attentionPart)
	})
}

func blocks(time int) int { return (time + queryBlock - 1) / queryBlock }

// attentionPart takes items that are a block of queries of one head each.
func attentionPart(w *worker, op backend.Op, from, to int) {
	o := op.(*backend.Attention)
	_, time := o.Runs()
	n := blocks(time)
	for i := from; i < to; i++ {
		t0 := i % n * queryBlock
		h := newHeads(o, i/n/o.Heads*time, i/n%o.Heads, 1)
		h.attend(w, t0, min(t0+queryBlock, time))
	}
}

// attentionGroupsPart takes items that are a query of the heads of one group, which read the same
// keys and values, where each run is one token.
func attentionGroupsPart(w *worker, op backend.Op, from, to int) {
	o := op.(*backend.Attention)
	n := o.Heads / o.Groups()
	for i := from; i < to; i++ {
		h := newHeads(o, i/o.Groups(), i%o.Groups()*n, n)
		h.attend(w, 0, 1)
	}
}

// sinkOf is the sink of a head, −∞ where there are none.
func sinkOf(sinks *backend.Tensor, head int) float32 {
	if sinks.Absent() {
		return negInf
	}
	return row[float32](sinks, 0)[head]
}

// firstSeen is the first key that a query at that position sees.
func firstSeen(position, window int) int {
	if window == 0 {
		return 0
	}
	return max(0, position+1-window)
}

// heads is one head of a run of tokens, or the heads of a group.
type heads struct {
	o                  *backend.Attention
	token              int // the first of the run
	first, n           int // heads; several only for a run of one token
	group, size        int
	seq, at            int // place of the first token
	sequences, context int // of the cache
}

func newHeads(o *backend.Attention, token, first, n int) heads {
	h := heads{o: o, token: token, first: first, n: n, size: o.HeadSize()}
	h.sequences, h.context = o.Cache()
	h.seq, h.at = placeOf(&o.At, token)
	h.group = first * o.Groups() / o.Heads
	return h
}

// attend computes the queries [t0, t1).
func (h *heads) attend(w *worker, t0, t1 int) {
	for t := t0; t < t1; {
		end := t // of the neighbours that stand inside of the cache
		for end < t1 && !h.isPadding(end) && h.inside(end) {
			end++
		}
		switch {
		case end == t && h.isPadding(t):
			h.answer(t, 0)
			end++
		case end == t:
			h.answer(t, nan)
			end++
		default:
			h.queries(w, t, end)
		}
		t = end
	}
}

func (h *heads) isPadding(t int) bool {
	if h.seq == padding {
		return true
	}
	seq, _ := placeOf(&h.o.At, h.token+t)
	return seq == padding
}

// inside reports whether query t stands in the cache.
func (h *heads) inside(t int) bool {
	return h.seq >= 0 && h.seq < h.sequences && h.at+t >= 0 && h.at+t < h.context
}

// answer sets the results of query t, and its probabilities, to v.
func (h *heads) answer(t int, v float32) {
	for i := range h.n {
		fill(h.part(&h.o.Dst, t, i), v)
		if p := h.probs(t, i); p != nil {
			fill(p, v)
		}
	}
}

// sees is the range of keys that query t sees.
func (h *heads) sees(t int) (from, to int) {
	return firstSeen(h.at+t, h.o.Window), h.at + t + 1
}

// queries computes the queries [t0, t1). A result has the same bits whatever other queries there
// are: package gemm and those of package vec add up in one order, tiles of keys begin at the same
// positions, and what a query may not see has the weight 0.
func (h *heads) queries(w *worker, t0, t1 int) {
	rows := (t1 - t0) * h.n
	q := h.scaled(w, t0, t1)
	sums := gemm.Matrix{Data: w.floats(1, rows*h.size), Stride: h.size}
	clear(sums.Data)
	states := w.softmaxes(0, rows)
	for r := range states {
		states[r] = noKeys
	}
	first, _ := h.sees(t0)
	last := h.at + t1
	for tile := first / keyTile; tile*keyTile < last; tile++ {
		part, of := h.tile(w, q, t0, t1, max(first, tile*keyTile), min(last, (tile+1)*keyTile))
		for r := range rows {
			if h.overlaps(t0+r/h.n, tile) {
				states[r].join(of[r], sums.Data[r*h.size:][:h.size], part.Data[r*h.size:][:h.size])
			}
		}
	}
	for r := range rows {
		h.finish(states[r], sums.Data[r*h.size:][:h.size], t0+r/h.n, r%h.n)
	}
	for t := t0; t1-t0 > 1 && t < t1; t++ {
		// 0 times what a query may not see is NaN where that is no number.
		if sum := vec.Sum(h.part(&h.o.Dst, t, 0)); sum != sum {
			h.alone(w, t, t+1)
		}
	}
}

// alone computes the queries [t0, t1) one after the other.
func (h *heads) alone(w *worker, t0, t1 int) {
	one := *h
	one.n = 1
	for t := t0; t < t1; t++ {
		for i := range h.n {
			one.first = h.first + i
			one.queries(w, t, t+1)
		}
	}
}

// part is what a head has of a row of x. i counts from the first head on.
func (h *heads) part(x *backend.Tensor, t, i int) []float32 {
	return row[float32](x, h.token+t)[(h.first+i)*h.size:][:h.size]
}

// probs is where the probabilities of query t are wanted, else nil.
func (h *heads) probs(t, i int) []float32 {
	p := &h.o.Probs
	if p.Absent() {
		return nil
	}
	b, t := (h.token+t)/p.Shape[2], (h.token+t)%p.Shape[2]
	return row[float32](p, (b*p.Shape[1]+h.first+i)*p.Shape[2]+t)
}

// cache is the group's part of K or V, from a position on, and how many positions from there on
// follow one another. ok is false if they are in no block of the pool.
func (h *heads) cache(kv *backend.Tensor, pos int) (w gemm.Weights, n int, ok bool) {
	block, rest := h.seq, pos
	if !h.o.Table.Absent() {
		block, rest = blockOf(&h.o.Table, h.seq, pos, kv.Shape[2])
	}
	n = kv.Shape[2] - rest
	if block < 0 || block >= kv.Shape[1] {
		return w, n, false
	}
	from := kv.Offset + block*kv.Strides[1] + rest*kv.Strides[2] + h.group*h.size
	return gemm.Weights{Format: formats[kv.DType], Data: kv.Buf.(*buffer).data[kv.DType.Bytes(from):], Stride: kv.DType.Bytes(kv.Strides[2])}, n, true
}
