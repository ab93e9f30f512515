//go:build cgo

package vulkan

import "caldera/backend"

func init() {
	register(kernel[*backend.LinearGELU]{
		matrices: func(op *backend.LinearGELU) bool { return halves(op.X, op.W) },
		encode: func(e *encoder, op *backend.LinearGELU) error {
			return encodeLinear(e, linearOp{dst: op.Dst, x: op.X, w: op.W, bias: op.Bias, epilogue: epilogueGELU})
		},
	})
}
