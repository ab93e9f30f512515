package cpu

import (
	"caldera/backend"
	"caldera/backend/cpu/internal/vec"
)

func init() {
	register(func(b *Backend, op *backend.SoftCapBackward) {
		b.parallel(op, op.X.Rows(), 1.5*float64(op.X.Shape[3]), softCapBackwardRows)
	})
}

func softCapBackwardRows(_ *worker, op backend.Op, from, to int) {
	o := op.(*backend.SoftCapBackward)
	for r := from; r < to; r++ {
		dx, dy := row[float32](&o.DX, r), row[float32](&o.DY, r)
		copy(dx, row[float32](&o.X, r))
		vec.SoftCap(dx, o.Cap)
		for i, c := range dx {
			c /= o.Cap
			dx[i] = dy[i] * (1 - c*c)
		}
	}
}
