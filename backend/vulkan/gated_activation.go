//go:build cgo

package vulkan

import (
	"caldera/backend"
	"caldera/shaders"
)

func init() {
	register(kernel[*backend.GatedActivation]{encode: encodeGatedActivation})
}

func encodeGatedActivation(e *encoder, op *backend.GatedActivation) error {
	access := []backend.Access{backend.Write, backend.Read, backend.Read}
	spec := shaders.GatedActivationSpec{Lanes: elementwiseLanes, Func: uint32(op.Func)}
	return e.overElements("gated_activation", access, spec, nil, func(v []shaders.View, rows, n1, n2, n uint32) any {
		return shaders.GatedActivationPush{
			Dst: v[0], Gate: v[1], Up: v[2], Rows: rows, N1: n1, N2: n2, N: n, Limit: op.Bound(), Shift: op.Shift,
		}
	}, op.Dst, op.Gate, op.Up)
}
