//go:build cgo

package vulkan

import (
	"strings"

	"caldera/backend"
	"caldera/shaders"
)

func init() {
	register(kernel[*backend.Embedding]{
		supports: func(l *Limits, op *backend.Embedding) bool {
			return rowsFit(l, op.Dst, op.Tokens, op.Positions) && fit(l, op.At)
		},
		encode: encodeEmbedding,
	})
}

// encodeEmbedding encodes one dispatch for each pair of pieces of the two tables.
// That is a single dispatch, unless a table is too large for one binding. Each
// dispatch handles the ids and positions whose rows lie in its pieces.
func encodeEmbedding(e *encoder, op *backend.Embedding) error {
	defines := append(storage("TOKENS_", op.Tokens.DType), storage("POSITIONS_", op.Positions.DType)...)
	variant := shaders.Find("embedding", strings.Join(defines, " "))
	context := 0
	if !op.Positions.Absent() {
		context = op.Positions.Dim(-2)
	}

	places := placesOf(op.At, op.Dst)
	return each(op.Dst.Dim(1), min(e.maxAlong(op.Dst, 1), e.maxAlong(op.IDs, 2)), func(b, bEnd int) error {
		dst, ids, places := op.Dst.Slice(1, b, bEnd), op.IDs.Slice(2, b, bEnd), places
		if context > 0 {
			places = places.Slice(1, b, bEnd)
		}
		return each(dst.Dim(2), min(e.maxRows(dst), e.maxAlong(ids, 3)), func(t, tEnd int) error {
			mark := uint32(1)
			return each(op.Tokens.Dim(-2), e.maxRows(op.Tokens), func(i, iEnd int) error {
				tokens := op.Tokens.Slice(-2, i, iEnd)
				piece := func(p, pEnd int) error {
					positions, at := op.Positions, places
					if context > 0 {
						positions, at = positions.Slice(-2, p, pEnd), at.Slice(2, t, tEnd)
					}
					push := shaders.EmbeddingPush{
						FirstID: uint32(i), Vocab: uint32(op.Tokens.Dim(-2)),
						FirstPosition: uint32(p), Context: uint32(context), MarkMissing: mark,
					}
					mark = 0
					return encodeEmbeddingPiece(e, variant, push,
						dst.Slice(2, t, tEnd), tokens, positions, ids.Slice(3, t, tEnd), at)
				}
				if context == 0 {
					return piece(0, 0)
				}
				return each(context, e.maxRows(op.Positions), piece)
			})
		})
	})
}

func encodeEmbeddingPiece(e *encoder, variant *shaders.Variant, push shaders.EmbeddingPush, dst, tokens, positions, ids, at backend.Tensor) error {
	dstBinding, base := e.operand(dst, backend.Update)
	push.Dst = view(dst, base, 1)
	push.Batch, push.Time, push.Width = uint32(dst.Dim(1)), uint32(dst.Dim(2)), uint32(dst.Dim(3))

	tokensBinding, base := e.operand(tokens, backend.Read)
	push.Tokens, push.TokensStride, push.PieceIDs = base, rowStride(tokens), uint32(tokens.Dim(-2))
	positionsBinding, base := e.operand(positions, backend.Read)
	push.Positions, push.PositionsStride, push.PiecePositions = base, uint32(positions.Stride(-2)), uint32(positions.Dim(-2))

	idsBinding, base := e.operand(ids, backend.Read)
	push.IDs, push.IDsStrideBatch, push.IDsStrideTime = base, uint32(ids.Stride(-2)), uint32(ids.Stride(-1))
	atBinding, base := e.operand(at, backend.Read)
	push.Seq, push.Pos, push.AtBatch = placeBases(at, base)

	const size = 64
	return e.dispatch(
		pipelineSpec{variant: variant, spec: shaders.Workgroup{Lanes: size}}, push,
		[3]uint32{e.groups(0, dst.Dim(-1), size), e.groups(1, dst.Rows(), 1), 1},
		dstBinding, tokensBinding, positionsBinding, idsBinding, atBinding)
}
