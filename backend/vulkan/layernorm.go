//go:build cgo

package vulkan

import (
	"caldera/backend"
	"caldera/shaders"
)

func init() {
	register(kernel[*backend.LayerNorm]{
		supports: func(l *Limits, op *backend.LayerNorm) bool { return rowsFit(l, op.Dst, op.X) },
		encode:   encodeLayerNorm,
	})
}

var layerNorm = shaders.Find("layernorm", "")

func encodeLayerNorm(e *encoder, op *backend.LayerNorm) error {
	return e.pieces(2, []backend.Tensor{op.Dst, op.X}, func(ts []backend.Tensor) error {
		dst, dstBase := e.operand(ts[0], backend.Write)
		x, xBase := e.operand(ts[1], backend.Read)
		gamma, gammaBase := e.operand(op.Gamma, backend.Read)
		beta, betaBase := e.operand(op.Beta, backend.Read)
		rows, width := ts[1].Rows(), ts[1].Dim(-1)
		return e.dispatch(
			pipelineSpec{variant: layerNorm, spec: shaders.Workgroup{Lanes: e.workgroup(layerNorm, width)}},
			shaders.LayerNormPush{
				Dst: view(ts[0], dstBase, 1), X: view(ts[1], xBase, 1),
				Rows: uint32(rows), N1: uint32(ts[1].Dim(1)), N2: uint32(ts[1].Dim(2)), N: uint32(width),
				Gamma: gammaBase, Beta: betaBase, Epsilon: op.Epsilon,
			},
			[3]uint32{e.groups(0, rows, 1), 1, 1},
			dst, x, gamma, beta)
	})
}
