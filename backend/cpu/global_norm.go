package cpu

import (
	"math"

	"caldera/backend"
	"caldera/backend/cpu/internal/vec"
)

func init() {
	register(func(_ *Backend, op *backend.GlobalNorm) {
		norm := math.Sqrt(vec.Sum(row[float32](&op.X, 0)))
		dst := row[float32](&op.Dst, 0)
		dst[0], dst[1] = float32(norm), float32(min(1, float64(op.Max)/(norm+1e-6)))
	})
}
