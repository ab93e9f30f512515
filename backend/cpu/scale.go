package cpu

import (
	"caldera/backend"
	"caldera/backend/cpu/internal/vec"
)

func init() {
	register(func(b *Backend, op *backend.Scale) {
		b.parallel(op, op.Dst.Rows(), 0.1*float64(op.Dst.Shape[3]), scaleRows)
	})
}

func scaleRows(_ *worker, op backend.Op, from, to int) {
	o := op.(*backend.Scale)
	factors := o.Factors()
	for r := from; r < to; r++ {
		dst := row[float32](&o.Dst, r)
		copy(dst, row[float32](&o.X, r))
		vec.Scale(dst, row[float32](&factors, r)[0])
	}
}
