//go:build cgo

package vulkan

import (
	"caldera/backend"
	"caldera/shaders"
)

func init() {
	register(kernel[*backend.Round]{encode: encodeRound})
}

func encodeRound(e *encoder, op *backend.Round) error {
	return e.elementwise("round", func(v []shaders.View, rows, n1, n2, n uint32) any {
		return shaders.RowsPush{Dst: v[0], X: v[1], Rows: rows, N1: n1, N2: n2, N: n}
	}, op.Dst, op.X)
}

// Rounding implements [backend.Rounder]: matrix units multiply numbers in the precision of f16.
func (b *Backend) Rounding(w backend.DType) backend.DType {
	if b.limits.Matrix[0] > 0 && w != backend.F32 && (!w.Quantized() || takesEights(w) || takesRuns(w)) {
		return backend.F16
	}
	return backend.F32
}
