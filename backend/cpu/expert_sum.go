package cpu

import (
	"caldera/backend"
	"caldera/backend/cpu/internal/vec"
)

func init() {
	register(func(b *Backend, op *backend.ExpertSum) {
		b.parallel(op, op.Weights.Rows(), 0.2*float64(op.X.Shape[2]*op.X.Shape[3]), expertSumRows)
	})
}

func expertSumRows(w *worker, op backend.Op, from, to int) {
	o := op.(*backend.ExpertSum)
	chosen := o.X.Shape[2]
	for r := from; r < to; r++ {
		dst, weights := row[float32](&o.Dst, r), row[float32](&o.Weights, r)
		copy(dst, row[float32](&o.X, r*chosen))
		vec.Scale(dst, weights[0])
		term := w.floats(0, len(dst))
		for c := 1; c < chosen; c++ {
			copy(term, row[float32](&o.X, r*chosen+c))
			vec.Scale(term, weights[c])
			vec.Add(dst, dst, term)
		}
	}
}
