package cpu

import (
	"math"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas32"

	"caldera/backend"
	"caldera/backend/cpu/internal/vec"
)

func init() {
	register(func(b *Backend, op *backend.AttentionBackward) {
		time := float64(op.DY.Shape[2])
		nanos := time * time / 2 * float64(op.Heads/op.Groups()) * (3 + 10*float64(op.HeadSize())/gflops)
		// A group at a time, so that sums over its heads and queries are one thread's.
		b.parallel(op, op.DY.Shape[1]*op.Groups(), nanos, attentionBackwardPart)
	})
}

func attentionBackwardPart(w *worker, op backend.Op, from, to int) {
	o := op.(*backend.AttentionBackward)
	groups, size, time := o.Groups(), o.HeadSize(), o.DY.Shape[2]
	for i := from; i < to; i++ {
		b, g := i/groups, i%groups
		for t := range time {
			dkv := row[float32](&o.DQKV, b*time+t)[o.Heads*size:]
			clear(dkv[g*size:][:size])
			clear(dkv[(groups+g)*size:][:size])
		}
		shared := o.Heads / groups
		for h := g * shared; h < (g+1)*shared; h++ {
			for t := 0; t < time; t += queryBlock {
				headBackward(w, o, b, h, t, min(t+queryBlock, time))
			}
		}
	}
}

// headBackward does the queries [t0, t1) of head h: it sets their gradients,
// and adds to those of the keys and values that they see.
func headBackward(w *worker, o *backend.AttentionBackward, b, h, t0, t1 int) {
	size, time, groups := o.HeadSize(), o.DY.Shape[2], o.Groups()
	g := h * groups / o.Heads
	// part is rows [r0, r1) of a head of x, as a matrix: where they lie, or
	// copied into a room of the worker if they overlap.
	part := func(x *backend.Tensor, room, head, r0, r1 int) blas32.General {
		if x.Strides[2] >= size || r1-r0 == 1 {
			return blas32.General{Rows: r1 - r0, Cols: size, Stride: max(x.Strides[2], size),
				Data: elements[float32](x)[x.Row(b*time+r0)-x.Offset+head*size:]}
		}
		m := blas32.General{Rows: r1 - r0, Cols: size, Stride: size, Data: w.floats(room, (r1-r0)*size)}
		for r := range m.Rows {
			copy(m.Data[r*size:][:size], row[float32](x, b*time+r0+r)[head*size:])
		}
		return m
	}
	q, dy := part(&o.QKV, 2, h, t0, t1), part(&o.DY, 3, h, t0, t1)
	k, v := part(&o.QKV, 4, o.Heads+g, 0, t1), part(&o.QKV, 5, o.Heads+groups+g, 0, t1)
	dq, dk, dv := part(&o.DQKV, 2, h, t0, t1), part(&o.DQKV, 4, o.Heads+g, 0, t1), part(&o.DQKV, 5, o.Heads+groups+g, 0, t1)

	rows, n := t1-t0, t1
	p := blas32.General{Rows: rows, Cols: n, Stride: n, Data: w.floats(0, rows*n)}
	ds := blas32.General{Rows: rows, Cols: n, Stride: n, Data: w.floats(1, rows*n)}
	scale := float32(1 / math.Sqrt(float64(size)))
	blas32.Gemm(blas.NoTrans, blas.Trans, scale, q, k, 0, p)
	blas32.Gemm(blas.NoTrans, blas.Trans, 1, dy, v, 0, ds)
	for r := range rows {
		seen := t0 + r + 1
		pr, dsr := p.Data[r*n:][:n], ds.Data[r*n:][:n]
		softmaxSeen(pr, seen)
		clear(dsr[seen:])
		end := wholeVectors(seen, n)
		vec.SoftmaxBackward(dsr[:end], pr[:end], vec.Dot(pr[:end], dsr[:end]))
		clear(dsr[seen:end]) // 0 times a mean that is no number
	}
	if t0+1 < t1 && !(finite(q) && finite(dy) && finite(rowsFrom(k, t0))) {
		seenBackward(t0, scale, p, ds, q, k, dy, dq, dk, dv)
		return
	}
	blas32.Gemm(blas.NoTrans, blas.NoTrans, scale, ds, k, 0, dq)
	blas32.Gemm(blas.Trans, blas.NoTrans, scale, ds, q, 1, dk)
	blas32.Gemm(blas.Trans, blas.NoTrans, 1, p, dy, 1, dv)
}

// seenBackward adds the products up query by query, over the keys that each
// sees: where a query or a key is not finite, 0 times it is NaN. Keys before t0
// are seen by all.
func seenBackward(t0 int, scale float32, p, ds, q, k, dy, dq, dk, dv blas32.General) {
	for r := range q.Rows {
		seen := func(m blas32.General) blas32.General { m.Rows = t0 + r + 1; return m }
		at := func(m blas32.General) blas32.Vector { return vector(m.Data[r*m.Stride:][:m.Cols]) }
		dsr, pr := vector(ds.Data[r*ds.Stride:][:t0+r+1]), vector(p.Data[r*p.Stride:][:t0+r+1])
		blas32.Gemv(blas.Trans, scale, seen(k), dsr, 0, at(dq))
		blas32.Ger(scale, dsr, at(q), seen(dk))
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
