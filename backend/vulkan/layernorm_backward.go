//go:build cgo

package vulkan

import (
	"caldera/backend"
	"caldera/shaders"
)

func init() {
	register(kernel[*backend.LayerNormBackward]{
		supports: func(l *Limits, op *backend.LayerNormBackward) bool { return rowsFit(l, op.DX, op.X, op.DY) },
		encode:   encodeLayerNormBackward,
	})
}

// encodeLayerNormBackward handles one piece of the rows after the other: first
// DX, row by row, then the sums over the rows, which are added to DGamma and DBeta.
func encodeLayerNormBackward(e *encoder, op *backend.LayerNormBackward) error {
	for axis := range 2 { // if one stride does not serve all rows: one outer index after the other
		if !haveRowStride(op.DX, op.X, op.DY, op.Stats) && op.X.Dim(axis) > 1 {
			return each(op.X.Dim(axis), 1, func(i, end int) error {
				part := *op
				part.DX, part.X = op.DX.Slice(axis, i, end), op.X.Slice(axis, i, end)
				part.DY, part.Stats = op.DY.Slice(axis, i, end), op.Stats.Slice(axis, i, end)
				return encodeLayerNormBackward(e, &part)
			})
		}
	}
	m := *op
	m.DX, m.X, m.DY, m.Stats = matrix(op.DX), matrix(op.X), matrix(op.DY), matrix(op.Stats)
	most := min(e.maxRows(m.DX), e.maxRows(m.X), e.maxRows(m.DY), e.maxRows(m.Stats), e.maxRounds())
	return each(m.X.Dim(2), most, func(r, end int) error {
		part := m
		part.DX, part.X = m.DX.Slice(2, r, end), m.X.Slice(2, r, end)
		part.DY, part.Stats = m.DY.Slice(2, r, end), m.Stats.Slice(2, r, end)
		if err := layerNormBackwardRows(e, &part); err != nil || op.DGamma.Absent() {
			return err
		}
		return layerNormBackwardColumns(e, &part)
	})
}

// layerNormBackwardRows sets DX and Stats.
func layerNormBackwardRows(e *encoder, op *backend.LayerNormBackward) error {
	dx, dxBase := e.operand(op.DX, backend.Write)
	x, xBase := e.operand(op.X, backend.Read)
	dy, dyBase := e.operand(op.DY, backend.Read)
	gamma, gammaBase := e.operand(op.Gamma, backend.Read)
	stats, statsBase := e.operand(op.Stats, backend.Write)
	rows, fours := op.X.Dim(2), inFours(op.DX, dxBase) && inFours(op.X, xBase) && inFours(op.DY, dyBase) && inFours(op.Gamma, gammaBase)
	p, unit, err := e.inUnits("layernorm_backward", "", fours, e.rowWorkgroup(op.X.Dim(3)))
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

// layerNormBackwardColumns adds to DGamma and DBeta.
func layerNormBackwardColumns(e *encoder, op *backend.LayerNormBackward) error {
	dgamma, dgammaBase := e.operand(op.DGamma, backend.Update)
	dbeta, dbetaBase := e.operand(op.DBeta, backend.Update)
	x, xBase := e.operand(op.X, backend.Read)
	dy, dyBase := e.operand(op.DY, backend.Read)
	stats, statsBase := e.operand(op.Stats, backend.Read)
	none, _ := e.operand(backend.Tensor{}, backend.Read)

	rows, fours := op.X.Dim(2), inFours(op.X, xBase) && inFours(op.DY, dyBase) && inFours(op.DGamma, dgammaBase) && inFours(op.DBeta, dbetaBase)
	c, err := e.normColumns("layernorm_backward_columns", fours, rows, op.X.Dim(3))
	if err != nil {
		return err
	}
	unit := uint32(c.unit)
	push := shaders.LayerNormBackwardColumnsPush{
		Dgamma: dgammaBase / unit, Dbeta: dbetaBase / unit,
		X: xBase / unit, XStride: uint32(op.X.Stride(2)) / unit,
		Dy: dyBase / unit, DyStride: uint32(op.DY.Stride(2)) / unit,
		Stats: statsBase, StatsStride: uint32(op.Stats.Stride(2)),
		Rows: uint32(rows), N: uint32(op.X.Dim(3)) / unit, Slice: uint32(c.slice),
	}
	// A binding that the shader may write must not be absent. A stage that does not
	// use it binds another output in its place.
	if c.slices == 1 {
		return e.dispatch(c.stages[0], push, c.groups(1), dgamma, dbeta, x, dy, stats, dbeta)
	}
	sums, err := e.scratch(backend.F32, c.slices, 2, op.X.Dim(3))
	if err != nil {
		return err
	}
	partial, base := e.operand(sums, backend.Update)
	push.Partial = base / unit
	if err := e.dispatch(c.stages[0], push, c.groups(c.slices), partial, partial, x, dy, stats, partial); err != nil {
		return err
	}
	push.Rows, push.Slice = uint32(c.slices), uint32(c.slices)
	return e.dispatch(c.stages[1], push, c.groups(1), dgamma, dbeta, none, none, none, partial)
}

// normColumns is how the columns of a matrix are summed for the gradient of a norm: at once, or
// slices of the rows first and then their sums.
type normColumns struct {
	unit          int            // elements that are read at once
	blocks        uint32         // of columns, for each of which there is a workgroup
	slices, slice int            // how many, and how many rows each has
	stages        []pipelineSpec // one or two
}

func (c *normColumns) groups(slices int) [3]uint32 { return [3]uint32{c.blocks, uint32(slices), 1} }

// normColumns returns it for a matrix [rows, width] that may be read in fours.
func (e *encoder) normColumns(shader string, fours bool, rows, width int) (normColumns, error) {
	columns, lanes := columnLanes(e.limits())
	in := func(unit int, macros string) normColumns {
		c := normColumns{unit: unit, blocks: e.groups(0, width/unit, int(columns)), slice: rows}
		c.slices = e.columnSlices(rows, c.blocks)
		stages := []uint32{0}
		if c.slices > 1 {
			c.slice = (rows + c.slices - 1) / c.slices
			c.slices = (rows + c.slice - 1) / c.slice
			stages = []uint32{1, 2}
		}
		for _, s := range stages {
			spec := shaders.LayerNormBackwardColumnsSpec{Lanes: columns, LanesY: lanes, Stage: s}
			c.stages = append(c.stages, pipelineSpec{variant: shaders.Find(shader, macros), spec: spec})
		}
		return c
	}
	if !fours {
		return in(1, ""), nil
	}
	ways := []normColumns{in(4, "X4"), in(1, "")}
	i, err := e.pick(ways[0].stages, ways[1].stages)
	return ways[i], err
}

// columnSlices returns into how many slices the rows are split to sum columns.
// There is one workgroup for each slice and block of columns: enough to fill a
// GPU, with at least 64 rows each.
func (e *encoder) columnSlices(rows int, blocks uint32) int {
	if e.limits().Software {
		return 1
	}
	return max(min(128/int(blocks), rows/64, int(e.limits().Groups[1])), 1)
}

// columnLanes returns the size of a workgroup that sums columns: the number of
// columns side by side, and of invocations (lanes) that share a column.
func columnLanes(l *Limits) (columns, lanes uint32) {
	if l.Software { // see rowLanes
		return max(l.SubgroupSize, 4), 1
	}
	columns = min(32, l.WorkgroupSize[0])
	return columns, max(min(256/columns, l.Invocations/columns, l.WorkgroupSize[1]), 1)
}
