//go:build cgo

package vulkan

import (
	"caldera/backend"
	"caldera/shaders"
)

func init() {
	register(kernel[*backend.GlobalNorm]{encode: encodeGlobalNorm})
}

func encodeGlobalNorm(e *encoder, op *backend.GlobalNorm) error {
	n, v := op.X.Dim(-1), shaders.Find("global_norm", "")
	return each(n, e.maxAlong(op.X, 3), func(i, end int) error {
		dst, base := e.operand(op.Dst, backend.Update)
		x, xBase := e.operand(op.X.Slice(3, i, end), backend.Read)
		return e.dispatch(
			pipelineSpec{variant: v, spec: shaders.Workgroup{Lanes: e.workgroup(v, end-i)}},
			shaders.GlobalNormPush{
				Dst: base, X: xBase, N: uint32(end - i), First: boolean(i == 0), Last: boolean(end == n), Limit: op.Max,
			},
			[3]uint32{1, 1, 1},
			dst, x)
	})
}
