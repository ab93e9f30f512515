package cpu

import (
	"caldera/backend"
	"caldera/backend/cpu/internal/gemm"
	"caldera/backend/cpu/internal/vec"
)

func init() {
	register(func(b *Backend, op *backend.AttentionBackward) {
		time := float64(op.DY.Shape[2])
		keys := time / 2 // that a query sees
		if op.Window > 0 {
			keys = min(keys, float64(op.Window))
		}
		nanos := time * keys * float64(op.Heads/op.Groups()) * (3 + 10*float64(op.HeadSize())/gflops)
		// A group at a time, so that sums over its heads and queries are one thread's.
		b.parallel(op, op.DY.Shape[1]*op.Groups(), nanos, attentionBackwardPart)
		if !op.DSinks.Absent() {
			b.parallel(op, op.Heads, float64(op.DY.Shape[1])*time, sinksBackwardPart)
		}
	})
}

func attentionBackwardPart(w *worker, op backend.Op, from, to int) {
	o := op.(*backend.AttentionBackward)
	groups, size, time := o.Groups(), o.HeadSize(), o.DY.Shape[2]
	for i := from; i < to; i++ {
		b, g := i/groups, i%groups
		for t := range time {
			clear(row[float32](&o.DK, b*time+t)[g*size:][:size])
			clear(row[float32](&o.DV, b*time+t)[g*size:][:size])
		}
		shared := o.Heads / groups
		for h := g * shared; h < (g+1)*shared; h++ {
			for t := 0; t < time; t += queryBlock {
				headBackward(w, o, b, h, t, min(t+queryBlock, time))
			}
		}
	}
}

// sinksBackwardPart adds up what headBackward left in stats for each head.
func sinksBackwardPart(_ *worker, op backend.Op, from, to int) {
	o := op.(*backend.AttentionBackward)
	dsinks := row[float32](&o.DSinks, 0)
	for h := from; h < to; h++ {
		sum := 0.0
		for b := range o.DY.Shape[1] {
			for t := range o.DY.Shape[2] {
				sum += float64(statsOf(o, b, h, t)[0])
			}
		}
		dsinks[h] += float32(sum)
	}
}

func statsOf(o *backend.AttentionBackward, b, h, t int) []float32 {
	return row[float32](&o.Stats, (b*o.Heads+h)*o.DY.Shape[2]+t)
}

// headBackward does the queries [t0, t1) of head h: it sets their gradients,
// and adds to those of the keys and values that they see.
func headBackward(w *worker, o *backend.AttentionBackward, b, h, t0, t1 int) {
	size, time := o.HeadSize(), o.DY.Shape[2]
	g := h * o.Groups() / o.Heads
	// part is rows [r0, r1) of a head of x, as a matrix: where they lie, or
	// copied into a workspace if they overlap.
	part := func(x *backend.Tensor, slot, head, r0, r1 int) gemm.Matrix {
		if x.Strides[2] >= size || r1-r0 == 1 {
			return gemm.Matrix{Stride: max(x.Strides[2], size), Data: elements[float32](x)[x.Row(b*time+r0)-x.Offset+head*size:]}
		}
		m := gemm.Matrix{Stride: size, Data: w.floats(slot, (r1-r0)*size)}
		for r := range r1 - r0 {
			copy(m.Data[r*size:][:size], row[float32](x, b*time+r0+r)[head*size:])
		}
		return m
	}
	first := firstSeen(t0, o.Window) // key that any of the queries sees
	rows, n := t1-t0, t1-first
	q := gemm.Matrix{Stride: size, Data: w.floats(2, rows*size)} // times the scale
	for r := range rows {
		copy(q.Data[r*size:][:size], row[float32](&o.Q, b*time+t0+r)[h*size:])
	}
	vec.Scale(q.Data, o.Scale)
	dy, k, v := part(&o.DY, 3, h, t0, t1), part(&o.K, 4, g, first, t1), part(&o.V, 5, g, first, t1)
	dq, dk, dv := part(&o.DQ, 2, h, t0, t1), part(&o.DK, 4, g, first, t1), part(&o.DV, 5, g, first, t1)

	p, ds := gemm.Matrix{Stride: n, Data: w.floats(0, rows*n)}, gemm.Matrix{Stride: n, Data: w.floats(1, rows*n)}
	clear(p.Data)
	clear(ds.Data)
	w.gemm.Dots(p, q, k.Weights(), rows, n, size)
	w.gemm.Dots(ds, dy, v.Weights(), rows, n, size)
	sink := sinkOf(&o.Sinks, h)
	for r := range rows {
		from, to := firstSeen(t0+r, o.Window)-first, t0+r+1-first
		pr, dsr := p.Data[r*n:][:n], ds.Data[r*n:][:n]
		var capped []float32 // scores
		if o.SoftCap > 0 {
			vec.SoftCap(pr[from:to], o.SoftCap)
			capped = w.floats(6, to-from)
			copy(capped, pr[from:to])
		}
		sinkP := softmaxSeen(pr, from, to, sink)
		clear(dsr[:from])
		clear(dsr[to:])
		end := wholeVectors(to-from, n-from) + from
		mean := vec.Dot(pr[from:end], dsr[from:end])
		vec.SoftmaxBackward(dsr[from:end], pr[from:end], mean)
		clear(dsr[to:end]) // 0 times a mean that is no number
		for j, c := range capped {
			c /= o.SoftCap
			dsr[from+j] *= 1 - c*c
		}
		if !o.DSinks.Absent() {
			statsOf(o, b, h, t0+r)[0] = -sinkP * mean
		}
		clear(dq.Data[r*dq.Stride:][:size])
	}
	unshared := t0 - first // the first row of keys that some of the queries do not see
	if o.Window > 0 {
		unshared = 0
	}
	if rows > 1 && !(finite(w, q, 0, rows, size) && finite(w, dy, 0, rows, size) && finite(w, k, unshared, n, size)) {
		for r := range rows {
			// Query by query, over the keys that each sees: where a query or a key is not
			// finite, 0 times it is NaN.
			from, to := firstSeen(t0+r, o.Window)-first, t0+r+1-first
			productsBackward(w, rowsOf(p, r, from), rowsOf(ds, r, from), rowsOf(q, r, 0), rowsOf(k, from, 0), rowsOf(dy, r, 0),
				rowsOf(dq, r, 0), rowsOf(dk, from, 0), rowsOf(dv, from, 0), 1, to-from, size)
		}
	} else {
		productsBackward(w, p, ds, q, k, dy, dq, dk, dv, rows, n, size)
	}
	for r := range rows {
		vec.Scale(dq.Data[r*dq.Stride:][:size], o.Scale)
	}
}

// productsBackward adds to the gradients of queries and of the keys and values that they see. q is times
// the scale; dq is not yet.
func productsBackward(w *worker, p, ds, q, k, dy, dq, dk, dv gemm.Matrix, queries, keys, size int) {
	w.gemm.Outer(dq, ds, k.Weights(), queries, size, keys)
	w.gemm.OuterTransposed(dk, ds, q.Weights(), keys, size, queries)
	w.gemm.OuterTransposed(dv, p, dy.Weights(), keys, size, queries)
}

// rowsOf is m from a row and a column on.
func rowsOf(m gemm.Matrix, row, column int) gemm.Matrix {
	m.Data = m.Data[row*m.Stride+column:]
	return m
}

// finite reports whether the numbers of rows [from, to) are: then 0 times each is 0.
func finite(w *worker, m gemm.Matrix, from, to, size int) bool {
	zeros := w.floats(7, size)
	clear(zeros)
	for r := from; r < to; r++ {
		if vec.Dot(m.Data[r*m.Stride:][:size], zeros) != 0 {
			return false
		}
	}
	return true
}
