//go:build cgo

package vulkan

import (
	"caldera/backend"
	"caldera/shaders"
)

func init() {
	register(kernel[*backend.Activate]{encode: encodeActivate})
}

func encodeActivate(e *encoder, op *backend.Activate) error {
	access := []backend.Access{backend.Write, backend.Read}
	spec := shaders.ActivateSpec{Lanes: elementwiseLanes, Func: uint32(op.Func)}
	return e.overElements("activate", access, spec, nil, func(v []shaders.View, rows, n1, n2, n uint32) any {
		return shaders.RowsPush{Dst: v[0], X: v[1], Rows: rows, N1: n1, N2: n2, N: n}
	}, op.Dst, op.X)
}
