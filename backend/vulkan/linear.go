//go:build cgo

package vulkan

import (
	"slices"
	"strings"

	"caldera/backend"
	"caldera/shaders"
)

func init() {
	register(kernel[*backend.Linear]{
		cooperative: func(op *backend.Linear) bool { return halves(op.X, op.W) },
		supports:    supportsLinear,
		encode: func(e *encoder, op *backend.Linear) error {
			if op.Joined() {
				return encodeJoined(e, op)
			}
			return encodeLinear(e, linearOpOf(op))
		},
	})
}

func linearOpOf(op *backend.Linear) linearOp {
	return linearOp{
		dst: op.Dst, x: op.X, w: op.W, bias: op.Bias, residual: op.Residual, activation: op.Activation,
		norm: op.Norm, rotation: op.Rotation, store: op.Store,
	}
}

// linearOp is a Linear with what may follow it. Its tensors are matrices: [rows, n].
type linearOp struct {
	dst, x, w, bias, residual backend.Tensor
	activation                backend.Activation
	norm                      backend.LinearNorm     // these three only of linear_one.comp
	rotation                  backend.LinearRotation //
	store                     backend.LinearStore    //
	accumulate                bool                   // dst holds the product of earlier columns of w, to be added to
}

// withoutEpilogue is the product alone, of which a later dispatch makes the rest.
func (o linearOp) withoutEpilogue() linearOp {
	o.bias, o.residual, o.activation = backend.Tensor{}, backend.Tensor{}, backend.NoActivation
	return o
}

// transposed reports whether w is stored as [in, out].
func (o *linearOp) transposed() bool { return o.w.Dim(-1) > 1 && o.w.Stride(-1) != 1 }

// encodeLinear brings the op down to products of matrices that can be bound,
// of which linearKernel takes one.
func encodeLinear(e *encoder, o linearOp) error {
	for axis := range 2 { // rows that lie at no single distance: one outer index after the other
		if !haveRowStride(o.dst, o.x, o.residual) && o.x.Dim(axis) > 1 {
			return each(o.x.Dim(axis), 1, func(i, end int) error {
				part := o
				part.dst, part.x = o.dst.Slice(axis, i, end), o.x.Slice(axis, i, end)
				if !o.residual.Absent() {
					part.residual = o.residual.Slice(axis, i, end)
				}
				return encodeLinear(e, part)
			})
		}
	}
	o.dst, o.x, o.residual = matrix(o.dst), matrix(o.x), matrix(o.residual)

	if o.expands(e) {
		return encodeExpanded(e, o)
	}
	if first, rest, ok := o.split(e); ok {
		if err := encodeLinear(e, first); err != nil {
			return err
		}
		return encodeLinear(e, rest)
	}
	k := chooseLinear(e, &o)
	rows, ins, outs := linearPiece(e, &o, k.texel || k.words)
	ins = min(ins, e.maxRounds())
	groups := int(min(e.limits().Groups[0], e.limits().Groups[1])) // some shaders have the axes the other way round
	outs, rows = min(outs, groups*k.outs), min(rows, groups*k.rows)
	in := o.x.Dim(-1)
	if most := maxWork / (min(ins, in) * outs); rows > most { // so that no watchdog fires
		rows = max(most-most%k.rows, k.rows)
	}
	return each(o.x.Dim(2), rows, func(r, rEnd int) error {
		return each(o.dst.Dim(3), outs, func(c, cEnd int) error {
			return each(in, ins, func(i, iEnd int) error {
				part := o
				part.dst = o.dst.Slice(2, r, rEnd).Slice(3, c, cEnd)
				part.x = o.x.Slice(2, r, rEnd).Slice(3, i, iEnd)
				part.w = o.w.Slice(2, c, cEnd).Slice(3, i, iEnd)
				part.accumulate = o.accumulate || i > 0
				if iEnd < in { // the bias and what follows come with the last part
					part = part.withoutEpilogue()
				}
				if !part.bias.Absent() {
					part.bias = part.bias.Slice(3, c, cEnd)
				}
				if !part.residual.Absent() {
					part.residual = part.residual.Slice(2, r, rEnd).Slice(3, c, cEnd)
				}
				if s, ok := suitsOne(e, &part); ok {
					return encodeOne(e, &part, s)
				}
				return linearKernel(e, &part, k)
			})
		})
	})
}

// split cuts off up to three last inputs where the others can be read in fours,
// or as texels: those of the gradient of scores are as many as the vocabulary.
func (o *linearOp) split(e *encoder) (first, rest linearOp, ok bool) {
	in, l := o.x.Dim(3), e.limits()
	most := in &^ 3
	if most == in || most == 0 || !o.transposed() || !l.Software && (o.x.Dim(2) <= fewRows || !l.fitTiles()) {
		return first, rest, false
	}
	first, rest = o.withoutEpilogue(), *o
	first.x, first.w = o.x.Slice(3, 0, most), o.w.Slice(3, 0, most)
	rest.x, rest.w, rest.accumulate = o.x.Slice(3, most, in), o.w.Slice(3, most, in), true
	if l.Software {
		return first, rest, linearTexel(e, &first)
	}
	_, xBase := e.operand(first.x, backend.Read)
	_, wBase := e.operand(first.w, backend.Read)
	return first, rest, linearFours(&first, xBase, wBase)
}

// haveRowStride reports whether the rows of each tensor lie at a single distance.
func haveRowStride(ts ...backend.Tensor) bool {
	for _, t := range ts {
		if _, ok := t.RowStride(); !ok {
			return false
		}
	}
	return true
}

// matrix is t as [rows, n].
func matrix(t backend.Tensor) backend.Tensor {
	if t.Absent() {
		return t
	}
	stride, _ := t.RowStride()
	t.Shape = [4]int{1, 1, t.Rows(), t.Dim(-1)}
	t.Strides = [4]int{0, 0, stride, 1}
	return t
}

// linearPiece is how many rows, inputs and outputs a dispatch can take with
// all operands bound. w is cut across its longer strides first: by outputs, or
// stored as [in, out] by inputs, whose parts of the sum then add up in dst.
func linearPiece(e *encoder, o *linearOp, texel bool) (rows, ins, outs int) {
	ins, outs = o.w.Dim(3), o.w.Dim(2)
	whole := max(4, o.w.DType.BlockLen())
	fours := func(n, all int) int { // so that a part begins where fours, or blocks, do
		if n < all && n >= whole {
			return n - n%whole
		}
		return n
	}
	if !texel {
		if o.transposed() {
			outs = fours(e.maxAlong(o.w.Slice(3, 0, 1), 2), outs)
			ins = e.maxAlong(o.w.Slice(2, 0, outs), 3)
		} else {
			ins = e.maxAlong(o.w.Slice(2, 0, 1), 3)
		}
		ins = fours(min(ins, e.maxAlong(o.x.Slice(2, 0, 1), 3)), o.w.Dim(3))
		if !o.transposed() {
			outs = e.maxAlong(o.w.Slice(3, 0, ins), 2)
		}
	}
	rows = o.x.Dim(2)
	if !texel {
		rows = e.maxRows(o.x.Slice(3, 0, ins))
	}
	for _, t := range []backend.Tensor{o.dst, o.residual, o.bias} {
		if !t.Absent() {
			outs = fours(min(outs, e.maxAlong(t.Slice(2, 0, 1), 3)), o.w.Dim(2))
		}
	}
	rows = min(rows, e.maxRows(o.dst.Slice(3, 0, outs)))
	if !o.residual.Absent() {
		rows = min(rows, e.maxRows(o.residual.Slice(3, 0, outs)))
	}
	return rows, ins, outs
}

// linearShared is how many bytes of shared memory linear.comp takes.
const linearShared = 2 * 16 * (128 + 4) * 4

// linearChoice is a kernel for a product: a shader, and how much a workgroup computes.
type linearChoice struct {
	source     string
	texel      bool // x and w are read through the texture unit
	xTexel     bool // x alone is
	words      bool // w is too, as whole numbers
	subgroup   bool
	rows, outs int // of dst that a workgroup computes

	lanes, lanesY        uint32 // of a workgroup
	rowsEach, outsEach   uint32 // that an invocation computes, but for linear.comp
	steps                uint32 // of linear_lanes.comp: how many fours of each row a lane takes at once
	tile                 uint32 // of linear.comp: the edge of a tile, in 64
	transposed, xColumns bool   // how w and x are stored: [in, out], [in, rows]
}

// spec are the specialization constants.
func (c *linearChoice) spec(o *linearOp) any {
	e := shaders.LinearEpilogue{
		Lanes: c.lanes, Accumulate: o.accumulate, Activation: uint32(o.activation), Residual: !o.residual.Absent(),
	}
	switch c.source {
	case "linear":
		return shaders.LinearSpec{LinearEpilogue: e, Transposed: c.transposed, Size: c.tile, XTransposed: c.xColumns}
	case "linear_lanes":
		return shaders.LinearLanesSpec{LinearEpilogue: e, Rows: c.rowsEach, Outs: c.outsEach, Steps: c.steps}
	case "linear_texel":
		return shaders.LinearTexelSpec{LinearEpilogue: e, Transposed: c.transposed, Rows: c.rowsEach, Outs: c.outsEach}
	case "linear_vec":
		return shaders.LinearVecSpec{LinearEpilogue: e, Rows: c.rowsEach, Outs: c.outsEach}
	case "linear_rows", "linear_vec_t":
		return shaders.LinearVecTSpec{LinearEpilogue: e, Rows: c.rowsEach, Outs: c.outsEach, LanesY: c.lanesY}
	}
	return shaders.LinearBackwardSpec{Lanes: c.lanes, Accumulate: o.accumulate}
}

// fewRows is how many rows of x are few, where nothing else is said: with more, a tile
// of the product is computed at once; with these, w is read for up to half of them at a time.
const fewRows = 8

// someRows is how many rows linear_rows.comp takes: with more, tiles of 64 rows that
// share what they read of x are no longer mostly padding.
const someRows = 32

// chooseLinear picks the kernel for a product from the limits of the device.
//
// One row is bound by reading w: each workgroup reads some of it once. Several rows, of
// a step of as many sequences, read it once for all of them, and keep the sums of each in
// registers. Many rows are bound by arithmetic: tiles that reuse what they have read.
//
// A software driver pays for each barrier and for each load of a lane on its
// own, but loads a texel for all lanes at once, and has few lanes: registers
// in place of shared memory, and a workgroup no larger than a subgroup. On
// lavapipe that made the difference between 2.8 and 45 GFLOP/s with many rows,
// and between 2.6 and 17 GB/s with one.
func chooseLinear(e *encoder, o *linearOp) linearChoice {
	l := e.limits()
	rows := o.x.Dim(2)
	lanes := uint32(64)
	if l.Software {
		lanes = max(l.SubgroupSize, 4)
	}
	texel := l.Software && linearTexel(e, o)
	if o.lanes(e) {
		return lanesChoice(o, lanes)
	}
	if xTexel := l.Software && !texel && linearXTexel(e, o); rows > 1 && (texel || xTexel) {
		c := linearChoice{source: "linear_texel", texel: texel, xTexel: xTexel, lanes: lanes,
			rowsEach: rowTile(rows, 8), outsEach: 16, transposed: o.transposed()}
		if c.transposed {
			c.outsEach = 8
		}
		c.rows, c.outs = int(c.rowsEach), int(lanes*c.outsEach)
		return c
	}
	matrices := e.b.matrixTest.passed && halves(o.x, o.w)
	if !l.Software && !o.transposed() && rows > 1 && (rows <= fewRows || rows <= someRows && !matrices) {
		c := linearChoice{source: "linear_rows", rowsEach: rowTile(rows, 16), outsEach: 2, lanes: 32, lanesY: 2}
		c.rows, c.outs = int(c.rowsEach), int(c.outsEach*c.lanesY)
		return c
	}
	if rows > fewRows && l.fitTiles() {
		c := e.chooseTile(o)
		c.transposed = o.transposed()
		return c
	}
	each := min(rows, fewRows/2)
	if o.transposed() {
		c := linearChoice{source: "linear_vec_t", texel: texel, rows: each,
			lanes: 32, lanesY: min(8, l.Invocations/32), rowsEach: uint32(each), outsEach: 1}
		if l.Software {
			c.lanes, c.lanesY, c.outsEach = lanes, 1, 2
		}
		c.outs = int(c.lanes * c.outsEach) // in texels or fours as many more
		return c
	}
	c := linearChoice{source: "linear_vec", texel: texel, subgroup: e.subgroups() && l.SubgroupSize >= 4 && o.x.DType == backend.F32 && !texel,
		lanes: lanes, rows: each, outs: 4, rowsEach: uint32(each), outsEach: 4}
	if l.Software {
		c.outs, c.outsEach = 8, 8
	}
	return c
}

// lanesMost is how many lanes linear_lanes.comp can have at most: each finishes one of the 16 sums of a row.
const lanesMost = 16

// lanes reports whether linear_lanes.comp can compute the product, on a driver that computes on the CPU.
func (o *linearOp) lanes(e *encoder) bool {
	l := e.limits()
	return l.Software && !o.transposed() && e.shuffles() && l.SubgroupSize >= 4 && l.SubgroupSize <= lanesMost &&
		(linearTexel(e, o) || linearWords(e, o))
}

// lanesChoice is linear_lanes.comp, with what suits the product, on subgroups of so many lanes.
func lanesChoice(o *linearOp, lanes uint32) linearChoice {
	_, texel := texelsOf[o.w.DType]
	c := linearChoice{source: "linear_lanes", texel: texel, words: !texel, subgroup: true, lanes: lanes, rowsEach: 1, outsEach: 16, steps: 1}
	if rows := o.x.Dim(2); rows > 1 {
		c.rowsEach = rowTile(rows, 8)
	}
	if o.x.Dim(3)%int(2*4*lanes) == 0 {
		c.steps = 2
	}
	c.rows, c.outs = int(c.rowsEach), int(c.outsEach)
	return c
}

// rowTile is how many rows of so many an invocation takes: a power of two from 2 to most,
// so that pipelines are few.
func rowTile(rows, most int) uint32 {
	tile := 2
	for tile < min(rows, most) {
		tile *= 2
	}
	return uint32(tile)
}

// fitTiles reports whether linear.comp fits the device.
func (l *Limits) fitTiles() bool {
	return min(l.Invocations, l.WorkgroupSize[0]) >= 256 && l.SharedMemory >= linearShared
}

// chooseTile is linear.comp, with the size of tile that suits the product.
func (e *encoder) chooseTile(o *linearOp) linearChoice {
	rows, out := o.dst.Dim(2), o.dst.Dim(3)
	// Twice as long an edge halves what is read, if there is work for all of the device.
	if l := e.limits(); min(rows, out) >= l.LargeTileEdge && rows*out >= l.LargeTileSize && !l.FewRegisters && !e.smallMatrices(o) {
		return linearChoice{source: "linear", rows: 128, outs: 128, tile: 2}
	}
	return linearChoice{source: "linear", rows: 64, outs: 64, tile: 1}
}

// linearTexel reports whether x and w can be read as texels of four elements.
func linearTexel(e *encoder, o *linearOp) bool {
	x, xBase, ok := e.texels(o.x)
	w, wBase, ok2 := e.texels(o.w)
	return ok && ok2 && x.err == nil && w.err == nil && linearFours(o, xBase, wBase)
}

// linearXTexel reports whether x can be read as texels, beside a w of which the texture
// unit does not know the dtype.
func linearXTexel(e *encoder, o *linearOp) bool {
	if _, ok := texelsOf[o.w.DType]; ok || o.x.DType != backend.F32 {
		return false
	}
	x, xBase, ok := e.texels(o.x)
	_, wBase := e.operand(o.w, backend.Read)
	return ok && x.err == nil && linearFours(o, xBase, wBase)
}

// linearWords reports whether x can be read as texels, and w as texels of whole numbers that
// the shader unpacks.
func linearWords(e *encoder, o *linearOp) bool {
	f, ok := wordsOf[o.w.DType]
	if !ok || !linearXTexel(e, o) {
		return false
	}
	w, wBase, ok := e.texel(o.w, f)
	return ok && w.err == nil && (o.w.DType.Quantized() || inFours(o.w, wBase))
}

// texels binds t as texels of four elements, if the texture unit knows its dtype.
func (e *encoder) texels(t backend.Tensor) (b binding, base uint32, ok bool) {
	f, ok := texelsOf[t.DType]
	if !ok {
		return binding{}, 0, false
	}
	return e.texel(t, f)
}

// texelsOf are the formats of the dtypes that texture units know.
var texelsOf = map[backend.DType]texelFormat{backend.F32: texelF32x4, backend.F16: texelF16x4}

// wordsOf are the formats in which linear_lanes.comp reads weights of other dtypes.
var wordsOf = map[backend.DType]texelFormat{backend.BF16: texelU16x4, backend.Q8_0: texelU32x4, backend.Q4_0: texelU32x4}

// storage is the macro of a shader that chooses the type of an operand.
func storage(operand string, d backend.DType) []string {
	if d == backend.F32 || d == backend.None {
		return nil
	}
	return []string{operand + d.FileName()}
}

// linearStorage is the macros for x and w where they lie, read in fours or not.
func linearStorage(o *linearOp, fours bool) []string {
	defines := storage("", o.w.DType)
	defines = append(defines, storage("X_", o.x.DType)...)
	if fours && !o.x.DType.Quantized() {
		defines = append(defines, "X4")
	}
	return defines
}

// linearFours reports whether x and w can be read in fours: their rows begin at
// multiples of four and are multiples of four long.
func linearFours(o *linearOp, xBase, wBase uint32) bool {
	w := o.w
	if o.transposed() {
		w = w.Transpose()
	}
	return inFours(o.x, xBase) && (w.DType.Quantized() || inFours(w, wBase))
}

// work is how many multiply-adds the product takes.
func (o *linearOp) work() uint64 { return multiplyAdds(&backend.Linear{Dst: o.dst, X: o.x, W: o.w}) }

// linearKernel encodes one dispatch.
func linearKernel(e *encoder, o *linearOp, c linearChoice) error {
	var x, w binding
	var xBase, wBase uint32
	var defines []string
	switch {
	case c.texel:
		x, xBase, _ = e.texels(o.x)
		w, wBase, _ = e.texels(o.w)
		defines = []string{"TEXEL"}
	case c.words:
		x, xBase, _ = e.texels(o.x)
		w, wBase, _ = e.texel(o.w, wordsOf[o.w.DType])
		defines = append(storage("", o.w.DType), "X_TEXEL", "WORDS")
	case c.xTexel:
		x, xBase, _ = e.texels(o.x)
		w, wBase = e.operand(o.w, backend.Read)
		defines = storage("", o.w.DType)
		if !o.w.DType.Quantized() {
			defines = append(defines, "X4")
		}
		defines = append(defines, "X_TEXEL")
	default:
		x, xBase = e.operand(o.x, backend.Read)
		w, wBase = e.operand(o.w, backend.Read)
		defines = linearStorage(o, linearFours(o, xBase, wBase))
	}
	outs := c.outs
	if c.source == "linear_vec_t" && (c.texel || slices.Contains(defines, "X4")) {
		outs *= 4
	}
	if c.subgroup {
		defines = append(defines, "SUBGROUP")
	}
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
	wStride := rowStride(o.w)
	if o.transposed() {
		wStride = rowStride(o.w.Transpose())
	}
	rows, out := o.x.Dim(2), o.dst.Dim(3)
	across, along := uint32((out+outs-1)/outs), uint32((rows+c.rows-1)/c.rows)
	if c.source == "linear_lanes" || c.source == "linear_texel" || c.source == "linear_rows" {
		across, along = along, across
	}
	return e.dispatch(
		e.onMatrices(pipelineSpec{
			variant: shaders.Find(c.source, strings.Join(defines, " ")),
			work:    o.work(),
			spec:    c.spec(o),
		}),
		shaders.LinearPush{
			Dst: dstBase, DstStride: uint32(o.dst.Stride(2)),
			X: xBase, XStride: rowStride(o.x),
			W: wBase, WStride: wStride,
			Bias:     biasBase,
			Residual: residualBase, ResidualStride: uint32(o.residual.Stride(2)),
			Rows: uint32(rows), In: uint32(o.x.Dim(3)), Out: uint32(out), Part: uint32(o.x.Dim(3)),
		},
		[3]uint32{across, along, 1},
		dst, x, w, bias, residual)
}

func boolean(b bool) uint32 {
	if b {
		return 1
	}
	return 0
}
