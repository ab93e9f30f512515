package cpu

import (
	"caldera/backend"
	"caldera/backend/cpu/internal/vec"
)

func init() {
	register(func(b *Backend, op *backend.GatedActivationBackward) {
		b.parallel(op, op.Gate.Rows(), 3*float64(op.Gate.Shape[3]), gatedActivationBackwardRows)
	})
}

func gatedActivationBackwardRows(w *worker, op backend.Op, from, to int) {
	o := op.(*backend.GatedActivationBackward)
	limit := o.Bound()
	for r := from; r < to; r++ {
		gate, up, dy := row[float32](&o.Gate, r), row[float32](&o.Up, r), row[float32](&o.DY, r)
		dgate, dup := row[float32](&o.DGate, r), row[float32](&o.DUp, r)
		clipped := gate
		if o.Limit > 0 {
			clipped = w.floats(0, len(gate))
			vec.Clip(clipped, gate, limit)
		}
		activate(o.Func, dup, clipped)
		vec.Mul(dup, dup, dy)
		vec.Gate(dgate, dy, up, limit, o.Shift)
		activateBackward(o.Func, dgate, clipped, dgate)
		if o.Limit > 0 {
			for i, v := range gate {
				if v > limit {
					dgate[i] = 0
				}
				if u := up[i]; u > limit || u < -limit {
					dup[i] = 0
				}
			}
		}
	}
}
