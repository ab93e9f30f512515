//go:build cgo

package vulkan

import (
	"caldera/backend"
	"caldera/shaders"
)

func init() {
	register(kernel[*backend.ActivateBackward]{encode: encodeActivateBackward})
}

func encodeActivateBackward(e *encoder, op *backend.ActivateBackward) error {
	access := []backend.Access{backend.Write, backend.Read, backend.Read}
	spec := shaders.ActivateSpec{Lanes: elementwiseLanes, Func: uint32(op.Func)}
	return e.overElements("activate_backward", access, spec, nil, func(v []shaders.View, rows, n1, n2, n uint32) any {
		return shaders.ActivateBackwardPush{Dx: v[0], X: v[1], Dy: v[2], Rows: rows, N1: n1, N2: n2, N: n}
	}, op.DX, op.X, op.DY)
}
