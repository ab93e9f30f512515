package cpu

import (
	"math"

	"caldera/backend"
	"caldera/backend/cpu/internal/vec"
)

func init() {
	register(func(b *Backend, op *backend.RMSNorm) {
		b.parallel(op, op.X.Rows(), 0.3*float64(op.X.Shape[3]), rmsNormRows)
	})
}

func rmsNormRows(_ *worker, op backend.Op, from, to int) {
	o := op.(*backend.RMSNorm)
	gamma := row[float32](&o.Gamma, 0)
	n := float64(o.X.Shape[3])
	for r := from; r < to; r++ {
		x := row[float32](&o.X, r)
		scale := 1 / math.Sqrt(vec.SumSquares(x, 0)/n+float64(o.Epsilon))
		vec.ScaleBy(row[float32](&o.Dst, r), x, gamma, float32(scale))
	}
}
