//go:build cgo

package vulkan

import (
	"caldera/backend"
	"caldera/shaders"
)

// maxExpanded is how many elements of a quantised matrix are in memory as f32
// at once: 16 MiB.
const maxExpanded = 4 << 20

// expands reports whether w is widened to f32 before it is multiplied: with many
// rows on a driver that computes on the CPU, which then reads it as texels, or at
// least does not unpack each block once for a few rows.
func (o *linearOp) expands(l *Limits) bool {
	_, texel := texelsOf[o.w.DType]
	return l.Software && !texel && o.x.Dim(2) > 8
}

// encodeExpanded multiplies with a part of w after the other, each widened
// into the same scratch memory.
func encodeExpanded(e *encoder, o linearOp) error {
	in := o.w.Dim(3)
	return each(o.w.Dim(2), maxExpanded/in, func(c, cEnd int) error {
		part := o
		part.dst = o.dst.Slice(3, c, cEnd)
		if !o.bias.Absent() {
			part.bias = o.bias.Slice(3, c, cEnd)
		}
		if !o.residual.Absent() {
			part.residual = o.residual.Slice(3, c, cEnd)
		}
		var err error
		if part.w, err = widen(e, o.w.Slice(2, c, cEnd)); err != nil {
			return err
		}
		return encodeLinear(e, part)
	})
}

// widen converts w, [rows, in], to f32 in scratch memory.
func widen(e *encoder, w backend.Tensor) (backend.Tensor, error) {
	dst, err := e.sharedScratch(backend.F32, w.Dim(2), w.Dim(3))
	if err != nil {
		return backend.Tensor{}, err
	}
	return dst, encodeCopy(e, &backend.Copy{Dst: dst, X: w})
}

// dequantize is a Copy from blocks to f32.
func dequantize(e *encoder, op *backend.Copy) error {
	variant := shaders.Find("dequantize", storage("", op.X.DType)[0])
	return e.windows(3, []backend.Tensor{op.Dst, op.X}, func(ts []backend.Tensor) error {
		dst, x := ts[0], ts[1]
		to, toBase := e.operand(dst, backend.Write)
		from, fromBase := e.operand(x, backend.Read)
		const size = 64
		return e.dispatch(
			pipelineSpec{variant: variant, spec: shaders.Workgroup{Lanes: size}}, blockRows(dst, toBase, x, fromBase, x.Dim(-1)/4),
			[3]uint32{e.groups(0, x.Dim(-1)/4, size), e.groups(1, x.Rows(), 1), 1},
			to, from)
	})
}

// blockRows tells a shader where the rows of two tensors lie, either of which
// may be of blocks, and that it is to do n things in each.
func blockRows(dst backend.Tensor, dstBase uint32, x backend.Tensor, xBase uint32, n int) shaders.RowsPush {
	return shaders.RowsPush{
		Dst: blockView(dst, dstBase), X: blockView(x, xBase),
		Rows: uint32(x.Rows()), N1: uint32(x.Dim(1)), N2: uint32(x.Dim(2)), N: uint32(n),
	}
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
