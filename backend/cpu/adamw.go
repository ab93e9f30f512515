package cpu

import (
	"caldera/backend"
	"caldera/backend/cpu/internal/vec"
)

func init() {
	register(func(b *Backend, op *backend.AdamW) {
		b.parallel(op, op.W.Rows(), float64(op.W.Shape[3]), adamWRows)
	})
}

func adamWRows(_ *worker, op backend.Op, from, to int) {
	o := op.(*backend.AdamW)
	scale := float32(1)
	if !o.Scale.Absent() {
		scale = row[float32](&o.Scale, 0)[0]
	}
	step := row[float32](&o.Step, 0)
	move := vec.AdamW{
		Scale: scale,
		Beta1: float32(o.Beta1), Rest1: float32(1 - o.Beta1), Beta2: float32(o.Beta2), Rest2: float32(1 - o.Beta2),
		Correct1: 1 / step[1], Correct2: 1 / step[2], Epsilon: o.Epsilon, Decay: o.Decay, Rate: step[0],
	}
	for r := from; r < to; r++ {
		move.Move(row[float32](&o.W, r), row[float32](&o.M, r), row[float32](&o.V, r), row[float32](&o.G, r))
	}
}
