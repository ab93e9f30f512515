package cpu

import (
	"caldera/backend"
	"caldera/backend/cpu/internal/vec"
)

func init() {
	register(func(b *Backend, op *backend.GELU) {
		b.parallel(op, op.X.Rows(), float64(op.X.Shape[3]), geluRows)
	})
}

func geluRows(_ *worker, op backend.Op, from, to int) {
	o := op.(*backend.GELU)
	for r := from; r < to; r++ {
		vec.GELUTanh(row[float32](&o.Dst, r), row[float32](&o.X, r))
	}
}
