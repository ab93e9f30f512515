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
		part := *op
		part.Dst, part.X = ts[0], ts[1]
		p := pipelineSpec{variant: layerNorm, spec: shaders.Workgroup{Lanes: e.rowLanes(op.X.Dim(-1))}}
		return e.alone(p, "a layer norm", func(t *trials) {
			tryNorms(t, p, 1, func(e *encoder, dst, x backend.Tensor, n backend.LinearNorm) error {
				return dispatchLayerNorm(e, &backend.LayerNorm{Dst: dst, X: x, Gamma: n.Gamma, Beta: n.Beta, Epsilon: n.Epsilon}, p)
			})
		}, func() error { return dispatchLayerNorm(e, &part, p) })
	})
}

// dispatchLayerNorm encodes one dispatch.
func dispatchLayerNorm(e *encoder, op *backend.LayerNorm, p pipelineSpec) error {
	dst, dstBase := e.operand(op.Dst, backend.Write)
	x, xBase := e.operand(op.X, backend.Read)
	gamma, gammaBase := e.operand(op.Gamma, backend.Read)
	beta, betaBase := e.operand(op.Beta, backend.Read)
	rows, width := op.X.Rows(), op.X.Dim(-1)
	return e.dispatch(p,
		shaders.LayerNormPush{
			Dst: view(op.Dst, dstBase, 1), X: view(op.X, xBase, 1),
			Rows: uint32(rows), N1: uint32(op.X.Dim(1)), N2: uint32(op.X.Dim(2)), N: uint32(width),
			Gamma: gammaBase, Beta: betaBase, Epsilon: op.Epsilon,
		},
		[3]uint32{e.groups(0, rows, 1), 1, 1},
		dst, x, gamma, beta)
}
