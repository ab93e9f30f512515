package cpu

import (
	"math"

	"caldera/backend"
)

func init() {
	register(func(b *Backend, op *backend.Route) {
		b.parallel(op, op.X.Rows(), float64(op.X.Shape[3]*op.IDs.Shape[3]), routeRows)
	})
}

func routeRows(_ *worker, op backend.Op, from, to int) {
	o := op.(*backend.Route)
	for r := from; r < to; r++ {
		x, ids, weights := row[float32](&o.X, r), row[int32](&o.IDs, r), row[float32](&o.Weights, r)
		var keys [backend.MaxChosen]uint32 // of the largest so far, which stand in ids
		n := 0
		for i, v := range x {
			key := backend.RouteKey(math.Float32bits(v))
			if n == len(ids) && key <= keys[n-1] {
				continue
			}
			n = min(n+1, len(ids))
			at := n - 1
			for ; at > 0 && key > keys[at-1]; at-- {
				keys[at], ids[at] = keys[at-1], ids[at-1]
			}
			keys[at], ids[at] = key, int32(i)
		}
		for c, id := range ids {
			weights[c] = x[id]
		}
		softmax(weights, weights)
	}
}
