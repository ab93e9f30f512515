//go:build cgo

package vulkan

import (
	"strings"

	"caldera/backend"
	"caldera/shaders"
)

func init() {
	register(kernel[*backend.Copy]{encode: encodeCopy})
}

func encodeCopy(e *encoder, op *backend.Copy) error {
	if op.Dst.DType == op.X.DType && op.Dst.Contiguous() && op.X.Contiguous() {
		return e.copy(op.Dst, op.X) // at the speed of memory
	}
	switch {
	case op.X.DType.Quantized():
		return dequantize(e, op)
	case op.Dst.DType.Quantized():
		return quantize(e, op)
	}
	to16, defines := op.Dst.DType.BlockBytes() == 2, ""
	switch {
	case op.Dst.DType != op.X.DType:
		defines = strings.Join(append(storage("X_", op.X.DType), storage("DST_", op.Dst.DType)...), " ")
	case to16:
		defines = "MOVE"
	}
	variant := shaders.Find("copy", defines)
	return e.pieces(3, []backend.Tensor{op.Dst, op.X}, func(ts []backend.Tensor) error {
		dst, x := ts[0], ts[1]
		to, toBase := e.operand(dst, backend.Update) // numbers of 16 bits share words with neighbours
		from, fromBase := e.operand(x, backend.Read)
		rows := x.Stride(-1) == 1 && dst.Stride(-1) == 1
		p := pipelineSpec{variant: variant, spec: shaders.Workgroup{Lanes: elementwiseLanes}}
		if defines == "DST_F16" && rows && inFours(dst, toBase) && inFours(x, fromBase) {
			half := pipelineSpec{variant: shaders.Find("copy_half", "X4"), spec: p.spec}
			if i, err := e.pick([]pipelineSpec{half}, []pipelineSpec{p}); err != nil {
				return err
			} else if i == 0 {
				return copyHalf(e, dst, x, half)
			}
		}
		push := shaders.CopyPush{DstBase: toBase, XBase: fromBase, Rows: uint32(x.Rows()), Items: uint32(x.Dim(-1))}
		if to16 { // pairs, which may begin in the middle of one
			push.Items = push.Items/2 + 1
		}
		for i := range 4 {
			push.Shape[i] = uint32(x.Dim(i))
			push.DstStrides[i], push.XStrides[i] = uint32(dst.Stride(i)), uint32(x.Stride(i))
		}
		return e.dispatch(p, push,
			[3]uint32{e.groups(0, int(push.Rows)*int(push.Items), elementwiseLanes), 1, 1},
			to, from)
	})
}

// copyHalf rounds x, whose rows can be read in fours as dst's, to f16.
func copyHalf(e *encoder, dst, x backend.Tensor, p pipelineSpec) error {
	if dst.Contiguous() && x.Contiguous() { // one long row
		dst, x = dst.Reshape(dst.Len()), x.Reshape(x.Len())
	}
	to, toBase := e.operand(dst, backend.Write)
	from, fromBase := e.operand(x, backend.Read)
	n, rows := x.Dim(-1)/4, x.Rows()
	return e.dispatch(p,
		shaders.RowsPush{Dst: view(dst, toBase, 4), X: view(x, fromBase, 4), Rows: uint32(rows), N1: uint32(x.Dim(1)), N2: uint32(x.Dim(2)), N: uint32(n)},
		[3]uint32{e.groups(0, n, elementwiseLanes), e.groups(1, rows, 1), 1},
		to, from)
}
