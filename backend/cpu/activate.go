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
	f := activations[o.Func].forward
	for r := from; r < to; r++ {
		f(row[float32](&o.Dst, r), row[float32](&o.X, r))
	}
}

// activations are the functions and their gradients.
var activations = [...]struct {
	forward  func(dst, x []float32)
	backward func(dx, x, dy []float32)
}{
	backend.GELUTanh:    {vec.GELUTanh, vec.GELUTanhBackward},
	backend.GELUErf:     {vec.GELUErf, vec.GELUErfBackward},
	backend.GELUSigmoid: {vec.GELUSigmoid, vec.GELUSigmoidBackward},
	backend.ReLU:        {vec.ReLU, vec.ReLUBackward},
	backend.SiLU:        {vec.SiLU, vec.SiLUBackward},
}
