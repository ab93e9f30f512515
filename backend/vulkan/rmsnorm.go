//go:build cgo

package vulkan

import (
	"caldera/backend"
	"caldera/shaders"
)

func init() {
	register(kernel[*backend.RMSNorm]{
		supports: func(l *Limits, op *backend.RMSNorm) bool { return rowsFit(l, op.Dst, op.X) },
		encode:   encodeRMSNorm,
	})
}

func encodeRMSNorm(e *encoder, op *backend.RMSNorm) error {
	return e.pieces(2, []backend.Tensor{op.Dst, op.X}, func(ts []backend.Tensor) error {
		part := *op
		part.Dst, part.X = ts[0], ts[1]
		_, dstBase := e.operand(part.Dst, backend.Write)
		_, xBase := e.operand(part.X, backend.Read)
		_, gammaBase := e.operand(op.Gamma, backend.Read)
		units := []int{1}
		if inFours(part.Dst, dstBase) && inFours(part.X, xBase) && inFours(op.Gamma, gammaBase) {
			units = []int{4, 1}
		}
		for _, unit := range units {
			p := rmsNormPipeline(e, op.X.Dim(-1), unit)
			ok, err := e.trusts(p, func(t *trials) {
				tryNorms(t, p, unit, func(e *encoder, dst, x backend.Tensor, n backend.LinearNorm) error {
					return dispatchRMSNorm(e, &backend.RMSNorm{Dst: dst, X: x, Gamma: n.Gamma, Epsilon: n.Epsilon}, p, unit)
				})
			})
			if err != nil {
				return err
			}
			if ok {
				return dispatchRMSNorm(e, &part, p, unit)
			}
		}
		return e.b.refuse("a norm by the root mean square")
	})
}

// rmsNormPipeline is the pipeline for rows of so many elements, read in units.
func rmsNormPipeline(e *encoder, n, unit int) pipelineSpec {
	defines := ""
	if unit == 4 {
		defines = "X4"
	}
	return pipelineSpec{variant: shaders.Find("rmsnorm", defines), spec: shaders.Workgroup{Lanes: e.rowLanes(n / unit)}}
}

// dispatchRMSNorm encodes one dispatch.
func dispatchRMSNorm(e *encoder, op *backend.RMSNorm, p pipelineSpec, unit int) error {
	dst, dstBase := e.operand(op.Dst, backend.Write)
	x, xBase := e.operand(op.X, backend.Read)
	gamma, gammaBase := e.operand(op.Gamma, backend.Read)
	rows, n := op.X.Rows(), op.X.Dim(-1)/unit
	return e.dispatch(p,
		shaders.RMSNormPush{
			Dst: view(op.Dst, dstBase, unit), X: view(op.X, xBase, unit),
			Rows: uint32(rows), N1: uint32(op.X.Dim(1)), N2: uint32(op.X.Dim(2)), N: uint32(n),
			Gamma: gammaBase / uint32(unit), Epsilon: op.Epsilon,
		},
		[3]uint32{e.groups(0, rows, 1), 1, 1},
		dst, x, gamma)
}
