//go:build cgo

package vulkan

import (
	"caldera/backend"
	"caldera/shaders"
)

func init() {
	register(kernel[*backend.SoftCapBackward]{encode: encodeSoftCapBackward})
}

func encodeSoftCapBackward(e *encoder, op *backend.SoftCapBackward) error {
	return e.elementwise("softcap_backward", func(v []shaders.View, rows, n1, n2, n uint32) any {
		return shaders.SoftCapBackwardPush{Dx: v[0], X: v[1], Dy: v[2], Rows: rows, N1: n1, N2: n2, N: n, Cap: op.Cap}
	}, op.DX, op.X, op.DY)
}
