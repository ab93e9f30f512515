//go:build cgo

package vulkan

import (
	"caldera/backend"
	"caldera/shaders"
)

func init() {
	register(kernel[*backend.SumSquares]{
		supports: func(l *Limits, op *backend.SumSquares) bool { return rowsFit(l, op.X) },
		encode:   encodeSumSquares,
	})
}

func encodeSumSquares(e *encoder, op *backend.SumSquares) error {
	return e.pieces(2, []backend.Tensor{op.Dst, op.X}, func(ts []backend.Tensor) error {
		dst, dstBase := e.operand(ts[0], backend.Write)
		x, xBase := e.operand(ts[1], backend.Read)
		p, unit, err := e.inUnits("sum_squares", "", inFours(ts[1], xBase), e.rowWorkgroup(ts[1].Dim(-1)))
		if err != nil {
			return err
		}
		rows, n := ts[1].Rows(), ts[1].Dim(-1)/unit
		return e.dispatch(p,
			shaders.RowsPush{
				Dst: view(ts[0], dstBase, 1), X: view(ts[1], xBase, unit),
				Rows: uint32(rows), N1: uint32(ts[1].Dim(1)), N2: uint32(ts[1].Dim(2)), N: uint32(n),
			},
			[3]uint32{e.groups(0, rows, 1), 1, 1},
			dst, x)
	})
}
