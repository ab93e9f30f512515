package cpu

import (
	"math"

	"caldera/backend"
)

func init() {
	register(func(b *Backend, op *backend.AdamW) {
		b.parallel(op, op.W.Rows(), 3*float64(op.W.Shape[3]), adamWRows)
	})
}

func adamWRows(_ *worker, op backend.Op, from, to int) {
	o := op.(*backend.AdamW)
	scale := float32(1)
	if !o.Scale.Absent() {
		scale = row[float32](&o.Scale, 0)[0]
	}
	step := row[float32](&o.Step, 0)
	rate, correct1, correct2 := step[0], 1/step[1], 1/step[2]
	beta1, rest1 := float32(o.Beta1), float32(1-o.Beta1)
	beta2, rest2 := float32(o.Beta2), float32(1-o.Beta2)
	for r := from; r < to; r++ {
		w, m, v := row[float32](&o.W, r), row[float32](&o.M, r), row[float32](&o.V, r)
		for i, g := range row[float32](&o.G, r) {
			g *= scale
			m[i] = beta1*m[i] + rest1*g
			v[i] = beta2*v[i] + rest2*g*g
			root := float32(math.Sqrt(float64(v[i] * correct2)))
			w[i] -= rate * (o.Decay*w[i] + m[i]*correct1/(root+o.Epsilon))
		}
	}
}
