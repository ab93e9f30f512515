//go:build cgo

package vulkan

import (
	"caldera/backend"
	"caldera/shaders"
)

func init() {
	register(kernel[*backend.EmbeddingBackward]{
		supports: func(l *Limits, op *backend.EmbeddingBackward) bool {
			return rowsFit(l, op.DTokens, op.DPositions, op.DY) && fit(l, op.At)
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
	}
	chain, err := e.sharedScratch(backend.I32, 2*max(sequences, 1)*times)
	if err != nil {
		return err
	}
	places := placesOf(op.At, op.DY)
	return each(batch, sequences, func(b, bEnd int) error {
		return each(time, times, func(t, tEnd int) error {
			dy, ids, seq := op.DY.Slice(1, b, bEnd).Slice(2, t, tEnd), op.IDs.Slice(2, b, bEnd).Slice(3, t, tEnd), backend.Tensor{}
			if op.At.Absent() {
				return encodeScatter(e, op.DTokens, dy, ids, seq, chain)
			}
			part := func(i int) backend.Tensor { // [batch, time] of sequences, or of positions
				x := places.Slice(0, i, i+1).Slice(1, b, bEnd).Slice(2, t, tEnd)
				x.Shape, x.Strides = [4]int{1, 1, x.Shape[1], x.Shape[2]}, [4]int{1, 1, x.Strides[1], x.Strides[2]}
				return x
			}
			if err := encodeScatter(e, op.DTokens, dy, ids, part(0), chain); err != nil {
				return err
			}
			return encodeScatter(e, op.DPositions, dy, part(1), part(0), chain)
		})
	})
}

// encodeScatter adds each vector dy[b,t] to row index[b,t] of table, unless seq[b,t],
// where that is given, is below 0.
func encodeScatter(e *encoder, table, dy, index, seq, chain backend.Tensor) error {
	chain = chain.Slice(-1, 0, 2*index.Len())
	if err := encodeChain(e, chain, index, seq); err != nil {
		return err
	}
	return encodeChainSums(e, table, dy, chain)
}

// encodeChain links the tokens of each row of a table: index, [batch, time], has the rows.
func encodeChain(e *encoder, chain, index, seq backend.Tensor) error {
	batch, time := uint32(index.Dim(2)), uint32(index.Dim(3))
	links, linksBase := e.operand(chain, backend.Write)
	rows, rowsBase := e.operand(index, backend.Read)
	push := shaders.EmbeddingChainPush{
		Chain: linksBase, Index: rowsBase, IndexBatch: uint32(index.Stride(2)), IndexTime: uint32(index.Stride(3)),
		Seq: shaders.Absent, Batch: batch, Time: time,
	}
	sequences, seqBase := e.operand(seq, backend.Read)
	if !seq.Absent() {
		push.Seq, push.SeqBatch = seqBase, uint32(seq.Stride(2))
	}
	return e.dispatch(
		pipelineSpec{variant: shaders.Find("embedding_chain", ""), spec: shaders.Workgroup{Lanes: elementwiseLanes}}, push,
		[3]uint32{e.groups(0, int(batch*time), elementwiseLanes), 1, 1},
		links, rows, sequences)
}

// encodeChainSums adds the vectors of each chain to its row of table.
func encodeChainSums(e *encoder, table, dy, chain backend.Tensor) error {
	batch, time := uint32(dy.Dim(1)), uint32(dy.Dim(2))
	return each(table.Dim(-2), e.maxRows(table), func(r, rEnd int) error {
		rows := table.Slice(-2, r, rEnd)
		to, toBase := e.operand(rows, backend.Update)
		from, fromBase := e.operand(dy, backend.Read)
		links, linksBase := e.operand(chain, backend.Read)
		p, n, err := e.inUnits("embedding_backward", "", inFours(rows, toBase) && inFours(dy, fromBase), elementwiseWorkgroup)
		if err != nil {
			return err
		}
		unit := uint32(n)
		width := uint32(dy.Dim(-1)) / unit
		return e.dispatch(p,
			shaders.EmbeddingBackwardPush{
				Table: toBase / unit, TableStride: rowStride(rows) / unit,
				FirstRow: uint32(r), PieceRows: uint32(rEnd - r),
				Dy: fromBase / unit, DyBatch: uint32(dy.Stride(1)) / unit, DyTime: uint32(dy.Stride(2)) / unit,
				Chain: linksBase, Batch: batch, Time: time, Width: width,
			},
			[3]uint32{e.groups(0, int(width), elementwiseLanes), e.groups(1, int(batch*time), 1), 1},
			to, from, links)
	})
}
