//go:build cgo

package vulkan

import (
	"caldera/backend"
	"caldera/shaders"
)

func init() {
	register(kernel[*backend.GatedActivationBackward]{encode: encodeGatedActivationBackward})
}

func encodeGatedActivationBackward(e *encoder, op *backend.GatedActivationBackward) error {
	access := []backend.Access{backend.Write, backend.Write, backend.Read, backend.Read, backend.Read}
	spec := shaders.GatedActivationSpec{Lanes: elementwiseLanes, Func: uint32(op.Func)}
	return e.overElements("gated_activation_backward", access, spec, nil, func(v []shaders.View, rows, n1, n2, n uint32) any {
		return shaders.GatedActivationBackwardPush{
			Dgate: v[0], Dup: v[1], Gate: v[2], Up: v[3], Dy: v[4], Rows: rows, N1: n1, N2: n2, N: n, Limit: op.Bound(), Shift: op.Shift,
		}
	}, op.DGate, op.DUp, op.Gate, op.Up, op.DY)
}
