package cpu

import (
	"caldera/backend"
	"caldera/backend/cpu/internal/vec"
)

func init() {
	register(func(b *Backend, op *backend.ActivateBackward) {
		b.parallel(op, op.X.Rows(), 1.5*float64(op.X.Shape[3]), activateBackwardRows)
	})
}

func activateBackwardRows(_ *worker, op backend.Op, from, to int) {
	o := op.(*backend.ActivateBackward)
	for r := from; r < to; r++ {
		activateBackward(o.Func, row[float32](&o.DX, r), row[float32](&o.X, r), row[float32](&o.DY, r))
	}
}

// activateBackward is dx = dy·f'(x); dx may be dy.
func activateBackward(f backend.Activation, dx, x, dy []float32) {
	switch f {
	case backend.NoActivation:
		copy(dx, dy)
	case backend.GELUTanh:
		vec.GELUTanhBackward(dx, x, dy)
	case backend.GELUErf:
		vec.GELUErfBackward(dx, x, dy)
	case backend.GELUSigmoid:
		vec.GELUSigmoidBackward(dx, x, dy)
	case backend.ReLU:
		vec.ReLUBackward(dx, x, dy)
	case backend.SiLU:
		vec.SiLUBackward(dx, x, dy)
	}
}
