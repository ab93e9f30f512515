package cpu

import (
	"math"

	"caldera/backend"
	"caldera/backend/cpu/internal/vec"
)

func init() {
	register(func(b *Backend, op *backend.LayerNormBackward) {
		rows, width := op.X.Rows(), op.X.Shape[3]
		b.parallel(op, rows, 4*float64(width), layerNormBackwardRows)
		// By columns, so that each sum is one thread's, in the order of rows.
		b.parallel(op, width, 2*float64(rows), layerNormBackwardColumns)
	})
}

func layerNormBackwardRows(w *worker, op backend.Op, from, to int) {
	o := op.(*backend.LayerNormBackward)
	gamma := row[float32](&o.Gamma, 0)
	n := float64(o.X.Shape[3])
	for r := from; r < to; r++ {
		x, dy, dx, stats := row[float32](&o.X, r), row[float32](&o.DY, r), row[float32](&o.DX, r), row[float32](&o.Stats, r)
		mean := vec.Sum(x) / n
		scale := 1 / math.Sqrt(vec.SumSquares(x, mean)/n+float64(o.Epsilon))
		var g, gn float64 // means of g and g·n
		for i, v := range dy {
			g += float64(v * gamma[i])
			gn += float64(v*gamma[i]) * (float64(x[i]) - mean)
		}
		g /= n
		gn *= scale / n
		for i, v := range dy {
			dx[i] = float32(scale * (float64(v*gamma[i]) - g - (float64(x[i])-mean)*scale*gn))
		}
		stats[0], stats[1] = float32(mean), float32(scale)
	}
}

func layerNormBackwardColumns(w *worker, op backend.Op, from, to int) {
	o := op.(*backend.LayerNormBackward)
	dgamma, dbeta := w.floats(0, to-from), w.floats(1, to-from)
	clear(dgamma)
	clear(dbeta)
	for r := range o.X.Rows() {
		x, dy, stats := row[float32](&o.X, r)[from:to], row[float32](&o.DY, r)[from:to], row[float32](&o.Stats, r)
		mean, scale := stats[0], stats[1]
		for i, v := range dy {
			dgamma[i] += v * ((x[i] - mean) * scale)
			dbeta[i] += v
		}
	}
	sum := row[float32](&o.DGamma, 0)[from:to]
	vec.Add(sum, sum, dgamma)
	sum = row[float32](&o.DBeta, 0)[from:to]
	vec.Add(sum, sum, dbeta)
}
