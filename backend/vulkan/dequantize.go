//go:build cgo

package vulkan

import (
	"caldera/backend"
	"caldera/shaders"
)

// maxExpanded is how many elements of a quantised matrix are in memory as f32
// at once: 16 MiB.
const maxExpanded = 4 << 20

// expands reports whether w is widened to f32 before it is multiplied, on a driver
// that computes on the CPU. It then is read as texels of numbers, which pays for blocks with many
// rows: with a few hundred where linear_lanes.comp unpacks them for 8 rows at a time. Where x cannot
// be read beside w as texels, unpacking each number once for a few rows costs more than widening
// with fewer rows.
func (o *linearOp) expands(e *encoder) bool {
	rows := o.x.Dim(2)
	_, texel := texelsOf[o.w.DType]
	if !e.limits().Software || texel || rows <= 8 {
		return false
	}
	if e.limits().softwareShuffles(rows) && linearWords(e, o) {
		return o.w.DType.Quantized() && rows > 384
	}
	return !linearXTexel(e, o) || o.w.DType.Quantized() && rows > 128
}

// encodeExpanded multiplies with a part of w after the other, each widened
// into the same scratch memory. x, where it is of blocks, is widened before.
func encodeExpanded(e *encoder, o linearOp) error {
	rows, in := o.x.Dim(2), o.w.Dim(3)
	wide := 0 // numbers of x
	if o.x.DType.Quantized() {
		wide = rows * in
	}
	outs := min(max(1, maxExpanded/in), o.w.Dim(2))
	workspace, err := e.sharedScratch(backend.F32, wide+outs*in)
	if err != nil {
		return err
	}
	if wide > 0 {
		x := workspace.Slice(3, 0, wide).Reshape(rows, in)
		if err := encodeCopy(e, &backend.Copy{Dst: x, X: o.x}); err != nil {
			return err
		}
		o.x = x
	}
	return each(o.w.Dim(2), outs, func(c, cEnd int) error {
		part := o
		part.dst = o.dst.Slice(3, c, cEnd)
		if !o.bias.Absent() {
			part.bias = o.bias.Slice(3, c, cEnd)
		}
		if !o.residual.Absent() {
			part.residual = o.residual.Slice(3, c, cEnd)
		}
		part.w = workspace.Slice(3, wide, wide+(cEnd-c)*in).Reshape(cEnd-c, in)
		if err := encodeCopy(e, &backend.Copy{Dst: part.w, X: o.w.Slice(2, c, cEnd)}); err != nil {
			return err
		}
		return encodeLinear(e, part)
	})
}

// dequantize is a Copy from blocks to f32.
func dequantize(e *encoder, op *backend.Copy) error {
	return copyBlocks(e, shaders.Find("dequantize", storage("", op.X.DType)[0]), 4, op)
}

// quantize is a Copy from f32 to blocks of activations.
func quantize(e *encoder, op *backend.Copy) error {
	return copyBlocks(e, shaders.Find("quantize", ""), op.Dst.DType.BlockLen(), op)
}

// copyBlocks runs a shader of which each invocation takes so many elements.
func copyBlocks(e *encoder, variant *shaders.Variant, elements int, op *backend.Copy) error {
	return e.pieces(3, []backend.Tensor{op.Dst, op.X}, func(ts []backend.Tensor) error {
		dst, x := ts[0], ts[1]
		to, toBase := e.operand(dst, backend.Write)
		from, fromBase := e.operand(x, backend.Read)
		n := x.Dim(-1) / elements
		const size = 64
		return e.dispatch(
			pipelineSpec{variant: variant, spec: shaders.Workgroup{Lanes: size}},
			shaders.RowsPush{
				Dst: blockView(dst, toBase), X: blockView(x, fromBase),
				Rows: uint32(x.Rows()), N1: uint32(x.Dim(1)), N2: uint32(x.Dim(2)), N: uint32(n),
			},
			[3]uint32{e.groups(0, n, size), e.groups(1, x.Rows(), 1), 1},
			to, from)
	})
}

// blockView is view in the units of elements.
func blockView(t backend.Tensor, base uint32) shaders.View {
	v := view(t, base, 1)
	for i := range v.Strides {
		if t.Dim(i) > 1 {
			v.Strides[i] = elements(t, uint64(t.DType.Bytes(t.Stride(i))))
		}
	}
	return v
}
