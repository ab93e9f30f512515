package cpu

import "caldera/backend"

func init() {
	register(func(b *Backend, op *backend.LinearGELU) {
		if op.X.DType != backend.F32 {
			b.widened([]backend.Tensor{op.X, op.Dst}, func(ts []backend.Tensor) {
				wide := *op
				wide.X, wide.Dst = ts[0], ts[1]
				b.linear(&wide, &wide.X, &wide.W, linearGELUPart, linearGELURowsPart)
			})
			return
		}
		b.linear(op, &op.X, &op.W, linearGELUPart, linearGELURowsPart)
	})
}

func linearGELUPart(w *worker, op backend.Op, from, to int) {
	o := op.(*backend.LinearGELU)
	l := linear{&o.Dst, &o.X, &o.W, &o.Bias, nil, true}
	l.run(w, 0, o.X.Rows(), from, to)
}

func linearGELURowsPart(w *worker, op backend.Op, from, to int) {
	o := op.(*backend.LinearGELU)
	l := linear{&o.Dst, &o.X, &o.W, &o.Bias, nil, true}
	l.run(w, from, to, 0, o.W.Shape[2])
}
