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

// softmaxSeen is the softmax of the first elements of x, in place, and 0 for
// the others, which nothing is read of.
func softmaxSeen(x []float32, seen int) {
	end := wholeVectors(seen, len(x))
	fill(x[seen:end], negInf)
	softmax(x[:end], x[:end])
	clear(x[seen:])
}

// wholeVectors is n, or a little more, up to most: package vec is slower at the
// last few elements of a vector than at what fills the processor's.
func wholeVectors(n, most int) int { return min((n+vec.Lanes-1)&^(vec.Lanes-1), most) }
