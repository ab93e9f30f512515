package cpu

import "caldera/backend"

func init() {
	register(func(b *Backend, op *backend.ActivateBackward) {
		b.parallel(op, op.X.Rows(), 1.5*float64(op.X.Shape[3]), activateBackwardRows)
	})
}

func activateBackwardRows(_ *worker, op backend.Op, from, to int) {
	o := op.(*backend.ActivateBackward)
	f := activations[o.Func].backward
	for r := from; r < to; r++ {
		f(row[float32](&o.DX, r), row[float32](&o.X, r), row[float32](&o.DY, r))
	}
}
