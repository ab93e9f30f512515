//go:build cgo

package vulkan

import (
	"caldera/backend"
	"caldera/shaders"
)

func init() {
	register(kernel[*backend.RMSNormBackward]{
		supports: func(l *Limits, op *backend.RMSNormBackward) bool { return rowsFit(l, op.DX, op.X, op.DY) },
		encode:   encodeRMSNormBackward,
	})
}

// encodeRMSNormBackward handles one piece of the rows after the other: first DX,
// row by row, then the sums over the rows, which are added to DGamma.
func encodeRMSNormBackward(e *encoder, op *backend.RMSNormBackward) error {
	for axis := range 2 { // if one stride does not serve all rows: one outer index after the other
		if !haveRowStride(op.DX, op.X, op.DY, op.Stats) && op.X.Dim(axis) > 1 {
			return each(op.X.Dim(axis), 1, func(i, end int) error {
				return encodeRMSNormBackward(e, rmsNormPart(op, axis, i, end))
			})
		}
	}
	m := *op
	m.DX, m.X, m.DY, m.Stats = matrix(op.DX), matrix(op.X), matrix(op.DY), matrix(op.Stats)
	most := min(e.maxRows(m.DX), e.maxRows(m.X), e.maxRows(m.DY), e.maxRows(m.Stats), e.maxRounds())
	return each(m.X.Dim(2), most, func(r, end int) error {
		part := rmsNormPart(&m, 2, r, end)
		if err := rmsNormBackwardRows(e, part); err != nil || op.DGamma.Absent() {
			return err
		}
		return rmsNormBackwardColumns(e, part)
	})
}

// rmsNormPart returns op on the range [from, to) of an axis.
func rmsNormPart(op *backend.RMSNormBackward, axis, from, to int) *backend.RMSNormBackward {
	part := *op
	part.DX, part.X = op.DX.Slice(axis, from, to), op.X.Slice(axis, from, to)
	part.DY, part.Stats = op.DY.Slice(axis, from, to), op.Stats.Slice(axis, from, to)
	return &part
}

// rmsNormBackwardRows sets DX and Stats.
func rmsNormBackwardRows(e *encoder, op *backend.RMSNormBackward) error {
	dx, dxBase := e.operand(op.DX, backend.Write)
	x, xBase := e.operand(op.X, backend.Read)
	dy, dyBase := e.operand(op.DY, backend.Read)
	gamma, gammaBase := e.operand(op.Gamma, backend.Read)
	stats, statsBase := e.operand(op.Stats, backend.Write)
	rows, fours := op.X.Dim(2), inFours(op.DX, dxBase) && inFours(op.X, xBase) && inFours(op.DY, dyBase) && inFours(op.Gamma, gammaBase)
	p, unit, err := e.inUnits("rmsnorm_backward", "", fours, e.rowWorkgroup(op.X.Dim(3)))
	if err != nil {
		return err
	}
	of := func(t backend.Tensor, base uint32) (uint32, uint32) {
		return base / uint32(unit), uint32(t.Stride(2) / unit)
	}
	push := shaders.LayerNormBackwardPush{
		Stats: statsBase, StatsStride: uint32(op.Stats.Stride(2)), Gamma: gammaBase / uint32(unit),
		Rows: uint32(rows), N: uint32(op.X.Dim(3) / unit), Epsilon: op.Epsilon,
	}
	push.Dx, push.DxStride = of(op.DX, dxBase)
	push.X, push.XStride = of(op.X, xBase)
	push.Dy, push.DyStride = of(op.DY, dyBase)
	return e.dispatch(p, push,
		[3]uint32{e.groups(0, rows, 1), 1, 1},
		dx, x, dy, gamma, stats)
}

// rmsNormBackwardColumns adds to DGamma.
func rmsNormBackwardColumns(e *encoder, op *backend.RMSNormBackward) error {
	dgamma, dgammaBase := e.operand(op.DGamma, backend.Update)
	x, xBase := e.operand(op.X, backend.Read)
	dy, dyBase := e.operand(op.DY, backend.Read)
	stats, statsBase := e.operand(op.Stats, backend.Read)
	none, _ := e.operand(backend.Tensor{}, backend.Read)

	rows, fours := op.X.Dim(2), inFours(op.X, xBase) && inFours(op.DY, dyBase) && inFours(op.DGamma, dgammaBase)
	c, err := e.normColumns("rmsnorm_backward_columns", fours, rows, op.X.Dim(3))
	if err != nil {
		return err
	}
	unit := uint32(c.unit)
	push := shaders.RMSNormBackwardColumnsPush{
		Dgamma: dgammaBase / unit,
		X:      xBase / unit, XStride: uint32(op.X.Stride(2)) / unit,
		Dy: dyBase / unit, DyStride: uint32(op.DY.Stride(2)) / unit,
		Stats: statsBase, StatsStride: uint32(op.Stats.Stride(2)),
		Rows: uint32(rows), N: uint32(op.X.Dim(3)) / unit, Slice: uint32(c.slice),
	}
	// A binding that the shader may write must not be absent. A stage that does not
	// use it binds another output in its place.
	if c.slices == 1 {
		return e.dispatch(c.stages[0], push, c.groups(1), dgamma, x, dy, stats, dgamma)
	}
	sums, err := e.scratch(backend.F32, c.slices, op.X.Dim(3))
	if err != nil {
		return err
	}
	partial, base := e.operand(sums, backend.Update)
	push.Partial = base / unit
	if err := e.dispatch(c.stages[0], push, c.groups(c.slices), partial, x, dy, stats, partial); err != nil {
		return err
	}
	push.Rows, push.Slice = uint32(c.slices), uint32(c.slices)
	return e.dispatch(c.stages[1], push, c.groups(1), dgamma, none, none, none, partial)
}
