package cpu

import (
	"math"

	"caldera/backend"
	"caldera/backend/cpu/internal/vec"
)

var (
	nan    = float32(math.NaN())
	negInf = float32(math.Inf(-1))
)

func init() {
	register(func(b *Backend, op *backend.Embedding) {
		b.parallel(op, op.Dst.Rows(), 0.3*float64(op.Dst.Shape[3]), embeddingRows)
	})
}

func embeddingRows(w *worker, op backend.Op, from, to int) {
	o := op.(*backend.Embedding)
	time := o.Dst.Shape[2]
	for r := from; r < to; r++ {
		b, t := r/time, r%time
		dst := row[float32](&o.Dst, r)
		seq, pos := placeOf(&o.At, r)
		if seq == padding {
			clear(dst)
			continue
		}
		token := lookUp(w, &o.Tokens, int(at[int32](&o.IDs, b, t)))
		switch {
		case token == nil:
			fill(dst, nan)
		case o.Positions.Absent():
			copy(dst, token)
		default:
			copy(dst, token) // before the next lookUp overwrites the workspace that token may be in
			if p := lookUp(w, &o.Positions, pos); seq >= 0 && p != nil {
				vec.Add(dst, dst, p)
			} else {
				fill(dst, nan)
			}
		}
	}
}

// padding is the sequence of a token that is none.
const padding = -1

// placeOf returns the sequence and the position of token r, 0 where no places are given.
func placeOf(places *backend.Tensor, r int) (seq, pos int) {
	if places.Absent() {
		return 0, 0
	}
	return int(at[int32](places, 0, r)), int(at[int32](places, 1, r))
}

// at returns element [i, j] of a matrix with any strides.
func at[E element](t *backend.Tensor, i, j int) E {
	return elements[E](t)[i*t.Strides[2]+j*t.Strides[3]]
}

// lookUp returns row i of a table in float32, or nil if there is no such row.
func lookUp(w *worker, table *backend.Tensor, i int) []float32 {
	if i < 0 || i >= table.Shape[2] {
		return nil
	}
	if table.DType == backend.F32 {
		return row[float32](table, i)
	}
	v := w.floats(0, table.Shape[3])
	if q, ok := viewQuantized(table, i); ok {
		q.from(v, q.data)
	} else {
		pairs(table.DType).From(v, row[uint16](table, i))
	}
	return v
}

func fill(x []float32, v float32) {
	for i := range x {
		x[i] = v
	}
}
