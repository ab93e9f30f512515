//go:build cgo

package vulkan

import (
	"caldera/backend"
	"caldera/shaders"
)

func init() {
	register(kernel[*backend.Linear]{
		supports: supportsLinear,
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
		rounded: op.Rounded, norm: op.Norm, rotation: op.Rotation, turned: op.Sum.Dim(-1), gate: op.Gate, store: op.Store,
	}
}

// linearOp is a Linear with what may follow it. Its tensors are matrices: [rows, n].
type linearOp struct {
	dst, x, w, bias, residual backend.Tensor
	activation                backend.Activation
	rounded                   backend.Tensor         // [rows, in], scratch memory: x gets the precision of f16, or of linear_one.comp becomes blocks. Absent: neither
	norm                      backend.LinearNorm     // these five only of linear_one.comp, but for a norm of few rows
	rotation                  backend.LinearRotation //
	turned                    int                    // outputs that are rotated, the first ones
	gate                      backend.LinearGate     //
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
		if !haveRowStride(o.dst, o.x, o.residual, o.rounded) && o.x.Dim(axis) > 1 {
			return each(o.x.Dim(axis), 1, func(i, end int) error {
				part := o
				part.dst, part.x = o.dst.Slice(axis, i, end), o.x.Slice(axis, i, end)
				if !o.residual.Absent() {
					part.residual = o.residual.Slice(axis, i, end)
				}
				if !o.rounded.Absent() {
					part.rounded = o.rounded.Slice(axis, i, end)
				}
				return encodeLinear(e, part)
			})
		}
	}
	o.dst, o.x, o.residual, o.rounded = matrix(o.dst), matrix(o.x), matrix(o.residual), matrix(o.rounded)
	if err := roundBefore(e, &o); err != nil {
		return err
	}

	if o.expands(e) {
		return encodeExpanded(e, o)
	}
	if first, rest, ok := o.split(e); ok {
		if err := encodeLinear(e, first); err != nil {
			return err
		}
		return encodeLinear(e, rest)
	}
	p := e.productOf(&o)
	k, err := e.choose(&p)
	if err != nil {
		return err
	}
	rows, ins, outs := linearPiece(e, &o, k.texel || k.words)
	ins = min(ins, e.maxRounds())
	groups := int(min(e.limits().Groups[0], e.limits().Groups[1])) // some shaders have the axes the other way round
	outs, rows = min(outs, groups*k.outs), min(rows, groups*k.rows)
	in := o.x.Dim(-1)
	if most := maxWork / (min(ins, in) * outs); rows > most { // so that no watchdog fires
		rows = max(most-most%k.rows, k.rows)
	}
	if rows >= p.rows && ins >= p.in && outs >= p.out {
		return linearDispatch(e, &o, &p, &k, k.pipeline(e.limits(), &p))
	}
	return each(o.x.Dim(2), rows, func(r, rEnd int) error {
		return each(o.dst.Dim(3), outs, func(c, cEnd int) error {
			return each(in, ins, func(i, iEnd int) error {
				part := o
				part.dst = o.dst.Slice(2, r, rEnd).Slice(3, c, cEnd)
				part.x = o.x.Slice(2, r, rEnd).Slice(3, i, iEnd)
				if !o.rounded.Absent() {
					part.rounded = o.rounded.Slice(2, r, rEnd).Slice(3, i, iEnd)
				}
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
				return encodeLinear(e, part) // which another kernel may suit
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

// roundedApart is from how many multiply-adds on a dispatch that rounds x takes less than linear_rows.comp
// does, which rounds it in each workgroup, again for four outputs: 17 instructions for 512 of them on AMD's cards, so
// that this many take 5 µs of a 7900 XTX. A dispatch and its barrier take about 2.
const roundedApart = 32 << 20

// roundBefore rounds x by a dispatch of its own, where that takes less time, or where no kernel that does it
// suits: with few rows beside a matrix that is stored as [in, out], or where these have failed their checks.
func roundBefore(e *encoder, o *linearOp) error {
	if o.rounded.Absent() {
		return nil
	}
	if !o.transposed() || o.x.Dim(2) > fewRows {
		p := e.productOf(o)
		c, ok, err := e.find(&p)
		if err != nil || ok && (c.source != "linear_rows" || o.work() < roundedApart) {
			return err
		}
	}
	x := o.rounded
	o.rounded = backend.Tensor{}
	if err := encodeRound(e, &backend.Round{Dst: x, X: o.x}); err != nil {
		return err
	}
	o.x = x
	return nil
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
	whole := max(8, o.w.DType.BlockLen())
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

// linearTexel reports whether x and w can be read as texels of four elements.
func linearTexel(e *encoder, o *linearOp) bool {
	x, xBase, ok := e.texels(o.x)
	w, wBase, ok2 := e.texels(o.w)
	return ok && ok2 && x.err == nil && w.err == nil && linearFours(o, xBase, wBase)
}

// linearXTexel reports whether x can be read as texels, beside a w of which the texture
// unit does not know the dtype.
func linearXTexel(e *encoder, o *linearOp) bool {
	return (!o.w.DType.Quantized() || takesEights(o.w.DType)) && xInTexels(e, o)
}

// xInTexels is linearXTexel for kernels that read any w.
func xInTexels(e *encoder, o *linearOp) bool {
	if _, ok := texelsOf[o.w.DType]; ok || o.x.DType != backend.F32 {
		return false
	}
	x, xBase, ok := e.texels(o.x)
	_, wBase := e.operand(o.w, backend.Read)
	return ok && x.err == nil && linearFours(o, xBase, wBase)
}

// takesEights reports whether there are kernels that take eight elements of blocks of d at a time. Weights of
// other types of blocks are read by kernels for any, four at a time.
func takesEights(d backend.DType) bool {
	_, ok := shaders.Lookup("linear_texel", d.FileName()+" X_TEXEL")
	return ok
}

// takesRuns reports whether kernels for one row, and for few, take blocks of d in runs of 32 elements.
func takesRuns(d backend.DType) bool {
	_, ok := shaders.Lookup("linear_one", d.FileName()+" SUBGROUP")
	return ok && d.Quantized() && !takesEights(d)
}

// linearWords reports whether x can be read as texels, and w as texels of whole numbers that
// the shader unpacks.
func linearWords(e *encoder, o *linearOp) bool {
	if !xInTexels(e, o) {
		return false
	}
	w, wBase, ok := e.texel(o.w, wordsOf(o.w.DType))
	return ok && w.err == nil && !o.transposed() && (o.w.DType.Quantized() || inFours(o.w, wBase))
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

// wordsOf is the format in which linear_lanes.comp reads weights of other dtypes.
func wordsOf(d backend.DType) texelFormat {
	if d.Quantized() {
		return texelU32x4
	}
	return texelU16x4
}

// storage is the macro of a shader that chooses the type of an operand.
func storage(operand string, d backend.DType) []string {
	if d == backend.F32 || d == backend.None {
		return nil
	}
	return []string{operand + d.FileName()}
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

// linearDispatch encodes one dispatch.
func linearDispatch(e *encoder, o *linearOp, p *product, c *linearChoice, spec pipelineSpec) error {
	if c.source == "linear_one" {
		return encodeOne(e, o, p, c, spec)
	}
	if parts := c.parts(e.limits(), p); parts > 1 {
		return encodeParts(e, o, p, c, spec, parts)
	}
	var x, w binding
	var xBase, wBase uint32
	if c.texel || c.xTexel || c.words { // through the texture unit
		x, xBase, _ = e.texels(o.x)
	} else {
		x, xBase = e.operand(o.x, backend.Read)
	}
	switch {
	case c.texel:
		w, wBase, _ = e.texels(o.w)
	case c.words:
		w, wBase, _ = e.texel(o.w, wordsOf(o.w.DType))
	default:
		w, wBase = e.operand(o.w, backend.Read)
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
	across, along := uint32((out+c.outs-1)/c.outs), uint32((rows+c.rows-1)/c.rows)
	if c.source == "linear_spread" || c.source == "linear_lanes" || c.source == "linear_texel" || c.source == "linear_rows" {
		across, along = along, across
	}
	spec.work = o.work()
	push := shaders.LinearPush{
		Dst: dstBase, DstStride: uint32(o.dst.Stride(2)),
		X: xBase, XStride: rowStride(o.x),
		W: wBase, WStride: wStride,
		Bias:     biasBase,
		Residual: residualBase, ResidualStride: uint32(o.residual.Stride(2)),
		Rows: uint32(rows), In: uint32(o.x.Dim(3)), Out: uint32(out), Part: uint32(o.x.Dim(3)),
	}
	groups := [3]uint32{across, along, 1}
	if o.norm.Gamma.Absent() {
		return e.dispatch(spec, push, groups, dst, x, w, bias, residual)
	}
	gamma, gammaBase := e.operand(o.norm.Gamma, backend.Read)
	beta, betaBase := e.operand(o.norm.Beta, backend.Read)
	return e.dispatch(spec, shaders.LinearNormPush{LinearPush: push, Gamma: gammaBase, Beta: betaBase, Epsilon: o.norm.Epsilon}, groups,
		dst, x, w, bias, residual, gamma, beta)
}

func boolean(b bool) uint32 {
	if b {
		return 1
	}
	return 0
}
