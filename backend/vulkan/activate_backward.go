//go:build cgo

package vulkan

import (
	"caldera/backend"
	"caldera/shaders"
)

func init() {
	register(kernel[*backend.ActivateBackward]{
		supports: func(_ *Limits, op *backend.ActivateBackward) bool { return op.Func == backend.GELUTanh },
		encode:   encodeActivateBackward,
	})
}

func encodeActivateBackward(e *encoder, op *backend.ActivateBackward) error {
	return e.elementwise("gelu_backward", func(v []shaders.View, rows, n1, n2, n uint32) any {
		return shaders.GELUBackwardPush{Dx: v[0], X: v[1], Dy: v[2], Rows: rows, N1: n1, N2: n2, N: n}
	}, op.DX, op.X, op.DY)
}
