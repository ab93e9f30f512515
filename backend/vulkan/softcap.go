//go:build cgo

package vulkan

import (
	"caldera/backend"
	"caldera/shaders"
)

func init() {
	register(kernel[*backend.SoftCap]{encode: encodeSoftCap})
}

func encodeSoftCap(e *encoder, op *backend.SoftCap) error {
	return e.elementwise("softcap", func(v []shaders.View, rows, n1, n2, n uint32) any {
		return shaders.SoftCapPush{Dst: v[0], X: v[1], Rows: rows, N1: n1, N2: n2, N: n, Cap: op.Cap}
	}, op.Dst, op.X)
}
