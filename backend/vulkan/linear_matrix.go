//go:build cgo

package vulkan

import (
	"math/bits"

	"caldera/backend"
	"caldera/backend/vulkan/internal/vk"
	"caldera/shaders"
)

// Products of many rows are what GPUs have matrix units for. Vulkan reaches them through
// cooperative matrices, with linear_matrix.comp. Its operands are f16 there: x is f16, or is
// rounded to its precision by the op (backend.Round), and w is any dtype but f32.

// depth is how many inputs a slice of linear_matrix.comp has.
const depth = 32

// waysOfMatrix: tiles on cooperative matrices. The rule is the largest tile of which there
// are enough to keep the device busy, or else the smallest.
func waysOfMatrix(l *Limits, p *product) (list []linearChoice) {
	if !p.aligned || !p.halves() && !p.rounded || takesRuns(p.w) && l.Matrix[2] > 16 { // halves of runs have scales of their own
		return nil
	}
	var fit []uint32
	first := uint32(0)
	for _, n := range []uint32{4, 2, 1} {
		if _, ok := l.matrixAcross(n); ok {
			fit = append(fit, n)
			if edge := int(32 * n); first == 0 && tiles(p.rows, edge)*tiles(p.out, edge) >= l.MatrixTiles*4/int(n) {
				first = n
			}
		}
	}
	if len(fit) == 0 {
		return nil
	}
	if first == 0 {
		first = fit[len(fit)-1]
	}
	for _, n := range ruleFirst(first, fit...) {
		list = append(list, linearChoice{source: "linear_matrix", rows: int(32 * n), outs: int(32 * n), tile: n})
	}
	return list
}

// tiles is how many tiles of an edge cover n.
func tiles(n, edge int) int { return (n + edge - 1) / edge }

// matrixParts is in how many parts the sums of a product on cooperative matrices are split, so that there
// are about as many workgroups as are wanted: for each core one with tiles of 128, two with tiles of 64, or four with tiles of 32.
// The number of parts is rounded down, or to the nearest where parts then have twice minPart inputs or more: for 132
// workgroups of 52 tiles it is 3, because 2 would leave 28 cores idle. A part has at least
// minPart inputs, and there are at most maxParts, because the sums of each are written and read once more.
func matrixParts(l *Limits, p *product, c *linearChoice) int {
	if c.source != "linear_matrix" {
		return 1
	}
	const maxParts = 4
	wanted, all := l.MatrixTiles*8/int(c.tile), tiles(p.rows, c.rows)*tiles(p.out, c.outs)
	parts := wanted / all
	if nearest := (wanted + all/2) / all; nearest > parts && p.in/nearest >= 2*minPart {
		parts = nearest
	}
	return max(min(parts, p.in/minPart, maxParts, int(l.Groups[2])), 1)
}

// aligned reports whether the operands lie as linear_matrix.comp reads and writes them, in 16
// bytes. Along its neighbours x of f32 has whole eights of inputs, and x of f16 whole fours.
func (e *encoder) aligned(o *linearOp) bool {
	begin := func(t backend.Tensor, unit int, strides ...int) bool {
		_, base := e.operand(t, backend.Read)
		for _, axis := range strides {
			if t.Dim(axis) > 1 && t.Stride(axis) != 1 && t.Stride(axis)%unit != 0 {
				return false
			}
		}
		return int(base)%unit == 0
	}
	for _, t := range []backend.Tensor{o.dst, o.residual, o.bias} {
		if !t.Absent() && !begin(t, 4, 2) {
			return false
		}
	}
	for _, t := range []backend.Tensor{o.dst, o.residual} { // rows of one output are neighbours
		if !t.Absent() && t.Dim(2) > 1 && t.Stride(2)%4 != 0 {
			return false
		}
	}
	half := o.x.DType == backend.F16
	switch {
	case half && !begin(o.x, 8, 2, 3), !half && !begin(o.x, 4, 2):
		return false
	case o.x.Stride(3) == 1 && o.x.Dim(3)%8 != 0 && !(half && o.x.Dim(3)%4 == 0):
		return false
	case o.w.DType.Quantized():
		return true
	case o.transposed() && !half: // as weights do not lie
		return false
	}
	return begin(o.w, 8, 2, 3)
}

// matrixSpec returns the specialization constants of linear_matrix.comp.
func matrixSpec(l *Limits, p *product, c *linearChoice) any {
	across, _ := l.matrixAcross(c.tile)
	if p.w.Quantized() && 32*c.tile/across/l.Matrix[1] > 2 && l.matrixFits(c.tile, 2*across) {
		across *= 2 // fewer of the matrices of w lie in registers, beside their scales
	}
	e := epilogue(p, c)
	e.Lanes = 64 * c.tile
	return shaders.LinearMatrixSpec{
		LinearSpec: shaders.LinearSpec{LinearEpilogue: e, Transposed: p.transposed, Size: c.tile, XTransposed: p.columns},
		M:          l.Matrix[0], N: l.Matrix[1], K: l.Matrix[2], Subgroup: l.MatrixSubgroup, Across: across,
	}
}

// encodeParts encodes a product whose sums are split, and the dispatch that adds them up.
func encodeParts(e *encoder, o *linearOp, p *product, c *linearChoice, spec pipelineSpec, parts int) error {
	part := (p.in/parts + depth - 1) / depth * depth
	parts = tiles(p.in, part)
	sums, err := e.sharedScratch(backend.F32, parts, p.rows, (p.out+3)/4*4)
	if err != nil {
		return err
	}
	x, xBase := e.operand(o.x, backend.Read)
	w, wBase := e.operand(o.w, backend.Read)
	wStride := rowStride(o.w)
	if p.transposed {
		wStride = rowStride(o.w.Transpose())
	}
	to, toBase := e.operand(sums, backend.Write)
	none, _ := e.operand(backend.Tensor{}, backend.Read)
	push := shaders.LinearPush{
		Dst: toBase, DstStride: uint32(sums.Stride(2)), X: xBase, XStride: rowStride(o.x), W: wBase, WStride: wStride, Bias: shaders.Absent,
		Rows: uint32(p.rows), In: uint32(p.in), Out: uint32(p.out), Part: uint32(part), PartStride: uint32(sums.Stride(1)),
	}
	spec.work = o.work()
	groups := [3]uint32{uint32(tiles(p.out, c.outs)), uint32(tiles(p.rows, c.rows)), uint32(parts)}
	if err := e.dispatch(spec, push, groups, to, x, w, none, none); err != nil {
		return err
	}
	return encodePartSums(e, o, p, sums)
}

// encodePartSums adds up the sums of a product, [parts, rows, outputs], and does what follows.
func encodePartSums(e *encoder, o *linearOp, p *product, sums backend.Tensor) error {
	from, fromBase := e.operand(sums, backend.Read)
	access := backend.Write
	if o.accumulate {
		access = backend.Update
	}
	dst, dstBase := e.operand(o.dst, access)
	bias, biasBase := e.operand(o.bias, backend.Read)
	if o.bias.Absent() {
		biasBase = shaders.Absent
	}
	residual, residualBase := e.operand(o.residual, backend.Read)
	const size = 64
	return e.dispatch(
		pipelineSpec{variant: shaders.Find("linear_sum", ""), spec: shaders.LinearEpilogue{
			Lanes: size, Accumulate: o.accumulate, Activation: uint32(o.activation), Residual: !o.residual.Absent(),
		}},
		shaders.LinearPush{
			Dst: dstBase, DstStride: uint32(o.dst.Stride(2)), X: fromBase, XStride: uint32(sums.Stride(2)), Bias: biasBase,
			Residual: residualBase, ResidualStride: uint32(o.residual.Stride(2)),
			Rows: uint32(p.rows), Out: uint32(p.out), Part: uint32(sums.Dim(1)), PartStride: uint32(sums.Stride(1)),
		},
		[3]uint32{e.groups(0, p.rows*tiles(p.out, 4), size), 1, 1},
		dst, from, bias, residual)
}

// matrixAcross is how many subgroups lie side by side in a tile of linear_matrix.comp of an
// edge of so many times 32, so that each has about a square.
func (l *Limits) matrixAcross(size uint32) (across uint32, ok bool) {
	if l.MatrixSubgroup == 0 || 64*size%l.MatrixSubgroup != 0 {
		return 0, false
	}
	subgroups := 64 * size / l.MatrixSubgroup
	across = 1 << (bits.Len32(subgroups) / 2)
	return across, l.matrixFits(size, across)
}

// matrixFits reports whether the device can compute tiles of linear_matrix.comp
// with so many subgroups side by side.
func (l *Limits) matrixFits(size, across uint32) bool {
	m, n, k := l.Matrix[0], l.Matrix[1], l.Matrix[2]
	if m*n*k == 0 || (m|n|k)%8 != 0 || depth%k != 0 { // eights: see the shader
		return false
	}
	tile, subgroups := 32*size, 64*size/l.MatrixSubgroup
	along := subgroups / across
	operands, stages := 2*tile*(depth+8)*2, along*m*tile*4
	shared := max(operands, stages) + 9*tile*4 + 16 // and scales, and sums of x
	return along > 0 && along*across == subgroups && m*n%l.MatrixSubgroup == 0 &&
		tile/along%m == 0 && tile/along >= m && tile/across%n == 0 && tile/across >= n &&
		min(l.Invocations, l.WorkgroupSize[0]) >= 64*size && l.SharedMemory >= shared
}

// bestMatrix is the largest of the shapes that a device lists with which it can
// compute tiles.
func (l Limits) bestMatrix(shapes []vk.MatrixShape) (best [3]uint32) {
	for _, s := range shapes {
		l.Matrix = [3]uint32{uint32(s.M), uint32(s.N), uint32(s.K)}
		if _, ok := l.matrixAcross(2); ok && s.M*s.N*s.K > int(best[0]*best[1]*best[2]) {
			best = l.Matrix
		}
	}
	return best
}
