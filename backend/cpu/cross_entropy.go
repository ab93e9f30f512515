package cpu

import (
	"math"

	"caldera/backend"
	"caldera/backend/cpu/internal/vec"
)

func init() {
	register(func(b *Backend, op *backend.CrossEntropy) {
		b.parallel(op, op.X.Shape[2], float64(op.X.Shape[3]), crossEntropyRows)
	})
}

func crossEntropyRows(_ *worker, op backend.Op, from, to int) {
	o := op.(*backend.CrossEntropy)
	loss := row[float32](&o.Loss, 0)
	scale := float64(o.Scale)
	if !o.LossScale.Absent() {
		scale *= float64(at[float32](&o.LossScale, 0, 0))
	}
	for r := from; r < to; r++ {
		x := row[float32](&o.X, r)
		target := int(at[int32](&o.Targets, 0, r))
		if target < 0 || target >= len(x) {
			clear(x)
			loss[r] = 0
			continue
		}
		largest, score := vec.Max(x), x[target]
		sum := vec.Exp(x, x, largest)
		loss[r] = float32(math.Log(sum) + float64(largest) - float64(score))
		p := float64(x[target]) / sum
		vec.Scale(x, float32(scale/sum))
		x[target] = float32((p - 1) * scale)
	}
}
