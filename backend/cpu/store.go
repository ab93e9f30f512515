package cpu

import (
	"caldera/backend"
)

func init() {
	register(func(b *Backend, op *backend.Store) {
		b.parallel(op, op.X.Rows(), 0.2*float64(op.X.Shape[3]), storeRows)
	})
}

func storeRows(_ *worker, op backend.Op, from, to int) {
	o := op.(*backend.Store)
	time, context := o.X.Shape[2], o.Dst.Shape[2]
	for r := from; r < to; r++ {
		b, t := r/time, r%time
		place := int(at[int32](&o.At, 0, b)) + t
		if place < 0 || place >= context {
			continue
		}
		if p := pairs(o.Dst.DType); p != nil {
			p.To(row[uint16](&o.Dst, b*context+place), row[float32](&o.X, r))
		} else {
			copy(row[float32](&o.Dst, b*context+place), row[float32](&o.X, r))
		}
	}
}
