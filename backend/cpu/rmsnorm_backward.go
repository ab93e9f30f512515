package cpu

import (
	"math"

	"caldera/backend"
	"caldera/backend/cpu/internal/vec"
)

func init() {
	register(func(b *Backend, op *backend.RMSNormBackward) {
		rows, width := op.X.Rows(), op.X.Shape[3]
		b.parallel(op, rows, 0.7*float64(width), rmsNormBackwardRows)
		if !op.DGamma.Absent() {
			b.columns(op, width, 0.3*float64(rows), rmsNormBackwardColumns)
		}
	})
}

func rmsNormBackwardRows(_ *worker, op backend.Op, from, to int) {
	o := op.(*backend.RMSNormBackward)
	gamma := row[float32](&o.Gamma, 0)
	n := float64(o.X.Shape[3])
	for r := from; r < to; r++ {
		x, dy := row[float32](&o.X, r), row[float32](&o.DY, r)
		squares, _, gx := vec.NormalizeSums(x, dy, gamma, 0)
		scale := 1 / math.Sqrt(squares/n+float64(o.Epsilon))
		vec.NormalizeBackward(row[float32](&o.DX, r), x, dy, gamma, 0, float32(scale), 0, float32(gx*scale/n))
		row[float32](&o.Stats, r)[0] = float32(scale)
	}
}

func rmsNormBackwardColumns(w *worker, op backend.Op, from, to int) {
	o := op.(*backend.RMSNormBackward)
	dgamma, sums := w.floats(0, to-from), w.floats(1, to-from) // the sums of dy are not used
	clear(dgamma)
	clear(sums)
	for r := range o.X.Rows() {
		scale := row[float32](&o.Stats, r)[0]
		vec.AddNormalized(dgamma, sums, row[float32](&o.X, r)[from:to], row[float32](&o.DY, r)[from:to], 0, scale)
	}
	sum := row[float32](&o.DGamma, 0)[from:to]
	vec.Add(sum, sum, dgamma)
}
