package cpu

import (
	"caldera/backend"
	"caldera/backend/cpu/internal/vec"
)

func init() {
	register(func(b *Backend, op *backend.Softmax) {
		b.parallel(op, op.X.Rows(), float64(op.X.Shape[3]), softmaxRows)
	})
}

func softmaxRows(_ *worker, op backend.Op, from, to int) {
	o := op.(*backend.Softmax)
	for r := from; r < to; r++ {
		softmax(row[float32](&o.Dst, r), row[float32](&o.X, r))
	}
}

// softmax is dst = exp(x − max x) / Σ exp(x − max x).
func softmax(dst, x []float32) {
	sum := vec.Exp(dst, x, vec.Max(x))
	vec.Scale(dst, float32(1/sum))
}
