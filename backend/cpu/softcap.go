package cpu

import (
	"caldera/backend"
	"caldera/backend/cpu/internal/vec"
)

func init() {
	register(func(b *Backend, op *backend.SoftCap) {
		b.parallel(op, op.X.Rows(), float64(op.X.Shape[3]), softCapRows)
	})
}

func softCapRows(_ *worker, op backend.Op, from, to int) {
	o := op.(*backend.SoftCap)
	for r := from; r < to; r++ {
		dst := row[float32](&o.Dst, r)
		copy(dst, row[float32](&o.X, r))
		vec.SoftCap(dst, o.Cap)
	}
}
