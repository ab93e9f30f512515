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
		dst, dstBase := e.operand(ts[0], backend.Write)
		x, xBase := e.operand(ts[1], backend.Read)
		gamma, gammaBase := e.operand(op.Gamma, backend.Read)
		fours := inFours(ts[0], dstBase) && inFours(ts[1], xBase) && inFours(op.Gamma, gammaBase)
		p, unit, err := e.inUnits("rmsnorm", "", fours, e.rowWorkgroup(op.X.Dim(-1)))
		if err != nil {
			return err
		}
		rows, n := ts[1].Rows(), op.X.Dim(-1)/unit
		return e.dispatch(p,
			shaders.RMSNormPush{
				Dst: view(ts[0], dstBase, unit), X: view(ts[1], xBase, unit),
				Rows: uint32(rows), N1: uint32(ts[1].Dim(1)), N2: uint32(ts[1].Dim(2)), N: uint32(n),
				Gamma: gammaBase / uint32(unit), Epsilon: op.Epsilon,
			},
			[3]uint32{e.groups(0, rows, 1), 1, 1},
			dst, x, gamma)
	})
}
