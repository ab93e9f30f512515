package cpu

import (
	"math"

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

// softmaxSeen is the softmax of x[from:to], in place, with a sink (−∞: none), and
// 0 for the other elements, which are not read. It returns the sink's probability.
func softmaxSeen(x []float32, from, to int, sink float32) float32 {
	end := wholeVectors(to-from, len(x)-from) + from
	fill(x[to:end], negInf)
	p := softmaxSink(x[from:end], sink)
	clear(x[:from])
	clear(x[to:])
	return p
}

// softmaxSink is the softmax of x and of a sink (−∞: none), without the sink's
// probability, which it returns.
func softmaxSink(x []float32, sink float32) float32 {
	if sink == negInf {
		softmax(x, x)
		return 0
	}
	largest := max(vec.Max(x), sink)
	p := math.Exp(float64(sink - largest))
	sum := p + vec.Exp(x, x, largest)
	vec.Scale(x, float32(1/sum))
	return float32(p / sum)
}

// wholeVectors is n, or a little more, up to most: package vec is slower at the
// last few elements of a vector than at what fills the processor's.
func wholeVectors(n, most int) int { return min((n+vec.Lanes-1)&^(vec.Lanes-1), most) }
