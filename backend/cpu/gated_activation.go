package cpu

import (
	"caldera/backend"
	"caldera/backend/cpu/internal/vec"
)

func init() {
	register(func(b *Backend, op *backend.GatedActivation) {
		b.parallel(op, op.Gate.Rows(), 1.2*float64(op.Gate.Shape[3]), gatedActivationRows)
	})
}

func gatedActivationRows(_ *worker, op backend.Op, from, to int) {
	o := op.(*backend.GatedActivation)
	limit := o.Bound()
	for r := from; r < to; r++ {
		gate, dst := row[float32](&o.Gate, r), row[float32](&o.Dst, r)
		if o.Limit > 0 {
			vec.Clip(dst, gate, limit)
			gate = dst
		}
		activate(o.Func, dst, gate)
		vec.Gate(dst, dst, row[float32](&o.Up, r), limit, o.Shift)
	}
}
