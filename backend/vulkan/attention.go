//go:build cgo

package vulkan

import (
	"math/bits"
	"slices"
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
// vector must fit in shared memory. A pool of blocks is bound as a whole.
func supportsAttention(l *Limits, op *backend.Attention) bool {
	return rowsFit(l, op.Dst, op.Q, op.K, op.V, op.Probs) && op.HeadSize() <= attentionGathered && fit(l, op.At, op.Table) &&
		(op.Table.Absent() || fit(l, op.K, op.V))
}

// encodeAttention takes one dispatch, or where operands are too large to be
// bound one for each range of runs, heads, queries, sequences and keys.
func encodeAttention(e *encoder, op *backend.Attention) error {
	batch, time := op.Q.Dim(1), op.Q.Dim(2)
	if _, run := op.Runs(); run == time {
		return encodeRuns(e, op)
	}
	// So that a run is a row of a batch: of one row each run; of several, one after the other.
	return each(batch, 1, func(b, _ int) error {
		return encodeRuns(e, runsOf(op, b))
	})
}

// encodeRuns is encodeAttention where a run is a row of a batch.
func encodeRuns(e *encoder, op *backend.Attention) error {
	l := e.limits()
	runs := min(e.maxAlong(op.Q, 1), e.maxAlong(op.Dst, 1), int(l.Groups[2])) // 0: not even one fits as a whole
	heads := min(op.Heads, int(l.Groups[1]))
	if !op.Probs.Absent() {
		runs = min(runs, e.maxAlong(op.Probs, 0))
	}
	size, time := op.HeadSize(), op.Q.Dim(2)
	if one := attentionWork(op, time) / uint64(op.Q.Dim(1)); uint64(runs) > maxWork/one { // so that no watchdog fires
		runs = int(max(maxWork/one, 1))
	}
	return each(op.Q.Dim(1), runs, func(b, bEnd int) error {
		part := *op
		part.Dst, part.Q, part.At = op.Dst.Slice(1, b, bEnd), op.Q.Slice(1, b, bEnd), op.At.Slice(3, b*time, bEnd*time)
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
			apart := 1 // runs, where a dispatch does not take all of each
			if queries >= time {
				apart = bEnd - b
			}
			return each(bEnd-b, apart, func(r, rEnd int) error {
				return each(time, queries, func(t, tEnd int) error {
					part := part
					part.Dst, part.Q = part.Dst.Slice(1, r, rEnd).Slice(2, t, tEnd), part.Q.Slice(1, r, rEnd).Slice(2, t, tEnd)
					part.At = part.At.Slice(3, r*time, rEnd*time)
					if !op.Probs.Absent() {
						part.Probs = part.Probs.Slice(0, r, rEnd).Slice(2, t, tEnd)
					}
					return encodeAttentionPart(e, &attentionPart{&part, op, h, t})
				})
			})
		})
	})
}

// attentionQueries is how many queries a workgroup takes at most.
func (l *Limits) attentionQueries() int {
	if l.FewRegisters {
		return 4
	}
	return 8
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

// plainAttention returns how attention.comp divides its work, and the ranges that a dispatch takes: see attentionPieces.
func plainAttention(e *encoder, of *attentionPart) (spec shaders.AttentionSpec, ranges [4]int) {
	part, op := of.Attention, of.op
	l, size, time := e.limits(), op.HeadSize(), part.Q.Dim(2)
	queries := 1
	for queries < min(time, l.attentionQueries()) {
		queries *= 2
	}
	lanes := attentionLanes(l, queries)
	queries = min(queries, lanes)
	// With elements in fours there are as many more parts of so much shorter vectors.
	for max(size, lanes*4)*queries > attentionGathered {
		queries /= 2
	}
	chunk := max(lanes, attentionScores/queries)

	spec = shaders.AttentionSpec{
		Lanes: uint32(lanes), Queries: uint32(queries), Chunk: uint32(chunk), Size: uint32(size), Probs: !part.Probs.Absent(), AtOnce: 1,
		Extras: op.Window > 0 || op.SoftCap > 0 || !op.Sinks.Absent(),
	}
	if chunk >= 4*lanes && (queries == 1 || l.Software) {
		spec.AtOnce = 4 // keys, which share what is read of the query
	}
	if !part.Table.Absent() {
		return spec, ranges // all is bound at once
	}
	sequences, context := part.Cache()
	seqs := min(e.maxAlong(part.K, 1), e.maxAlong(part.V, 1)) // that are bound at once; 0: not even one is
	keys := context
	if seqs == 0 {
		if keys = min(e.maxRows(part.K.Slice(1, 0, 1)), e.maxRows(part.V.Slice(1, 0, 1))); keys > lanes { // so that each dispatch finds the scores of the one before with the same invocations
			keys -= keys % lanes
		}
	}
	spec.Split = keys < context
	return spec, [4]int{sequences, seqs, context, keys}
}

func pipelinesOfPlain(e *encoder, part *attentionPart, c *attentionChoice) []pipelineSpec {
	spec, _ := plainAttention(e, part)
	return []pipelineSpec{c.way.pipeline(part.Attention, spec)}
}

// encodePlain encodes the dispatches of attention.comp for a part of an op. ok is always true: an error says where it is wrong.
func encodePlain(e *encoder, of *attentionPart, c *attentionChoice) (ok bool, err error) {
	spec, ranges := plainAttention(e, of)
	dispatch := func(e *encoder, part *backend.Attention, spec shaders.AttentionSpec, push shaders.AttentionPush, groups [3]uint32, state backend.Tensor) error {
		return attentionDispatch(e, part, c.way, spec, push, groups, state)
	}
	push, groups := attentionPush(of.Attention, of.op, spec, of.firstHead, of.firstTime)
	if !of.Table.Absent() {
		return true, dispatch(e, of.Attention, spec, push, groups, backend.Tensor{})
	}
	return true, attentionPieces(e, of.Attention, spec, push, groups, ranges, dispatch)
}

// attentionPush is what the shader is told of a part of op that begins at a head and a query, and
// the workgroups for it.
func attentionPush(part, op *backend.Attention, spec shaders.AttentionSpec, firstHead, firstTime int) (push shaders.AttentionPush, groups [3]uint32) {
	sequences, context := part.Cache()
	time, size := part.Q.Dim(2), op.HeadSize()
	push = shaders.AttentionPush{
		FirstTime: uint32(firstTime), Time: uint32(time), Context: uint32(context),
		SharedBy: uint32(op.Heads / op.Groups()), FirstHead: uint32(firstHead),
		Scale: op.Scale, Window: attentionWindow(op.Window, context), SoftCap: op.SoftCap,
		Sequences: uint32(sequences),
	}
	return push, [3]uint32{(uint32(time) + spec.Queries - 1) / spec.Queries, uint32(part.Dst.Dim(3) / size), uint32(part.Q.Dim(1))}
}

// dispatchAttention encodes a dispatch for keys and values that are bound as a whole.
type dispatchAttention func(e *encoder, part *backend.Attention, spec shaders.AttentionSpec, push shaders.AttentionPush, groups [3]uint32, state backend.Tensor) error

// attentionPieces encodes a dispatch for each range of keys: of so many sequences, as many as are bound
// at once, and of so many positions.
func attentionPieces(e *encoder, part *backend.Attention, spec shaders.AttentionSpec, push shaders.AttentionPush, groups [3]uint32, ranges [4]int, dispatch dispatchAttention) error {
	var state backend.Tensor
	if spec.Split {
		var err error
		if state, err = e.scratch(backend.F32, int(groups[2]), int(groups[1]), part.Q.Dim(2), 2); err != nil {
			return err
		}
	}
	sequences, seqs, context, keys := ranges[0], ranges[1], ranges[2], ranges[3]
	return each(sequences, seqs, func(s, sEnd int) error {
		return each(context, keys, func(j, end int) error {
			piece, push := *part, push
			piece.K, piece.V = part.K.Slice(1, s, sEnd).Slice(2, j, end), part.V.Slice(1, s, sEnd).Slice(2, j, end)
			push.FirstSeq, push.Sequences = uint32(s), uint32(sEnd-s)
			push.FirstKey, push.Keys = uint32(j), uint32(end-j)
			return dispatch(e, &piece, spec, push, groups, state)
		})
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
	one.Q, one.Run = op.Q.Slice(2, 0, 1), 0
	return max(uint64(queries)*multiplyAdds(&one), 1)
}

// attentionDispatch is a dispatchAttention by the first of the variants whose pipeline is right: a certain one before
// the others, if operands allow it.
func attentionDispatch(e *encoder, part *backend.Attention, first attentionWay, spec shaders.AttentionSpec, push shaders.AttentionPush, groups [3]uint32, state backend.Tensor) error {
	var wrong []pipelineSpec
	ways := attentionWays(e, part, int(spec.Size))
	if i := slices.Index(ways, first); i > 0 {
		ways = slices.Insert(slices.Delete(ways, i, i+1), 0, first)
	}
	for _, way := range ways {
		p := way.pipeline(part, spec)
		wrong = append(wrong, p)
		ok, err := e.trusts(p, func(t *trials) { tryAttention(t, part, int(push.SharedBy), spec, way, way.dispatch) })
		if err != nil {
			return err
		}
		if ok {
			return way.dispatch(e, part, spec, push, groups, state)
		}
	}
	return e.b.refuse("attention", wrong...)
}

// attentionWay is how attention.comp reads queries, keys and values: in fours where vectors allow
// it, through the texture unit on a software driver (see linearKernels).
type attentionWay struct{ texel, fours bool }

// attentionWays are those that the operands allow, the fastest first.
func attentionWays(e *encoder, part *backend.Attention, size int) (ways []attentionWay) {
	fours := func(read func(t backend.Tensor) (base uint32, ok bool)) bool {
		for _, t := range []backend.Tensor{part.Q, part.K, part.V} {
			if base, ok := read(t); !ok || !inFours(t, base) {
				return false
			}
		}
		return size%4 == 0
	}
	if e.limits().Software && fours(func(t backend.Tensor) (uint32, bool) { _, base, ok := e.texels(t); return base, ok }) {
		ways = append(ways, attentionWay{texel: true})
	}
	if fours(func(t backend.Tensor) (uint32, bool) { _, base := e.operand(t, backend.Read); return base, true }) {
		ways = append(ways, attentionWay{fours: true})
	}
	return append(ways, attentionWay{})
}

// pipeline is that of attention.comp.
func (w attentionWay) pipeline(part *backend.Attention, spec shaders.AttentionSpec) pipelineSpec {
	macros := storage("", part.K.DType)
	switch {
	case w.texel:
		macros = []string{"TEXEL"}
	case w.fours:
		macros = append(macros, "X4")
	}
	if !part.Table.Absent() {
		macros = append(macros, "TABLE")
	}
	return pipelineSpec{variant: shaders.Find("attention", strings.Join(macros, " ")), spec: spec, work: attentionWork(part, part.Q.Dim(2))}
}

// dispatch is a dispatchAttention.
func (w attentionWay) dispatch(e *encoder, part *backend.Attention, spec shaders.AttentionSpec, push shaders.AttentionPush, groups [3]uint32, state backend.Tensor) error {
	read := func(t backend.Tensor, base *uint32) (b binding) {
		if w.texel {
			b, *base, _ = e.texels(t)
		} else {
			b, *base = e.operand(t, backend.Read)
		}
		return b
	}
	q, k, v := read(part.Q, &push.Q), read(part.K, &push.K), read(part.V, &push.V)
	push.QRun, push.QTime = uint32(part.Q.Stride(1)), uint32(part.Q.Stride(2))
	push.KSeq, push.KRow = uint32(part.K.Stride(1)), uint32(part.K.Stride(2))
	push.VSeq, push.VRow = uint32(part.V.Stride(1)), uint32(part.V.Stride(2))

	// Between dispatches dst and probs hold sums and scores. The shader may write
	// probs and state: where they are absent dst stands for them.
	dst, base := e.operand(part.Dst, backend.Update)
	written := func(t backend.Tensor) (binding, uint32) {
		if t.Absent() {
			return dst, 0
		}
		return e.operand(t, backend.Update)
	}
	push.Dst, push.DstRun, push.DstTime = base, uint32(part.Dst.Stride(1)), uint32(part.Dst.Stride(2))
	at, base := e.operand(part.At, backend.Read)
	push.Seq, push.Pos = base+push.FirstTime, base+uint32(part.At.Stride(-2))
	probs, base := written(part.Probs)
	push.Probs, push.ProbsRun, push.ProbsHead, push.ProbsTime = base,
		uint32(part.Probs.Stride(0)), uint32(part.Probs.Stride(1)), uint32(part.Probs.Stride(2))
	var left binding
	if part.Table.Absent() {
		left, push.State = written(state)
	} else {
		left, push.FirstKey = e.operand(part.Table, backend.Read)
		push.Keys, push.State = uint32(part.Table.Stride(-2)), uint32(part.K.Dim(1))
		push.FirstSeq = uint32(bits.TrailingZeros(uint(part.K.Dim(2))))
	}
	sinks, base := e.operand(part.Sinks, backend.Read)
	if push.Sinks = base; part.Sinks.Absent() {
		push.Sinks = shaders.Absent
	}
	return e.dispatch(w.pipeline(part, spec), push, groups, dst, q, k, v, at, probs, left, sinks)
}
