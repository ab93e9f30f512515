package cpu

import "caldera/backend"

func init() {
	register(func(b *Backend, op *backend.Round) {
		b.parallel(op, op.X.Rows(), 0.5*float64(op.X.Shape[3]), roundRows)
	})
}

func roundRows(_ *worker, op backend.Op, from, to int) {
	o := op.(*backend.Round)
	for r := from; r < to; r++ {
		dst, x := row[float32](&o.Dst, r), row[float32](&o.X, r)
		for i, v := range x[:len(dst)] {
			dst[i] = backend.RoundF16(v)
		}
	}
}
