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
		runs, time := op.Runs()
		_, context := op.Cache()
		items := runs * op.Heads * blocks(time)
		// How much of the cache is in use stands in memory; half is a guess.
		keys := float64(context) / 2
		if op.Window > 0 {
			keys = min(keys, float64(op.Window)+queryBlock/2)
		}
		nanos := min(float64(time), queryBlock) * keys * (1 + 4*float64(op.HeadSize())/gflops)
		b.parallel(op, items, nanos, attentionPart)
	})
}

func blocks(time int) int { return (time + queryBlock - 1) / queryBlock }

// attentionPart takes items that are a block of queries of one head each.
func attentionPart(w *worker, op backend.Op, from, to int) {
	o := op.(*backend.Attention)
	_, time := o.Runs()
	sequences, context := o.Cache()
	n := blocks(time)
	for i := from; i < to; i++ {
		t0 := i % n * queryBlock
		h := head{o: o, token: i / n / o.Heads * time, h: i / n % o.Heads, size: o.HeadSize(), sequences: sequences, context: context}
		h.seq, h.at = placeOf(&o.At, h.token)
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

// head is one head of a run of tokens.
type head struct {
	o                  *backend.Attention
	token              int // the first of the run
	h, group, size     int
	seq, at            int // place of the first token
	sequences, context int // of the cache
	sink               float32
}

// attend computes the queries [t0, t1).
func (h *head) attend(w *worker, t0, t1 int) {
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
		case end-t <= 4:
			for ; t < end; t++ {
				h.one(w, t)
			}
		default:
			h.many(w, t, end)
		}
		t = end
	}
}

func (h *head) isPadding(t int) bool {
	if h.seq == padding {
		return true
	}
	seq, _ := placeOf(&h.o.At, h.token+t)
	return seq == padding
}

// inside reports whether query t stands in the cache.
func (h *head) inside(t int) bool {
	return h.seq >= 0 && h.seq < h.sequences && h.at+t >= 0 && h.at+t < h.context
}

// answer sets the result of query t, and its probabilities, to v.
func (h *head) answer(t int, v float32) {
	fill(h.dst(t), v)
	if p := h.probs(t); p != nil {
		fill(p, v)
	}
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
	p := pairs(k.DType)
	for j := 0; j < n; {
		at, rows, ok := h.rowsFrom(k, from+j)
		some := scores[j:min(j+rows, n)]
		switch {
		case !ok:
			fill(some, nan)
		case p != nil:
			keys := elements[uint16](k)[at:]
			for i := range some {
				some[i] = p.Dot(keys[i*k.Strides[2]:], q)
			}
		default:
			keys := elements[float32](k)[at:]
			for i := range some { // BLAS takes several times as long for vectors this short
				some[i] = vec.Dot(keys[i*k.Strides[2]:], q)
			}
		}
		j += len(some)
	}
	h.softmax(scores, from, t)
	if p == nil && (h.o.Table.Absent() || v.Strides[2] < h.size) {
		blas32.Gemv(blas.Trans, 1, h.cache(w, v, 2, from, n), vector(scores), 0, vector(dst))
		return
	}
	clear(dst)
	for j := 0; j < n; {
		at, rows, ok := h.rowsFrom(v, from+j)
		some := scores[j:min(j+rows, n)]
		switch {
		case !ok:
			fill(dst, nan)
		case p != nil:
			values := elements[uint16](v)[at:]
			for i := 0; i < len(some); i += 4 {
				axpyPairs(p, dst, values[i*v.Strides[2]:], v.Strides[2], some[i:min(i+4, len(some))])
			}
		default:
			m := blas32.General{Rows: len(some), Cols: h.size, Stride: v.Strides[2], Data: elements[float32](v)[at:]}
			blas32.Gemv(blas.Trans, 1, m, vector(some), 1, vector(dst))
		}
		j += len(some)
	}
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
	return row[float32](x, h.token+t)[h.h*h.size:][:h.size]
}

// rows is the head's part of rows [t0, t1).
func (h *head) rows(x *backend.Tensor, t0, t1 int) blas32.General {
	from := x.Row(h.token+t0) - x.Offset + h.h*h.size
	return blas32.General{Rows: t1 - t0, Cols: h.size, Stride: x.Strides[2], Data: elements[float32](x)[from:]}
}

// probs is where the probabilities of query t are wanted, else nil.
func (h *head) probs(t int) []float32 {
	p := &h.o.Probs
	if p.Absent() {
		return nil
	}
	b, t := (h.token+t)/p.Shape[2], (h.token+t)%p.Shape[2]
	return row[float32](p, (b*p.Shape[1]+h.h)*p.Shape[2]+t)
}

// rowsFrom is where the head's group begins in K or V, from its first element, at a
// position, and how many positions from there on follow one another. ok is false if they
// are in no block of the pool.
func (h *head) rowsFrom(kv *backend.Tensor, pos int) (at, n int, ok bool) {
	block, rest := h.seq, pos
	if !h.o.Table.Absent() {
		block, rest = blockOf(&h.o.Table, h.seq, pos, kv.Shape[2])
	}
	return block*kv.Strides[1] + rest*kv.Strides[2] + h.group*h.size, kv.Shape[2] - rest, block >= 0 && block < kv.Shape[1]
}

// cache is n rows, from one on, of the head's group in K or V: where they lie, or
// copied into a workspace if they are of 16 bits, overlap or are in blocks.
func (h *head) cache(w *worker, kv *backend.Tensor, slot, row, n int) blas32.General {
	stride := kv.Strides[2]
	if kv.DType == backend.F32 && (stride >= h.size || n == 1) && h.o.Table.Absent() {
		from, _, _ := h.rowsFrom(kv, row)
		return blas32.General{Rows: n, Cols: h.size, Stride: max(stride, h.size), Data: elements[float32](kv)[from:]}
	}
	m := blas32.General{Rows: n, Cols: h.size, Stride: h.size, Data: w.floats(slot, n*h.size)}
	for j := 0; j < n; {
		from, rows, ok := h.rowsFrom(kv, row+j)
		for end := min(j+rows, n); j < end; j++ {
			to := m.Data[j*h.size:][:h.size]
			switch p := pairs(kv.DType); {
			case !ok:
				fill(to, nan)
			case p != nil:
				p.From(to, elements[uint16](kv)[from:])
			default:
				copy(to, elements[float32](kv)[from:])
			}
			from += stride
		}
	}
	return m
}
