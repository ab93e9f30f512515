package cpu

import (
	"math"

	"caldera/backend"
	"caldera/backend/cpu/internal/vec"
)

func init() {
	register(func(_ *Backend, op *backend.GlobalNorm) {
		norm := math.Sqrt(vec.Sum(row[float32](&op.X, 0)))
		factor, padded := 1.0, norm+1e-6
		if !(padded <= float64(op.Max)) { // also for NaN, but not if both are +∞
			factor = float64(op.Max) / padded
		}
		dst := row[float32](&op.Dst, 0)
		dst[0], dst[1] = float32(norm), float32(factor)
	})
}
