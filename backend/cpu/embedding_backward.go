package cpu

import (
	"caldera/backend"
	"caldera/backend/cpu/internal/vec"
)

func init() {
	register(func(b *Backend, op *backend.EmbeddingBackward) {
		// By columns, so that no two threads add to the same element.
		b.columns(op, op.DY.Shape[3], 0.3*float64(op.DY.Rows()), embeddingBackwardColumns)
	})
}

func embeddingBackwardColumns(_ *worker, op backend.Op, from, to int) {
	o := op.(*backend.EmbeddingBackward)
	time := o.DY.Shape[2]
	for r := range o.DY.Rows() {
		b, t := r/time, r%time
		seq, pos := placeOf(&o.At, r)
		if seq < 0 {
			continue
		}
		dy := row[float32](&o.DY, r)[from:to]
		if id := int(at[int32](&o.IDs, b, t)); id >= 0 && id < o.DTokens.Shape[2] {
			sum := row[float32](&o.DTokens, id)[from:to]
			vec.Add(sum, sum, dy)
		}
		if o.DPositions.Absent() {
			continue
		}
		if pos >= 0 && pos < o.DPositions.Shape[2] {
			sum := row[float32](&o.DPositions, pos)[from:to]
			vec.Add(sum, sum, dy)
		}
	}
}
