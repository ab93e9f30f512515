package cpu

import (
	"slices"

	"caldera/backend"
	"caldera/backend/cpu/internal/vec"
)

func init() {
	register(func(b *Backend, op *backend.Argmax) {
		b.parallel(op, op.X.Rows(), 0.5*float64(op.X.Shape[3]), argmaxRows)
	})
}

func argmaxRows(_ *worker, op backend.Op, from, to int) {
	o := op.(*backend.Argmax)
	for r := from; r < to; r++ {
		x := row[float32](&o.X, r)
		// If all elements are NaN the maximum is −∞, which Index would not find.
		row[int32](&o.Dst, r)[0] = 0
		if largest := vec.Max(x); largest > negInf {
			row[int32](&o.Dst, r)[0] = int32(slices.Index(x, largest))
		}
	}
}
