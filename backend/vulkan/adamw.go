//go:build cgo

package vulkan

import (
	"caldera/backend"
	"caldera/shaders"
)

func init() {
	register(kernel[*backend.AdamW]{encode: encodeAdamW})
}

func encodeAdamW(e *encoder, op *backend.AdamW) error {
	step, stepBase := e.operand(op.Step, backend.Read)
	scale, scaleBase := e.operand(op.Scale, backend.Read)
	access := []backend.Access{backend.Update, backend.Update, backend.Update, backend.Read}
	spec := shaders.AdamWSpec{Lanes: elementwiseLanes, Scaled: !op.Scale.Absent()}
	return e.overElements("adamw", access, spec, []binding{step, scale}, func(v []shaders.View, rows, n1, n2, n uint32) any {
		return shaders.AdamWPush{
			W: v[0], M: v[1], V: v[2], G: v[3], Rows: rows, N1: n1, N2: n2, N: n, Step: stepBase, Scale: scaleBase,
			Beta1: float32(op.Beta1), Rest1: float32(1 - op.Beta1), Beta2: float32(op.Beta2), Rest2: float32(1 - op.Beta2),
			Epsilon: op.Epsilon, Decay: op.Decay,
		}
	}, op.W, op.M, op.V, op.G)
}
