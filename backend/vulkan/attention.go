//go:build cgo

package vulkan

import (
	"math"

	"caldera/backend"
	"caldera/shaders"
)

func init() {
	register(kernel[*backend.Attention]{supports: supportsAttention, encode: encodeAttention})
}

// supportsAttention: a sequence's keys and values are bound as a whole, and a
// head's vector must find room in shared memory.
func supportsAttention(l *Limits, op *backend.Attention) bool {
	return maxAlong(l, op.K, 1) > 0 && maxAlong(l, op.V, 1) > 0 &&
		rowsFit(l, op.Dst, op.Q, op.Probs) &&
		attentionShared(1, attentionLanes(l, 1), attentionLanes(l, 1), op.HeadSize()) <= l.SharedMemory
}

// encodeAttention takes one dispatch, or where operands are too large to be
// bound one for each window of sequences, heads or queries.
func encodeAttention(e *encoder, op *backend.Attention) error {
	l := e.limits()
	sequences := min(e.maxAlong(op.Q, 1), e.maxAlong(op.Dst, 1), e.maxAlong(op.K, 1), e.maxAlong(op.V, 1),
		e.maxAlong(op.At, 3), int(l.Groups[2]))
	heads := min(op.Heads, int(l.Groups[1]))
	if !op.Probs.Absent() {
		sequences = min(sequences, e.maxAlong(op.Probs, 0))
	}
	size := op.HeadSize()
	return each(op.Q.Dim(1), sequences, func(b, bEnd int) error {
		part := *op
		part.Dst, part.Q = op.Dst.Slice(1, b, bEnd), op.Q.Slice(1, b, bEnd)
		part.K, part.V = op.K.Slice(1, b, bEnd), op.V.Slice(1, b, bEnd)
		part.At = op.At.Slice(3, b, bEnd)
		if !op.Probs.Absent() {
			part.Probs = op.Probs.Slice(0, b, bEnd)
			heads = min(heads, e.maxAlong(part.Probs, 1))
		}
		return each(op.Heads, heads, func(h, hEnd int) error {
			part := part
			part.Dst, part.Q = part.Dst.Slice(3, h*size, hEnd*size), part.Q.Slice(3, h*size, hEnd*size)
			queries := min(e.maxRows(part.Q), e.maxRows(part.Dst))
			if !op.Probs.Absent() {
				part.Probs = part.Probs.Slice(1, h, hEnd)
				queries = min(queries, e.maxRows(part.Probs))
			}
			return each(op.Q.Dim(2), queries, func(t, tEnd int) error {
				part := part
				part.Dst, part.Q = part.Dst.Slice(2, t, tEnd), part.Q.Slice(2, t, tEnd)
				if !op.Probs.Absent() {
					part.Probs = part.Probs.Slice(2, t, tEnd)
				}
				return encodeAttentionWindow(e, &part, op, h, t)
			})
		})
	})
}

// attentionLanes is the size of a workgroup for so many queries: a power of two.
// On a software driver it is a subgroup; else more with a single query, where
// a head's whole work falls to one workgroup.
func attentionLanes(l *Limits, queries int) int {
	lanes := 64
	switch {
	case l.Software:
		lanes = int(max(l.SubgroupSize, 4))
	case queries == 1:
		lanes = 256
	}
	for lanes > int(min(l.Invocations, l.WorkgroupSize[0])) {
		lanes /= 2
	}
	return lanes
}

// attentionShared is how many bytes of shared memory attention.comp takes.
func attentionShared(queries, lanes, chunk, size int) uint32 {
	// With elements in fours there are as many more parts of so much shorter vectors.
	gathered := max(size, lanes*4) * queries
	return uint32(4 * (queries*chunk + lanes + queries + gathered))
}

// encodeAttentionWindow encodes the dispatch for a part of op that begins at a
// head and a query.
func encodeAttentionWindow(e *encoder, part, op *backend.Attention, firstHead, firstTime int) error {
	l, size, time := e.limits(), op.HeadSize(), part.Q.Dim(2)
	queries := 1
	for queries < min(time, 8) {
		queries *= 2
	}
	lanes := attentionLanes(l, queries)
	queries = min(queries, lanes)
	chunk := max(lanes, 512/queries)
	for attentionShared(queries, lanes, chunk, size) > l.SharedMemory && (queries > 1 || chunk > lanes) {
		if chunk > lanes {
			chunk /= 2
		} else {
			queries /= 2
		}
	}

	defines, q, k, v, qBase, kBase, vBase := attentionOperands(e, part, size)
	dst, dstBase := e.operand(part.Dst, backend.Write)
	at, atBase := e.operand(part.At, backend.Read)
	access := backend.Read
	if !part.Probs.Absent() {
		access = backend.Update // holds the scores on the way
	}
	probs, probsBase := e.operand(part.Probs, access)
	return e.dispatch(
		pipelineSpec{
			variant: shaders.Find("attention", defines),
			spec:    []uint32{uint32(lanes), uint32(queries), uint32(chunk), uint32(size), boolean(!part.Probs.Absent())},
		},
		shaders.AttentionPush{
			Dst: dstBase, DstBatch: uint32(part.Dst.Stride(1)), DstTime: uint32(part.Dst.Stride(2)),
			Q: qBase, QBatch: uint32(part.Q.Stride(1)), QTime: uint32(part.Q.Stride(2)),
			K: kBase, KBatch: uint32(part.K.Stride(1)), KRow: uint32(part.K.Stride(2)),
			V: vBase, VBatch: uint32(part.V.Stride(1)), VRow: uint32(part.V.Stride(2)),
			Probs: probsBase, ProbsBatch: uint32(part.Probs.Stride(0)), ProbsHead: uint32(part.Probs.Stride(1)), ProbsTime: uint32(part.Probs.Stride(2)),
			At: atBase, AtStride: uint32(part.At.Stride(-1)),
			FirstTime: uint32(firstTime), Time: uint32(time), Context: uint32(part.K.Dim(2)),
			Heads: uint32(op.Heads), Groups: uint32(op.Groups()), FirstHead: uint32(firstHead),
			Scale: float32(1 / math.Sqrt(float64(size))),
		},
		[3]uint32{uint32((time + queries - 1) / queries), uint32(part.Dst.Dim(3) / size), uint32(part.Q.Dim(1))},
		dst, q, k, v, at, probs)
}

// attentionOperands binds queries, keys and values: through the texture unit on
// a software driver (see chooseLinear), in fours where vectors allow it.
func attentionOperands(e *encoder, part *backend.Attention, size int) (defines string, q, k, v binding, qBase, kBase, vBase uint32) {
	half := part.K.DType == backend.F16
	if e.limits().Software {
		format := linearFormat(part.K)
		var ok, okK, okV bool
		q, qBase, ok = e.texel(part.Q, texelF32x4)
		k, kBase, okK = e.texel(part.K, format)
		v, vBase, okV = e.texel(part.V, format)
		if ok && okK && okV && size%4 == 0 && inFours(part.Q, qBase) && inFours(part.K, kBase) && inFours(part.V, vBase) {
			return "TEXEL", q, k, v, qBase, kBase, vBase
		}
	}
	q, qBase = e.operand(part.Q, backend.Read)
	k, kBase = e.operand(part.K, backend.Read)
	v, vBase = e.operand(part.V, backend.Read)
	fours := size%4 == 0 && inFours(part.Q, qBase) && inFours(part.K, kBase) && inFours(part.V, vBase)
	switch {
	case half && fours:
		defines = "F16 X4"
	case half:
		defines = "F16"
	case fours:
		defines = "X4"
	}
	return defines, q, k, v, qBase, kBase, vBase
}
