//go:build cgo

package vulkan

import (
	"caldera/backend"
	"caldera/shaders"
)

func init() {
	register(kernel[*backend.Rotary]{
		supports: func(l *Limits, op *backend.Rotary) bool { return rowsFit(l, op.Dst, op.X, op.Angles) && fit(l, op.At) },
		encode:   encodeRotary,
	})
}

// encodeRotary encodes one dispatch for each piece of the table. That is a single
// dispatch, unless the table is too large for one binding. Each dispatch handles
// the positions whose rows lie in its piece.
func encodeRotary(e *encoder, op *backend.Rotary) error {
	places := placesOf(op.At, op.X)
	return each(op.X.Dim(1), min(e.maxAlong(op.Dst, 1), e.maxAlong(op.X, 1)), func(b, bEnd int) error {
		seq := *op
		seq.Dst, seq.X, seq.At = op.Dst.Slice(1, b, bEnd), op.X.Slice(1, b, bEnd), places.Slice(1, b, bEnd)
		return each(op.X.Dim(2), min(e.maxRows(seq.Dst), e.maxRows(seq.X)), func(t, tEnd int) error {
			part := seq
			part.Dst, part.X, part.At = seq.Dst.Slice(2, t, tEnd), seq.X.Slice(2, t, tEnd), seq.At.Slice(2, t, tEnd)
			return each(op.Angles.Dim(2), e.maxRows(op.Angles), func(p, pEnd int) error {
				part.Angles = op.Angles.Slice(2, p, pEnd)
				return encodeRotaryPiece(e, &part, shaders.RotaryPush{
					FirstPosition: uint32(p), Context: uint32(op.Angles.Dim(2)), MarkMissing: boolean(p == 0),
				})
			})
		})
	})
}

func encodeRotaryPiece(e *encoder, op *backend.Rotary, push shaders.RotaryPush) error {
	dst, dstBase := e.operand(op.Dst, backend.Update)
	x, xBase := e.operand(op.X, backend.Read)
	angles, anglesBase := e.operand(op.Angles, backend.Read)
	at, atBase := e.operand(op.At, backend.Read)
	size, pairs := op.HeadSize(), op.Pairs()
	fours := size%4 == 0 && pairs%4 == 0 && inFours(op.Dst, dstBase) && inFours(op.X, xBase) && inFours(op.Angles, anglesBase)
	p, unit, err := e.inUnits("rotary", "", fours, elementwiseWorkgroup)
	if err != nil {
		return err
	}
	step, apart := op.Places()
	if step == 1 {
		apart /= unit
	}
	push.Dst, push.X = view(op.Dst, dstBase, unit), view(op.X, xBase, unit)
	push.Batch, push.Time, push.Heads = uint32(op.X.Dim(1)), uint32(op.X.Dim(2)), uint32(op.Heads)
	push.Size, push.Pairs, push.Step, push.Apart = uint32(size/unit), uint32(pairs/unit), uint32(step), uint32(apart)
	push.Angles, push.AnglesStride = anglesBase/uint32(unit), uint32(op.Angles.Stride(2)/unit)
	push.PiecePositions = uint32(op.Angles.Dim(2))
	push.Seq, push.Pos, push.AtBatch = placeBases(op.At, atBase)
	push.Direction = 1
	if op.Inverse {
		push.Direction = -1
	}
	items := op.Heads * (size - pairs) / unit
	return e.dispatch(p, push,
		[3]uint32{e.groups(0, items, elementwiseLanes), e.groups(1, op.X.Rows(), 1), 1},
		dst, x, angles, at)
}
