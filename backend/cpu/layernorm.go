package cpu

import (
	"math"

	"caldera/backend"
	"caldera/backend/cpu/internal/vec"
)

func init() {
	register(func(b *Backend, op *backend.LayerNorm) {
		b.parallel(op, op.X.Rows(), 0.5*float64(op.X.Shape[3]), layerNormRows)
	})
}

func layerNormRows(_ *worker, op backend.Op, from, to int) {
	o := op.(*backend.LayerNorm)
	gamma, beta := row[float32](&o.Gamma, 0), row[float32](&o.Beta, 0)
	n := float64(o.X.Shape[3])
	for r := from; r < to; r++ {
		x := row[float32](&o.X, r)
		mean := vec.Sum(x) / n
		variance := vec.SumSquares(x, mean) / n
		vec.Normalize(row[float32](&o.Dst, r), x, gamma, beta, mean, float32(1/math.Sqrt(variance+float64(o.Epsilon))))
	}
}
