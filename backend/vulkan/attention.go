//go:build cgo

package vulkan

import (
	"strings"

	"caldera/backend"
	"caldera/shaders"
)

func init() {
	register(kernel[*backend.Attention]{supports: supportsAttention, encode: encodeAttention})
}

// The arrays of attention.comp in shared memory: floats, and keys of all queries in a chunk.
const (
	attentionGathered = 3072
	attentionScores   = 512
)

// supportsAttention: a row of each operand is bound as a whole, and a head's
// vector must fit in shared memory.
func supportsAttention(l *Limits, op *backend.Attention) bool {
	return rowsFit(l, op.Dst, op.Q, op.K, op.V, op.Probs) && op.HeadSize() <= attentionGathered
}

// encodeAttention takes one dispatch, or where operands are too large to be
// bound one for each range of sequences, heads, queries and keys.
func encodeAttention(e *encoder, op *backend.Attention) error {
	l := e.limits()
	sequences := min(e.maxAlong(op.Q, 1), e.maxAlong(op.Dst, 1), e.maxAlong(op.K, 1), e.maxAlong(op.V, 1),
		e.maxAlong(op.At, 3), int(l.Groups[2])) // 0: not even one fits as a whole
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
			if !op.Sinks.Absent() {
				part.Sinks = op.Sinks.Slice(3, h, hEnd)
			}
			// A workgroup takes one query at least.
			queries := min(e.maxRows(part.Q), e.maxRows(part.Dst), int(l.Groups[0]))
			if one := attentionWork(&part, 1); uint64(queries) > maxWork/one { // so that no watchdog fires
				queries = int(max(maxWork/one&^7, 1))
			}
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
				return encodeAttentionPart(e, &part, op, h, t)
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

// encodeAttentionPart encodes the dispatches for a part of op that begins at a
// head and a query.
func encodeAttentionPart(e *encoder, part, op *backend.Attention, firstHead, firstTime int) error {
	l, size, time := e.limits(), op.HeadSize(), part.Q.Dim(2)
	queries := 1
	for queries < min(time, 8) {
		queries *= 2
	}
	lanes := attentionLanes(l, queries)
	queries = min(queries, lanes)
	// With elements in fours there are as many more parts of so much shorter vectors.
	for max(size, lanes*4)*queries > attentionGathered {
		queries /= 2
	}
	chunk := max(lanes, attentionScores/queries)

	spec := shaders.AttentionSpec{
		Lanes: uint32(lanes), Queries: uint32(queries), Chunk: uint32(chunk), Size: uint32(size), Probs: !part.Probs.Absent(), AtOnce: 1,
		Extras: op.Window > 0 || op.SoftCap > 0 || !op.Sinks.Absent(),
	}
	if chunk >= 4*lanes && (queries == 1 || l.Software) {
		spec.AtOnce = 4 // keys, which share what is read of the query
	}
	push := shaders.AttentionPush{
		FirstTime: uint32(firstTime), Time: uint32(time), Context: uint32(part.K.Dim(2)),
		SharedBy: uint32(op.Heads / op.Groups()), FirstHead: uint32(firstHead),
		Scale: op.Scale, Window: attentionWindow(op.Window, part.K.Dim(2)), SoftCap: op.SoftCap,
	}
	groups := [3]uint32{uint32((time + queries - 1) / queries), uint32(part.Dst.Dim(3) / size), uint32(part.Q.Dim(1))}

	context := part.K.Dim(2)
	keys := min(e.maxRows(part.K), e.maxRows(part.V)) // that are bound at once
	if e.maxAlong(part.K, 1) == part.K.Dim(1) && e.maxAlong(part.V, 1) == part.V.Dim(1) {
		keys = context
	}
	if keys == context {
		return attentionDispatch(e, part, spec, push, groups, backend.Tensor{}, 0, context)
	}
	spec.Split = true
	if keys > lanes { // so that each dispatch finds the scores of the one before with the same invocations
		keys -= keys % lanes
	}
	state, err := e.scratch(backend.F32, int(groups[2]), int(groups[1]), time, 2)
	if err != nil {
		return err
	}
	return each(context, keys, func(j, end int) error {
		return attentionDispatch(e, part, spec, push, groups, state, j, end)
	})
}

// attentionWindow is how many of so many keys a query sees at most.
func attentionWindow(window, keys int) uint32 {
	if window == 0 {
		return uint32(keys)
	}
	return uint32(min(window, keys))
}

// attentionWork is how many multiply-adds so many queries take at most: as if
// each of them saw as many keys as it may.
func attentionWork(op *backend.Attention, queries int) uint64 {
	one := *op
	one.Q = op.Q.Slice(2, 0, 1)
	return uint64(queries) * multiplyAdds(&one)
}

// attentionDispatch encodes the dispatch for rows [from, to) of the cache.
func attentionDispatch(e *encoder, op *backend.Attention, spec shaders.AttentionSpec, push shaders.AttentionPush, groups [3]uint32, state backend.Tensor, from, to int) error {
	part := *op
	part.K, part.V = op.K.Slice(2, from, to), op.V.Slice(2, from, to)
	push.FirstKey, push.Keys = uint32(from), uint32(to-from)
	defines, q, k, v := attentionOperands(e, &part, int(spec.Size), &push)

	// Between dispatches dst and probs hold sums and scores. The shader may write
	// probs and state: where they are absent dst stands for them.
	dst, base := e.operand(part.Dst, backend.Update)
	written := func(t backend.Tensor) (binding, uint32) {
		if t.Absent() {
			return dst, 0
		}
		return e.operand(t, backend.Update)
	}
	push.Dst, push.DstBatch, push.DstTime = base, uint32(part.Dst.Stride(1)), uint32(part.Dst.Stride(2))
	at, base := e.operand(part.At, backend.Read)
	push.At, push.AtStride = base, uint32(part.At.Stride(-1))
	probs, base := written(part.Probs)
	push.Probs, push.ProbsBatch, push.ProbsHead, push.ProbsTime = base,
		uint32(part.Probs.Stride(0)), uint32(part.Probs.Stride(1)), uint32(part.Probs.Stride(2))
	left, base := written(state)
	push.State = base
	sinks, base := e.operand(part.Sinks, backend.Read)
	if push.Sinks = base; part.Sinks.Absent() {
		push.Sinks = shaders.Absent
	}
	work := attentionWork(&part, part.Q.Dim(2))
	return e.dispatch(pipelineSpec{variant: shaders.Find("attention", defines), spec: spec, work: work}, push, groups,
		dst, q, k, v, at, probs, left, sinks)
}

// attentionOperands binds queries, keys and values: through the texture unit on
// a software driver (see chooseLinear), in fours where vectors allow it.
func attentionOperands(e *encoder, part *backend.Attention, size int, push *shaders.AttentionPush) (defines string, q, k, v binding) {
	push.QBatch, push.QTime = uint32(part.Q.Stride(1)), uint32(part.Q.Stride(2))
	push.KBatch, push.KRow = uint32(part.K.Stride(1)), uint32(part.K.Stride(2))
	push.VBatch, push.VRow = uint32(part.V.Stride(1)), uint32(part.V.Stride(2))
	fours := func() bool {
		return size%4 == 0 && inFours(part.Q, push.Q) && inFours(part.K, push.K) && inFours(part.V, push.V)
	}
	if e.limits().Software {
		var okQ, okK, okV bool
		q, push.Q, okQ = e.texel(part.Q, texelF32x4)
		k, push.K, okK = e.texels(part.K)
		v, push.V, okV = e.texels(part.V)
		if okQ && okK && okV && fours() {
			return "TEXEL", q, k, v
		}
	}
	q, push.Q = e.operand(part.Q, backend.Read)
	k, push.K = e.operand(part.K, backend.Read)
	v, push.V = e.operand(part.V, backend.Read)
	macros := storage("", part.K.DType)
	if fours() {
		macros = append(macros, "X4")
	}
	return strings.Join(macros, " "), q, k, v
}
