//go:build cgo

package vulkan

import (
	"caldera/backend"
	"caldera/shaders"
)

func init() {
	register(kernel[*backend.Add]{encode: encodeAdd})
}

func encodeAdd(e *encoder, op *backend.Add) error {
	return e.elementwise("add", func(v []shaders.View, rows, n1, n2, n uint32) any {
		return shaders.AddPush{Dst: v[0], A: v[1], B: v[2], Rows: rows, N1: n1, N2: n2, N: n}
	}, op.Dst, op.A, op.B)
}
