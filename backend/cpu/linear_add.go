package cpu

import "caldera/backend"

func init() {
	register(func(b *Backend, op *backend.LinearAdd) {
		if op.X.DType != backend.F32 {
			b.widened([]backend.Tensor{op.X, op.Dst, op.Residual}, func(ts []backend.Tensor) {
				wide := *op
				wide.X, wide.Dst = ts[0], ts[1]
				wide.Residual = ts[2]
				b.linear(&wide, &wide.X, &wide.W, linearAddPart, linearAddRowsPart)
			})
			return
		}
		b.linear(op, &op.X, &op.W, linearAddPart, linearAddRowsPart)
	})
}

func linearAddPart(w *worker, op backend.Op, from, to int) {
	o := op.(*backend.LinearAdd)
	l := linear{&o.Dst, &o.X, &o.W, &o.Bias, &o.Residual, false}
	l.run(w, 0, o.X.Rows(), from, to)
}

func linearAddRowsPart(w *worker, op backend.Op, from, to int) {
	o := op.(*backend.LinearAdd)
	l := linear{&o.Dst, &o.X, &o.W, &o.Bias, &o.Residual, false}
	l.run(w, from, to, 0, o.W.Shape[2])
}
