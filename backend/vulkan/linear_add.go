//go:build cgo

package vulkan

import "caldera/backend"

func init() {
	register(kernel[*backend.LinearAdd]{
		matrices: func(op *backend.LinearAdd) bool { return halves(op.X, op.W) },
		encode: func(e *encoder, op *backend.LinearAdd) error {
			return encodeLinear(e, linearOp{dst: op.Dst, x: op.X, w: op.W, bias: op.Bias, residual: op.Residual, epilogue: epilogueAdd})
		},
	})
}
