//go:build cgo

package vulkan

import (
	"strings"

	"caldera/backend"
	"caldera/shaders"
)

func init() {
	register(kernel[*backend.Store]{
		supports: func(l *Limits, op *backend.Store) bool { return rowsFit(l, op.Dst, op.X) },
		encode:   encodeStore,
	})
}

func encodeStore(e *encoder, op *backend.Store) error {
	variant := shaders.Find("store", strings.Join(storage("", op.Dst.DType), " "))
	// Whole sequences at once if they fit, else pieces of one sequence.
	sequences := min(e.maxAlong(op.Dst, 1), e.maxAlong(op.X, 1), e.maxAlong(op.At, 3))
	return each(op.X.Dim(1), sequences, func(b, bEnd int) error {
		dst, x, at := op.Dst.Slice(1, b, bEnd), op.X.Slice(1, b, bEnd), op.At.Slice(3, b, bEnd)
		return each(x.Dim(2), e.maxRows(x), func(t, tEnd int) error {
			return each(dst.Dim(2), e.maxRows(dst), func(c, cEnd int) error {
				return encodeStorePiece(e, variant, dst.Slice(2, c, cEnd), x.Slice(2, t, tEnd), at, c, t)
			})
		})
	})
}

func encodeStorePiece(e *encoder, variant *shaders.Variant, dst, x, at backend.Tensor, first, firstTime int) error {
	to, toBase := e.operand(dst, backend.Update)
	from, fromBase := e.operand(x, backend.Read)
	place, placeBase := e.operand(at, backend.Read)
	rows, width := x.Rows(), x.Dim(-1)
	const size = 64
	return e.dispatch(
		pipelineSpec{variant: variant, spec: shaders.Workgroup{Lanes: size}},
		shaders.StorePush{
			Dst: view(dst, toBase, 1), X: view(x, fromBase, 1),
			Batch: uint32(x.Dim(1)), Time: uint32(x.Dim(2)), Width: uint32(width),
			First: uint32(first), Rows: uint32(dst.Dim(2)), FirstTime: uint32(firstTime),
			At: placeBase, AtStride: uint32(at.Stride(-1)),
		},
		[3]uint32{e.groups(0, width, size), e.groups(1, rows, 1), 1},
		to, from, place)
}
