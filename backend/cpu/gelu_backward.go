package cpu

import (
	"caldera/backend"
	"caldera/backend/cpu/internal/vec"
)

func init() {
	register(func(b *Backend, op *backend.GELUBackward) {
		b.parallel(op, op.X.Rows(), 1.5*float64(op.X.Shape[3]), geluBackwardRows)
	})
}

func geluBackwardRows(_ *worker, op backend.Op, from, to int) {
	o := op.(*backend.GELUBackward)
	for r := from; r < to; r++ {
		vec.GELUTanhBackward(row[float32](&o.DX, r), row[float32](&o.X, r), row[float32](&o.DY, r))
	}
}
