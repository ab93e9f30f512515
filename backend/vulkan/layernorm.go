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

func encodeLayerNorm(e *encoder, op *backend.LayerNorm) error {
	return e.pieces(2, []backend.Tensor{op.Dst, op.X}, func(ts []backend.Tensor) error {
		part := *op
		part.Dst, part.X = ts[0], ts[1]
		pipeline := func(macros string, unit int) pipelineSpec {
			v := shaders.Find("layernorm", macros)
			return pipelineSpec{variant: v, spec: shaders.Workgroup{Lanes: e.workgroup(v, op.X.Dim(-1)/unit)}}
		}
		plain := pipeline("", 1)
		if !layerNormTexels(e, &part) {
			return dispatchLayerNorm(e, &part, plain)
		}
		texels := pipeline("TEXEL", 4)
		i, err := e.pick([]pipelineSpec{texels}, []pipelineSpec{plain})
		if err != nil {
			return err
		}
		return dispatchLayerNorm(e, &part, []pipelineSpec{texels, plain}[i])
	})
}

// layerNormTexels reports whether all that a norm reads can be read through the texture unit, in fours,
// and what it writes be written so, on a software driver.
func layerNormTexels(e *encoder, op *backend.LayerNorm) bool {
	if !e.limits().Software {
		return false
	}
	for _, t := range []backend.Tensor{op.X, op.Gamma, op.Beta} {
		if b, base, ok := e.texels(t); !ok || b.err != nil || !inFours(t, base) {
			return false
		}
	}
	_, base := e.operand(op.Dst, backend.Write)
	return inFours(op.Dst, base)
}

// dispatchLayerNorm encodes one dispatch.
func dispatchLayerNorm(e *encoder, op *backend.LayerNorm, p pipelineSpec) error {
	unit := unitOf(p)
	read := func(t backend.Tensor) (b binding, base uint32) {
		if unit == 4 {
			b, base, _ = e.texels(t)
			return b, base
		}
		return e.operand(t, backend.Read)
	}
	dst, dstBase := e.operand(op.Dst, backend.Write)
	x, xBase := read(op.X)
	gamma, gammaBase := read(op.Gamma)
	beta, betaBase := read(op.Beta)
	rows, n := op.X.Rows(), op.X.Dim(-1)/unit
	return e.dispatch(p,
		shaders.LayerNormPush{
			Dst: view(op.Dst, dstBase, unit), X: view(op.X, xBase, unit),
			Rows: uint32(rows), N1: uint32(op.X.Dim(1)), N2: uint32(op.X.Dim(2)), N: uint32(n),
			Gamma: gammaBase / uint32(unit), Beta: betaBase / uint32(unit), Epsilon: op.Epsilon,
		},
		[3]uint32{e.groups(0, rows, 1), 1, 1},
		dst, x, gamma, beta)
}
