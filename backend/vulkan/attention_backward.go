//go:build cgo

package vulkan

import (
	"math"

	"caldera/backend"
	"caldera/shaders"
)

func init() {
	register(kernel[*backend.AttentionBackward]{supports: supportsAttentionBackward, encode: encodeAttentionBackward})
}

// The arrays of attention_backward.comp in shared memory: floats, and weights
// of a chunk.
const (
	attentionBackwardGathered = 2560
	attentionBackwardWeights  = 512
)

// The dispatches that attention_backward.comp makes of an op, in order.
const (
	attentionStats = iota
	attentionQueries
	attentionKeys
	attentionSinks
)

// supportsAttentionBackward: a row of each operand and the stats of a group are
// bound as a whole, and two of a head's vectors must fit in shared memory.
func supportsAttentionBackward(l *Limits, op *backend.AttentionBackward) bool {
	stats := op.Stats.Slice(0, 0, 1).Slice(1, 0, op.Heads/op.Groups())
	return rowsFit(l, attentionBackwardTensors(op)...) && maxAlong(l, stats, 0) > 0 && 2*op.HeadSize() <= attentionBackwardGathered
}

// attentionBackwardTensors are the operands [batch, time, vectors].
func attentionBackwardTensors(op *backend.AttentionBackward) []backend.Tensor {
	return []backend.Tensor{op.Q, op.K, op.V, op.DY, op.DQ, op.DK, op.DV}
}

// encodeAttentionBackward takes three dispatches, and one for sinks, or more where
// operands are too large to be bound or the work is too much for one submit: for
// some sequences, the heads of some groups, and ranges of queries and keys.
func encodeAttentionBackward(e *encoder, op *backend.AttentionBackward) error {
	shared := op.Heads / op.Groups()
	sequences, rows := int(e.limits().Groups[2]), op.DY.Dim(2)
	for _, t := range attentionBackwardTensors(op) {
		sequences = min(sequences, e.maxAlong(t, 1))
	}
	if sequences == 0 { // not even one fits as a whole
		sequences = 1
		for _, t := range attentionBackwardTensors(op) {
			rows = min(rows, e.maxRows(t.Slice(1, 0, 1)))
		}
	}
	sequences = max(min(sequences, e.maxAlong(op.Stats, 0)), 1)
	groups := min(op.Groups(), max(int(e.limits().Groups[1])/shared, 1), max(e.maxAlong(op.Stats.Slice(0, 0, sequences), 1)/shared, 1))

	// So that no watchdog fires. A workgroup takes one row at least.
	pair := 4 * shared * op.HeadSize() // multiply-adds of a query and a key, at most
	rows = min(rows, max(int(math.Sqrt(float64(maxWork/pair)))&^7, 8), int(e.limits().Groups[0]))
	groups = min(groups, max(maxWork/(pair*rows*rows), 1))
	sequences = min(sequences, max(maxWork/(pair*rows*rows*groups), 1))

	return each(op.DY.Dim(1), sequences, func(b, bEnd int) error {
		part := *op
		for _, t := range []*backend.Tensor{&part.Q, &part.K, &part.V, &part.DY, &part.DQ, &part.DK, &part.DV} {
			*t = t.Slice(1, b, bEnd)
		}
		part.Stats = op.Stats.Slice(0, b, bEnd)
		return each(op.Groups(), groups, func(g, gEnd int) error {
			return attentionBackwardRanges(e, attentionBackwardPart{&part, shared, g, gEnd}, rows)
		})
	})
}

// attentionBackwardPart is some groups of an AttentionBackward, with the heads that share each.
type attentionBackwardPart struct {
	*backend.AttentionBackward
	shared  int
	g, gEnd int
}

// vectors are those of so many heads, or groups, of rows [from, to) of x.
func (o attentionBackwardPart) vectors(x backend.Tensor, first, count, from, to int) backend.Tensor {
	size := o.HeadSize()
	return x.Slice(3, first*size, (first+count)*size).Slice(2, from, to)
}

// ofHeads are the rows of queries of x, ofGroups those of keys.
func (o attentionBackwardPart) ofHeads(x backend.Tensor, from, to int) backend.Tensor {
	return o.vectors(x, o.g*o.shared, (o.gEnd-o.g)*o.shared, from, to)
}

func (o attentionBackwardPart) ofGroups(x backend.Tensor, from, to int) backend.Tensor {
	return o.vectors(x, o.g, o.gEnd-o.g, from, to)
}

// attentionBackwardRanges encodes the dispatches for each pair of ranges, of so
// many queries t and keys j, of which some see each other. The shader knows from
// where they begin which dispatch is the first for its results.
func attentionBackwardRanges(e *encoder, o attentionBackwardPart, rows int) error {
	time := o.DY.Dim(2)
	window := int(attentionWindow(o.Window, time))
	for _, pass := range []uint32{attentionStats, attentionQueries} {
		err := each(time, rows, func(t, tEnd int) error {
			first := max(t+1-window, 0) / rows * rows
			return each(tEnd-first, rows, func(j, jEnd int) error {
				return attentionBackwardPass(e, o, pass, t, tEnd, first+j, first+jEnd)
			})
		})
		if err != nil {
			return err
		}
	}
	if !o.DSinks.Absent() {
		if err := attentionSinksBackward(e, o); err != nil {
			return err
		}
	}
	return each(time, rows, func(j, jEnd int) error {
		return each(min(time, jEnd+window-1)-j, rows, func(t, tEnd int) error {
			return attentionBackwardPass(e, o, attentionKeys, j+t, j+tEnd, j, jEnd)
		})
	})
}

// attentionBackwardPass encodes a dispatch for queries [t, tEnd) and keys [j, jEnd).
func attentionBackwardPass(e *encoder, o attentionBackwardPart, pass uint32, t, tEnd, j, jEnd int) error {
	size, heads, queries, keys := o.HeadSize(), (o.gEnd-o.g)*o.shared, tEnd-t, jEnd-j
	push := o.push(t, tEnd, j, jEnd)
	rows, side, sums, products := queries, heads, 1, 2
	switch pass {
	case attentionQueries:
		products = 3
	case attentionKeys:
		rows, side, sums, products = keys, o.gEnd-o.g, 2, 4
	}
	spec := attentionBackwardShape(e.limits(), pass, sums, size)
	spec.Extras = o.Window > 0 || o.SoftCap > 0 || !o.Sinks.Absent()
	lanes, own := int(spec.Lanes), int(spec.Own)
	groups := [3]uint32{uint32((rows + own - 1) / own), uint32(side), uint32(o.DY.Dim(1))}

	// The shader may write stats in each pass, so that they count as written; they
	// stand for gradients that it does not write, for what is absent must not seem to be.
	stats, base := e.operand(o.ofHeadsStats(t, tEnd), backend.Update)
	push.Stats = base
	dst, dv := stats, stats
	switch pass {
	case attentionQueries:
		dq := o.ofHeads(o.DQ, t, tEnd)
		dst, push.Dst = e.operand(dq, backend.Update)
		push.DstBatch, push.DstRow = uint32(dq.Stride(1)), uint32(dq.Stride(2))
	case attentionKeys:
		dst, push.Dst = e.operand(o.ofGroups(o.DK, j, jEnd), backend.Update)
		push.DstBatch, push.DstRow = uint32(o.DK.Stride(1)), uint32(o.DK.Stride(2))
		dv, push.Dv = e.operand(o.ofGroups(o.DV, j, jEnd), backend.Update)
		push.DvBatch, push.DvRow = uint32(o.DV.Stride(1)), uint32(o.DV.Stride(2))
	}
	sinks := o.sinks(e, &push)
	work := uint64(products*o.DY.Dim(1)*heads*size) * uint64(queries) * uint64(min(keys, int(push.Window)+own))
	p, read, err := attentionBackwardOperands(e, pipelineSpec{spec: spec, work: work}, size, &push, [4]backend.Tensor{
		o.ofHeads(o.Q, t, tEnd), o.ofGroups(o.K, j, jEnd), o.ofGroups(o.V, j, jEnd), o.ofHeads(o.DY, t, tEnd),
	})
	if err != nil {
		return err
	}
	most := lanes // parts, of one element an invocation
	if unitOf(p) > 1 {
		most = 4 * lanes
	}
	push.Parts = uint32(max(min(most/(sums*size), attentionBackwardGathered/(own*sums*size)), 1))
	return e.dispatch(p, push, groups,
		dst, read[0], read[1], read[2], read[3], stats, dv, sinks)
}

// push is what the dispatches for queries [t, tEnd) and keys [j, jEnd) have in common.
func (o attentionBackwardPart) push(t, tEnd, j, jEnd int) shaders.AttentionBackwardPush {
	stride := func(x backend.Tensor, axis int) uint32 { return uint32(x.Stride(axis)) }
	return shaders.AttentionBackwardPush{
		QBatch: stride(o.Q, 1), QRow: stride(o.Q, 2), KBatch: stride(o.K, 1), KRow: stride(o.K, 2),
		VBatch: stride(o.V, 1), VRow: stride(o.V, 2), DyBatch: stride(o.DY, 1), DyRow: stride(o.DY, 2),
		StatsBatch: stride(o.Stats, 0), StatsHead: stride(o.Stats, 1),
		FirstQuery: uint32(t), Queries: uint32(tEnd - t), FirstKey: uint32(j), Keys: uint32(jEnd - j),
		SharedBy: uint32(o.shared), Size: uint32(o.HeadSize()), Scale: o.Scale,
		Window: attentionWindow(o.Window, o.DY.Dim(2)), SoftCap: o.SoftCap,
	}
}

// ofHeadsStats are the stats of queries [t, tEnd).
func (o attentionBackwardPart) ofHeadsStats(t, tEnd int) backend.Tensor {
	return o.Stats.Slice(1, o.g*o.shared, o.gEnd*o.shared).Slice(2, t, tEnd)
}

// sinks binds those of the part's heads, where there are some.
func (o attentionBackwardPart) sinks(e *encoder, push *shaders.AttentionBackwardPush) (b binding) {
	if o.Sinks.Absent() {
		b, push.Sinks = e.operand(o.Sinks, backend.Read)
		push.Sinks = shaders.Absent
		return b
	}
	b, push.Sinks = e.operand(o.Sinks.Slice(3, o.g*o.shared, o.gEnd*o.shared), backend.Read)
	return b
}

// attentionSinksBackward encodes the dispatches that add up gradients of sinks, from stats.
func attentionSinksBackward(e *encoder, o attentionBackwardPart) error {
	heads, time := (o.gEnd-o.g)*o.shared, o.DY.Dim(2)
	spec := attentionBackwardShape(e.limits(), attentionSinks, 1, o.HeadSize())
	spec.Extras = true
	sequences := max(e.maxRounds()/time*int(spec.Lanes), 1)
	return each(o.DY.Dim(1), sequences, func(b, bEnd int) error {
		push := o.push(0, time, 0, bEnd-b)
		stats, base := e.operand(o.ofHeadsStats(0, time).Slice(0, b, bEnd), backend.Update)
		push.Stats = base
		dsinks, base := e.operand(o.DSinks.Slice(3, o.g*o.shared, o.gEnd*o.shared), backend.Update)
		push.Dst = base
		sinks := o.sinks(e, &push)
		none, _ := e.operand(backend.Tensor{}, backend.Read)
		return e.dispatch(pipelineSpec{variant: shaders.Find("attention_backward", ""), spec: spec}, push, [3]uint32{1, uint32(heads), 1},
			dsinks, none, none, none, none, stats, stats, sinks)
	})
}

// attentionBackwardShape gives the specialization constants of a dispatch. They
// hardly depend on the op: compiling takes long.
func attentionBackwardShape(l *Limits, pass uint32, sums, size int) shaders.AttentionBackwardSpec {
	own := l.attentionQueries()
	lanes := attentionLanes(l, own)
	own = min(own, lanes)
	for sums*size*own > attentionBackwardGathered {
		own /= 2
	}
	chunk := max(lanes, attentionBackwardWeights/own)
	spec := shaders.AttentionBackwardSpec{Lanes: uint32(lanes), Pass: pass, Own: uint32(own), Chunk: uint32(chunk), AtOnce: 1}
	if l.Software && chunk >= 4*lanes {
		spec.AtOnce = 4
	}
	return spec
}

// attentionBackwardOperands chooses the variant and binds queries, keys, values and what comes from
// above: through the texture unit on a software driver, in fours where vectors
// allow it.
func attentionBackwardOperands(e *encoder, p pipelineSpec, size int, push *shaders.AttentionBackwardPush, ts [4]backend.Tensor) (pipelineSpec, [4]binding, error) {
	type way struct {
		macro string
		bound [4]binding
		bases [4]uint32
	}
	var ways []way
	add := func(macro string, bind func(t backend.Tensor) (binding, uint32, bool)) {
		w, ok := way{macro: macro}, macro == "" || size%4 == 0
		for i, t := range ts {
			var bound bool
			w.bound[i], w.bases[i], bound = bind(t)
			ok = ok && bound && (macro == "" || inFours(t, w.bases[i]))
		}
		if ok {
			ways = append(ways, w)
		}
	}
	if e.limits().Software {
		add("TEXEL", func(t backend.Tensor) (binding, uint32, bool) { return e.texel(t, texelF32x4) })
	}
	for _, macro := range []string{"X4", ""} {
		add(macro, func(t backend.Tensor) (binding, uint32, bool) {
			b, base := e.operand(t, backend.Read)
			return b, base, true
		})
	}
	var list [][]pipelineSpec
	for _, w := range ways {
		q := p
		q.variant = shaders.Find("attention_backward", w.macro)
		list = append(list, []pipelineSpec{q})
	}
	i, err := e.pick(list...)
	w := ways[i]
	push.Q, push.K, push.V, push.Dy = w.bases[0], w.bases[1], w.bases[2], w.bases[3]
	return list[i][0], w.bound, err
}
