package cpu

import (
	"caldera/backend"
	"caldera/backend/cpu/internal/vec"
)

func init() {
	register(func(b *Backend, op *backend.Activate) {
		b.parallel(op, op.X.Rows(), float64(op.X.Shape[3]), activateRows)
	})
}

func activateRows(_ *worker, op backend.Op, from, to int) {
	o := op.(*backend.Activate)
	for r := from; r < to; r++ {
		activate(o.Func, row[float32](&o.Dst, r), row[float32](&o.X, r))
	}
}

// activate is dst = f(x); dst may be x.
func activate(f backend.Activation, dst, x []float32) {
	switch f {
	case backend.NoActivation:
		copy(dst, x)
	case backend.GELUTanh:
		vec.GELUTanh(dst, x)
	case backend.GELUErf:
		vec.GELUErf(dst, x)
	case backend.GELUSigmoid:
		vec.GELUSigmoid(dst, x)
	case backend.ReLU:
		vec.ReLU(dst, x)
	case backend.SiLU:
		vec.SiLU(dst, x)
	}
}
