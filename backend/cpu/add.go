package cpu

import (
	"caldera/backend"
	"caldera/backend/cpu/internal/vec"
)

func init() {
	register(func(b *Backend, op *backend.Add) {
		b.parallel(op, op.Dst.Rows(), 0.1*float64(op.Dst.Shape[3]), addRows)
	})
}

func addRows(_ *worker, op backend.Op, from, to int) {
	o := op.(*backend.Add)
	for r := from; r < to; r++ {
		vec.Add(row[float32](&o.Dst, r), row[float32](&o.A, r), row[float32](&o.B, r))
	}
}
