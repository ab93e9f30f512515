package cpu

import (
	"math"

	"caldera/backend"
	"caldera/backend/cpu/internal/vec"
)

func init() {
	register(func(b *Backend, op *backend.LayerNormBackward) {
		rows, width := op.X.Rows(), op.X.Shape[3]
		b.parallel(op, rows, float64(width), layerNormBackwardRows)
		if !op.DGamma.Absent() {
			b.columns(op, width, 0.3*float64(rows), layerNormBackwardColumns)
		}
	})
}

func layerNormBackwardRows(_ *worker, op backend.Op, from, to int) {
	o := op.(*backend.LayerNormBackward)
	gamma := row[float32](&o.Gamma, 0)
	n := float64(o.X.Shape[3])
	for r := from; r < to; r++ {
		x, dy, stats := row[float32](&o.X, r), row[float32](&o.DY, r), row[float32](&o.Stats, r)
		mean := vec.Sum(x) / n
		squares, g, gd := vec.NormalizeSums(x, dy, gamma, mean)
		scale := 1 / math.Sqrt(squares/n+float64(o.Epsilon))
		vec.NormalizeBackward(row[float32](&o.DX, r), x, dy, gamma, mean, float32(scale), float32(g/n), float32(gd*scale/n))
		stats[0], stats[1] = float32(mean), float32(scale)
	}
}

func layerNormBackwardColumns(w *worker, op backend.Op, from, to int) {
	o := op.(*backend.LayerNormBackward)
	dgamma, dbeta := w.floats(0, to-from), w.floats(1, to-from)
	clear(dgamma)
	clear(dbeta)
	for r := range o.X.Rows() {
		stats := row[float32](&o.Stats, r)
		vec.AddNormalized(dgamma, dbeta, row[float32](&o.X, r)[from:to], row[float32](&o.DY, r)[from:to], stats[0], stats[1])
	}
	sum := row[float32](&o.DGamma, 0)[from:to]
	vec.Add(sum, sum, dgamma)
	sum = row[float32](&o.DBeta, 0)[from:to]
	vec.Add(sum, sum, dbeta)
}
