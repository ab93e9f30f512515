package cpu

import (
	"caldera/backend"
	"caldera/backend/cpu/internal/vec"
)

func init() {
	register(func(b *Backend, op *backend.SumSquares) {
		b.parallel(op, op.X.Rows(), 0.1*float64(op.X.Shape[3]), sumSquaresRows)
	})
}

func sumSquaresRows(_ *worker, op backend.Op, from, to int) {
	o := op.(*backend.SumSquares)
	for r := from; r < to; r++ {
		row[float32](&o.Dst, r)[0] = float32(vec.SumSquares(row[float32](&o.X, r), 0))
	}
}
