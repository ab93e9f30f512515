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

// encodeEmbeddingBackward adds to one table after the other. A first dispatch
// links the vectors that belong to the same row into a chain, in a scratch
// tensor. A second one adds up each chain. So the work depends on the number of
// vectors and not on the size of the vocabulary.
//
// To find the next vector of a chain an invocation compares ids until it finds
// an equal one: few comparisons if ids repeat, at most one with each vector.
// 16,384 different ids take 2.7·10⁸ comparisons, spread over 16,384 invocations.
func encodeEmbeddingBackward(e *encoder, op *backend.EmbeddingBackward) error {
	batch, time := op.DY.Dim(1), op.DY.Dim(2)
	times := min(e.maxRows(op.DY.Slice(1, 0, 1)), e.maxAlong(op.IDs.Slice(2, 0, 1), 3), e.maxRounds())
	sequences := 1
	if times == time { // else pieces of one sequence follow one another, so that the order of the sums stays
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

// encodeScatter adds each vector dy[b,t] to a row of table. For tokens (step 0)
// that is row index[b,t]. For positions (step 1) it is row index[b] + first + t.
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
		rows := table.Slice(-2, r, rEnd)
		to, toBase := e.operand(rows, backend.Update)
		from, fromBase := e.operand(dy, backend.Read)
		links, linksBase := e.operand(chain, backend.Read)
		unit, defines := uint32(1), ""
		if inFours(rows, toBase) && inFours(dy, fromBase) {
			unit, defines = 4, "X4"
		}
		width := uint32(dy.Dim(-1)) / unit
		return e.dispatch(
			pipelineSpec{variant: shaders.Find("embedding_backward", defines), spec: shaders.Workgroup{Lanes: size}},
			shaders.EmbeddingBackwardPush{
				Table: toBase / unit, TableStride: rowStride(rows) / unit,
				FirstRow: uint32(r), PieceRows: uint32(rEnd - r),
				Dy: fromBase / unit, DyBatch: uint32(dy.Stride(1)) / unit, DyTime: uint32(dy.Stride(2)) / unit,
				Chain: linksBase, Batch: batch, Time: time, Width: width,
			},
			[3]uint32{e.groups(0, int(width), size), e.groups(1, int(batch*time), 1), 1},
			to, from, links)
	})
}
