//go:build cgo

package vulkan

import (
	"math/bits"
	"strings"

	"caldera/backend"
	"caldera/shaders"
)

func init() {
	register(kernel[*backend.Store]{
		supports: func(l *Limits, op *backend.Store) bool {
			return rowsFit(l, op.Dst, op.X) && fit(l, op.At, op.Table) && (op.Table.Absent() || fit(l, op.Dst))
		},
		encode: encodeStore,
	})
}

// encodeStore encodes one dispatch, or where operands are too large to be bound one for
// each piece of x and of dst. A pool of blocks is one piece.
func encodeStore(e *encoder, op *backend.Store) error {
	variant := shaders.Find("store", strings.Join(storage("", op.Dst.DType), " "))
	sequences, context := op.Cache()
	seqs, rows := sequences, context
	if op.Table.Absent() { // whole sequences at once if they fit, else pieces of one
		if seqs = e.maxAlong(op.Dst, 1); seqs == 0 {
			rows = e.maxRows(op.Dst.Slice(1, 0, 1))
		}
	}
	at := placesOf(op.At, op.X)
	return each(op.X.Dim(1), e.maxAlong(op.X, 1), func(b, bEnd int) error {
		x, at := op.X.Slice(1, b, bEnd), at.Slice(1, b, bEnd)
		return each(x.Dim(2), e.maxRows(x), func(t, tEnd int) error {
			return each(sequences, seqs, func(s, sEnd int) error {
				return each(context, rows, func(c, cEnd int) error {
					part := *op
					part.X, part.At = x.Slice(2, t, tEnd), at.Slice(2, t, tEnd)
					push := shaders.StorePush{FirstSeq: uint32(s), Sequences: uint32(sEnd - s), First: uint32(c), Rows: uint32(cEnd - c)}
					if op.Table.Absent() {
						part.Dst = op.Dst.Slice(1, s, sEnd).Slice(2, c, cEnd)
					}
					return encodeStorePiece(e, variant, &part, push)
				})
			})
		})
	})
}

func encodeStorePiece(e *encoder, variant *shaders.Variant, op *backend.Store, push shaders.StorePush) error {
	x := op.X
	to, base := e.operand(op.Dst, backend.Update)
	push.Dst = view(op.Dst, base, 1)
	from, base := e.operand(x, backend.Read)
	push.X = view(x, base, 1)
	push.Batch, push.Time, push.Width = uint32(x.Dim(1)), uint32(x.Dim(2)), uint32(x.Dim(-1))
	at, base := e.operand(op.At, backend.Read)
	push.Seq, push.Pos, push.AtBatch = placeBases(op.At, base)
	table, base := e.operand(op.Table, backend.Read)
	push.Table, push.TableStride = base, uint32(op.Table.Stride(-2))
	push.Blocks, push.BlockBits = uint32(op.Dst.Dim(1)), uint32(bits.TrailingZeros(uint(op.Dst.Dim(2))))
	const size = 64
	return e.dispatch(
		pipelineSpec{variant: variant, spec: shaders.StoreSpec{Lanes: size, Table: !op.Table.Absent()}}, push,
		[3]uint32{e.groups(0, x.Dim(-1), size), e.groups(1, x.Rows(), 1), 1},
		to, from, at, table)
}
