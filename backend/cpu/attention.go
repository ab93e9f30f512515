package cpu

import (
	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas32"

	"caldera/backend"
	"caldera/backend/cpu/internal/vec"
)

// queryBlock is the number of queries whose scores are computed together: few
// enough that keys they may not see cost little, and scores stay in cache.
const queryBlock = 64

func init() {
	register(func(b *Backend, op *backend.Attention) {
		batch, time, size := op.Q.Shape[1], op.Q.Shape[2], op.HeadSize()
		items := batch * op.Heads * blocks(time)
		// How much of the cache is in use stands in memory; half is a guess.
		keys := float64(op.K.Shape[2]) / 2
		if op.Window > 0 {
			keys = min(keys, float64(op.Window)+queryBlock/2)
		}
		nanos := min(float64(time), queryBlock) * keys * (1 + 4*float64(size)/gflops)
		b.parallel(op, items, nanos, attentionPart)
	})
}

func blocks(time int) int { return (time + queryBlock - 1) / queryBlock }

// attentionPart takes items that are a block of queries of one head each.
func attentionPart(w *worker, op backend.Op, from, to int) {
	o := op.(*backend.Attention)
	time := o.Q.Shape[2]
	n := blocks(time)
	for i := from; i < to; i++ {
		t0 := i % n * queryBlock
		h := head{o: o, b: i / n / o.Heads, h: i / n % o.Heads, size: o.HeadSize()}
		h.at = int(at[int32](&o.At, 0, h.b))
		h.group = h.h * o.Groups() / o.Heads
		h.sink = sinkOf(&o.Sinks, h.h)
		h.attend(w, t0, min(t0+queryBlock, time))
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

// head is one head of one sequence.
type head struct {
	o                 *backend.Attention
	b, h, group, size int
	at                int // position of the first query
	sink              float32
}

// attend computes the queries [t0, t1).
func (h *head) attend(w *worker, t0, t1 int) {
	context := h.o.K.Shape[2]
	// Those that stand inside of the cache are neighbours.
	first, last := min(max(t0, -h.at), t1), max(min(t1, context-h.at), t0)
	last = max(first, last)
	for t := t0; t < t1; t++ {
		if t < first || t >= last {
			fill(h.dst(t), nan)
			if p := h.probs(t); p != nil {
				fill(p, nan)
			}
		}
	}
	if last-first <= 4 {
		for t := first; t < last; t++ {
			h.one(w, t)
		}
		return
	}
	h.many(w, first, last)
}

// sees is the range of keys that query t sees.
func (h *head) sees(t int) (from, to int) {
	return firstSeen(h.at+t, h.o.Window), h.at + t + 1
}

// one computes a single query, straight from the cache.
func (h *head) one(w *worker, t int) {
	from, to := h.sees(t)
	n := to - from
	scores := w.floats(0, n)
	q, dst := h.q(t), h.dst(t)
	k, v := &h.o.K, &h.o.V
	if p := pairs(k.DType); p != nil {
		keys, values := elements[uint16](k)[h.offset(k, from):], elements[uint16](v)[h.offset(v, from):]
		for j := range scores {
			scores[j] = p.Dot(keys[j*k.Strides[2]:], q)
		}
		h.softmax(scores, from, t)
		clear(dst)
		for j := 0; j < n; j += 4 {
			axpyPairs(p, dst, values[j*v.Strides[2]:], v.Strides[2], scores[j:min(j+4, n)])
		}
		return
	}
	keys := elements[float32](k)[h.offset(k, from):]
	for j := range scores { // BLAS takes several times as long for vectors this short
		scores[j] = vec.Dot(keys[j*k.Strides[2]:], q)
	}
	h.softmax(scores, from, t)
	blas32.Gemv(blas.Trans, 1, h.cache(w, v, 2, from, n), vector(scores), 0, vector(dst))
}

// softmax turns the products of query t, with keys from one on, into
// probabilities, and tells them.
func (h *head) softmax(scores []float32, from, t int) {
	vec.Scale(scores, h.o.Scale)
	h.softCap(scores)
	softmaxSink(scores, h.sink)
	h.tell(scores, from, t)
}

// softCap bounds scores where that is wanted.
func (h *head) softCap(scores []float32) {
	if h.o.SoftCap > 0 {
		vec.SoftCap(scores, h.o.SoftCap)
	}
}

// tell puts the probabilities of query t, for keys from one on, where they are wanted.
func (h *head) tell(scores []float32, from, t int) {
	if p := h.probs(t); p != nil {
		clear(p[:from])
		clear(p[from+copy(p[from:], scores):])
	}
}

// many computes the queries [t0, t1) with products of matrices.
func (h *head) many(w *worker, t0, t1 int) {
	first, _ := h.sees(t0) // key that any of them sees
	n, rows := h.at+t1-first, t1-t0
	scores := blas32.General{Rows: rows, Cols: n, Stride: n, Data: w.floats(0, rows*n)}
	q, dst := h.rows(&h.o.Q, t0, t1), h.rows(&h.o.Dst, t0, t1)
	if q.Stride < h.size || dst.Stride < h.size { // rows that overlap
		for t := t0; t < t1; t++ {
			h.one(w, t)
		}
		return
	}
	blas32.Gemm(blas.NoTrans, blas.Trans, h.o.Scale, q, h.cache(w, &h.o.K, 1, first, n), 0, scores)
	for t := t0; t < t1; t++ {
		from, to := h.sees(t)
		s := scores.Data[(t-t0)*n:][:n]
		h.softCap(s[from-first : to-first])
		softmaxSeen(s, from-first, to-first, h.sink)
		h.tell(s[from-first:to-first], from, t)
	}
	blas32.Gemm(blas.NoTrans, blas.NoTrans, 1, scores, h.cache(w, &h.o.V, 1, first, n), 0, dst)
	for t := t0; t < t1; t++ {
		// 0 times what a query may not see is NaN where that is no number.
		if sum := vec.Sum(h.dst(t)); sum != sum {
			h.one(w, t)
		}
	}
}

func vector(x []float32) blas32.Vector { return blas32.Vector{N: len(x), Inc: 1, Data: x} }

// q and dst are the head's part of a row.
func (h *head) q(t int) []float32   { return h.part(&h.o.Q, t) }
func (h *head) dst(t int) []float32 { return h.part(&h.o.Dst, t) }

func (h *head) part(x *backend.Tensor, t int) []float32 {
	return row[float32](x, h.b*x.Shape[2]+t)[h.h*h.size:][:h.size]
}

// rows is the head's part of rows [t0, t1).
func (h *head) rows(x *backend.Tensor, t0, t1 int) blas32.General {
	from := x.Row(h.b*x.Shape[2]+t0) - x.Offset + h.h*h.size
	return blas32.General{Rows: t1 - t0, Cols: h.size, Stride: x.Strides[2], Data: elements[float32](x)[from:]}
}

// probs is where the probabilities of query t are wanted, else nil.
func (h *head) probs(t int) []float32 {
	p := &h.o.Probs
	if p.Absent() {
		return nil
	}
	return row[float32](p, (h.b*p.Shape[1]+h.h)*p.Shape[2]+t)
}

// offset is where the head's group begins in a row of K or V, from its first element.
func (h *head) offset(kv *backend.Tensor, row int) int {
	return h.b*kv.Strides[1] + row*kv.Strides[2] + h.group*h.size
}

// cache is n rows, from one on, of the head's group in K or V: where they lie, or
// copied into a workspace if they are of 16 bits or overlap.
func (h *head) cache(w *worker, kv *backend.Tensor, slot, row, n int) blas32.General {
	from, stride := h.offset(kv, row), kv.Strides[2]
	if kv.DType == backend.F32 && (stride >= h.size || n == 1) {
		return blas32.General{Rows: n, Cols: h.size, Stride: max(stride, h.size), Data: elements[float32](kv)[from:]}
	}
	m := blas32.General{Rows: n, Cols: h.size, Stride: h.size, Data: w.floats(slot, n*h.size)}
	for j := range n {
		to := m.Data[j*h.size:][:h.size]
		if p := pairs(kv.DType); p != nil {
			p.From(to, elements[uint16](kv)[from+j*stride:])
		} else {
			copy(to, elements[float32](kv)[from+j*stride:])
		}
	}
	return m
}
