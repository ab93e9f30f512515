//go:build cgo

package vulkan

import (
	"caldera/backend"
	"caldera/shaders"
)

func init() {
	register(kernel[*backend.EmbeddingBackward]{
		supports: func(l *Limits, op *backend.EmbeddingBackward) bool {
			return rowsFit(l, op.DTokens, op.DPositions, op.DY)
		},
		encode: encodeEmbeddingBackward,
	})
}

// encodeEmbeddingBackward adds to one table after the other. Vectors of the same row
// are chained first, in a scratch tensor: adding them up then takes no look at
// any other, and work grows with the vectors alone, not with the vocabulary.
// Finding a chain's next vector takes few steps where rows come often, and at
// most as many as there are vectors: 16,384 that all differ are 2.7·10⁸
// comparisons, which each of as many invocations shares.
func encodeEmbeddingBackward(e *encoder, op *backend.EmbeddingBackward) error {
	batch, time := op.DY.Dim(1), op.DY.Dim(2)
	times := min(e.maxRows(op.DY.Slice(1, 0, 1)), e.maxAlong(op.IDs.Slice(2, 0, 1), 3), e.maxRounds())
	sequences := 1
	if times == time { // else windows of a sequence follow one another, so that sums keep their order
		sequences = min(e.maxAlong(op.DY, 1), e.maxAlong(op.IDs, 2), max(e.maxRounds()/time, 1))
		if !op.At.Absent() {
			sequences = min(sequences, e.maxAlong(op.At, 3))
		}
	}
	chain, err := e.sharedScratch(backend.I32, 2*max(sequences, 1)*times)
	if err != nil {
		return err
	}
	return each(batch, sequences, func(b, bEnd int) error {
		return each(time, times, func(t, tEnd int) error {
			dy := op.DY.Slice(1, b, bEnd).Slice(2, t, tEnd)
			if err := encodeScatter(e, op.DTokens, dy, op.IDs.Slice(2, b, bEnd).Slice(3, t, tEnd), chain, 0, 0); err != nil {
				return err
			}
			if op.DPositions.Absent() {
				return nil
			}
			at := op.At.Slice(3, b, bEnd).Transpose() // [batch, 1]
			return encodeScatter(e, op.DPositions, dy, at, chain, 1, t)
		})
	})
}

// encodeScatter adds vector t of sequence b of dy to the row of table that is
// index[b,t]; of positions, whose index has one t, index[b] + first + t·step.
func encodeScatter(e *encoder, table, dy, index, chain backend.Tensor, step, first int) error {
	const size = 64
	batch, time := uint32(dy.Dim(1)), uint32(dy.Dim(2))
	chain = chain.Slice(-1, 0, 2*int(batch*time))

	links, linksBase := e.operand(chain, backend.Write)
	rows, rowsBase := e.operand(index, backend.Read)
	push := shaders.EmbeddingChainPush{
		Chain: linksBase, Index: rowsBase, IndexBatch: uint32(index.Stride(2)),
		Step: uint32(step), First: uint32(first), Batch: batch, Time: time,
	}
	if step == 0 {
		push.IndexTime = uint32(index.Stride(3))
	}
	err := e.dispatch(
		pipelineSpec{variant: shaders.Find("embedding_chain", ""), spec: shaders.Workgroup{Lanes: size}}, push,
		[3]uint32{e.groups(0, int(batch*time), size), 1, 1},
		links, rows)
	if err != nil {
		return err
	}

	return each(table.Dim(-2), e.maxRows(table), func(r, rEnd int) error {
		window := table.Slice(-2, r, rEnd)
		to, toBase := e.operand(window, backend.Update)
		from, fromBase := e.operand(dy, backend.Read)
		links, linksBase := e.operand(chain, backend.Read)
		unit, defines := uint32(1), ""
		if inFours(window, toBase) && inFours(dy, fromBase) {
			unit, defines = 4, "X4"
		}
		width := uint32(dy.Dim(-1)) / unit
		return e.dispatch(
			pipelineSpec{variant: shaders.Find("embedding_backward", defines), spec: shaders.Workgroup{Lanes: size}},
			shaders.EmbeddingBackwardPush{
				Table: toBase / unit, TableStride: rowStride(window) / unit,
				FirstRow: uint32(r), WindowRows: uint32(rEnd - r),
				Dy: fromBase / unit, DyBatch: uint32(dy.Stride(1)) / unit, DyTime: uint32(dy.Stride(2)) / unit,
				Chain: linksBase, Batch: batch, Time: time, Width: width,
			},
			[3]uint32{e.groups(0, int(width), size), e.groups(1, int(batch*time), 1), 1},
			to, from, links)
	})
}
