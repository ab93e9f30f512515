package cpu

import (
	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas32"

	"caldera/backend"
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
	part := func(x *backend.Tensor, slot, head, r0, r1 int) blas32.General {
		if x.Strides[2] >= size || r1-r0 == 1 {
			return blas32.General{Rows: r1 - r0, Cols: size, Stride: max(x.Strides[2], size),
				Data: elements[float32](x)[x.Row(b*time+r0)-x.Offset+head*size:]}
		}
		m := blas32.General{Rows: r1 - r0, Cols: size, Stride: size, Data: w.floats(slot, (r1-r0)*size)}
		for r := range m.Rows {
			copy(m.Data[r*size:][:size], row[float32](x, b*time+r0+r)[head*size:])
		}
		return m
	}
	first := firstSeen(t0, o.Window) // key that any of the queries sees
	q, dy := part(&o.Q, 2, h, t0, t1), part(&o.DY, 3, h, t0, t1)
	k, v := part(&o.K, 4, g, first, t1), part(&o.V, 5, g, first, t1)
	dq, dk, dv := part(&o.DQ, 2, h, t0, t1), part(&o.DK, 4, g, first, t1), part(&o.DV, 5, g, first, t1)

	rows, n := t1-t0, t1-first
	p := blas32.General{Rows: rows, Cols: n, Stride: n, Data: w.floats(0, rows*n)}
	ds := blas32.General{Rows: rows, Cols: n, Stride: n, Data: w.floats(1, rows*n)}
	blas32.Gemm(blas.NoTrans, blas.Trans, o.Scale, q, k, 0, p)
	blas32.Gemm(blas.NoTrans, blas.Trans, 1, dy, v, 0, ds)
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
	}
	unshared := t0 // the first row of keys that some of the queries do not see
	if o.Window > 0 {
		unshared = 0
	}
	if t0+1 < t1 && !(finite(q) && finite(dy) && finite(rowsFrom(k, unshared))) {
		seenBackward(o, t0, first, p, ds, q, k, dy, dq, dk, dv)
		return
	}
	blas32.Gemm(blas.NoTrans, blas.NoTrans, o.Scale, ds, k, 0, dq)
	blas32.Gemm(blas.Trans, blas.NoTrans, o.Scale, ds, q, 1, dk)
	blas32.Gemm(blas.Trans, blas.NoTrans, 1, p, dy, 1, dv)
}

// seenBackward adds the products up query by query, over the keys that each
// sees: where a query or a key is not finite, 0 times it is NaN. Key first is
// the first row of the keys.
func seenBackward(o *backend.AttentionBackward, t0, first int, p, ds, q, k, dy, dq, dk, dv blas32.General) {
	for r := range q.Rows {
		from, to := firstSeen(t0+r, o.Window)-first, t0+r+1-first
		seen := func(m blas32.General) blas32.General {
			m.Rows, m.Data = to-from, m.Data[from*m.Stride:]
			return m
		}
		at := func(m blas32.General) blas32.Vector { return vector(m.Data[r*m.Stride:][:m.Cols]) }
		dsr, pr := vector(ds.Data[r*ds.Stride:][from:to]), vector(p.Data[r*p.Stride:][from:to])
		blas32.Gemv(blas.Trans, o.Scale, seen(k), dsr, 0, at(dq))
		blas32.Ger(o.Scale, dsr, at(q), seen(dk))
		blas32.Ger(1, pr, at(dy), seen(dv))
	}
}

// rowsFrom is m without the rows before r.
func rowsFrom(m blas32.General, r int) blas32.General {
	m.Rows, m.Data = m.Rows-r, m.Data[r*m.Stride:]
	return m
}

// finite reports whether all elements are.
func finite(m blas32.General) bool {
	for r := range m.Rows {
		if sum := vec.Sum(m.Data[r*m.Stride:][:m.Cols]); sum-sum != 0 {
			return false
		}
	}
	return true
}

func vector(x []float32) blas32.Vector { return blas32.Vector{N: len(x), Inc: 1, Data: x} }
