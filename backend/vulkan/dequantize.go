//go:build cgo

package vulkan

import (
	"caldera/backend"
	"caldera/shaders"
)

// maxExpanded is how many elements of a quantised matrix are in memory as f32
// at once: 16 MiB.
const maxExpanded = 4 << 20

// expands reports whether w is unpacked before it is multiplied: with many rows
// on a driver that computes on the CPU, which then reads it as texels, or at
// least does not unpack each block once for a few rows.
func (o *linearOp) expands(l *Limits) bool {
	return l.Software && o.w.DType.Quantized() && o.x.Dim(2) > 8
}

// encodeExpanded multiplies with a part of w after the other, each unpacked
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
		if part.w, err = dequantize(e, o.w.Slice(2, c, cEnd)); err != nil {
			return err
		}
		return encodeLinear(e, part)
	})
}

// dequantize unpacks w, [rows, in], into scratch memory.
func dequantize(e *encoder, w backend.Tensor) (backend.Tensor, error) {
	rows, in := w.Dim(2), w.Dim(3)
	dst, err := e.sharedScratch(backend.F32, rows, in)
	if err != nil {
		return backend.Tensor{}, err
	}
	variant := shaders.Find("dequantize", storage(w.DType)[0])
	return dst, each(rows, min(e.maxRows(w), e.maxRows(dst)), func(r, rEnd int) error {
		from, to := w.Slice(2, r, rEnd), dst.Slice(2, r, rEnd)
		out, outBase := e.operand(to, backend.Write)
		blocks, base := e.operand(from, backend.Read)
		const size = 64
		return e.dispatch(
			pipelineSpec{variant: variant, spec: shaders.Workgroup{Lanes: size}},
			shaders.DequantizePush{Dst: outBase, W: base, WStride: rowStride(from), Rows: uint32(rEnd - r), In: uint32(in)},
			[3]uint32{e.groups(0, in/4, size), e.groups(1, rEnd-r, 1), 1},
			out, blocks)
	})
}
