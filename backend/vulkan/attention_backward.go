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
)

// supportsAttentionBackward: a row of each operand and the stats of a group are
// bound as a whole, and two of a head's vectors must find room in shared memory.
func supportsAttentionBackward(l *Limits, op *backend.AttentionBackward) bool {
	stats := op.Stats.Slice(0, 0, 1).Slice(1, 0, op.Heads/op.Groups())
	return rowsFit(l, op.DQKV, op.QKV, op.DY) && maxAlong(l, stats, 0) > 0 && 2*op.HeadSize() <= attentionBackwardGathered
}

// encodeAttentionBackward takes three dispatches, or more where operands are
// too large to be bound or the work is too much for one submit: for some
// sequences, the heads of some groups, and windows of queries and keys.
func encodeAttentionBackward(e *encoder, op *backend.AttentionBackward) error {
	shared := op.Heads / op.Groups()
	sequences := min(e.maxAlong(op.QKV, 1), e.maxAlong(op.DQKV, 1), e.maxAlong(op.DY, 1), int(e.limits().Groups[2]))
	window := op.DY.Dim(2)
	if sequences == 0 { // not even one fits as a whole
		sequences = 1
		window = min(e.maxRows(op.QKV.Slice(1, 0, 1)), e.maxRows(op.DQKV.Slice(1, 0, 1)), e.maxRows(op.DY.Slice(1, 0, 1)))
	}
	sequences = max(min(sequences, e.maxAlong(op.Stats, 0)), 1)
	groups := min(op.Groups(), max(int(e.limits().Groups[1])/shared, 1), max(e.maxAlong(op.Stats.Slice(0, 0, sequences), 1)/shared, 1))

	// So that no watchdog fires. A workgroup takes one row at least.
	pair := 4 * shared * op.HeadSize() // multiply-adds of a query and a key, at most
	window = min(window, max(int(math.Sqrt(float64(maxWork/pair)))&^7, 8), int(e.limits().Groups[0]))
	groups = min(groups, max(maxWork/(pair*window*window), 1))
	sequences = min(sequences, max(maxWork/(pair*window*window*groups), 1))

	return each(op.DY.Dim(1), sequences, func(b, bEnd int) error {
		part := *op
		part.DQKV, part.QKV = op.DQKV.Slice(1, b, bEnd), op.QKV.Slice(1, b, bEnd)
		part.DY, part.Stats = op.DY.Slice(1, b, bEnd), op.Stats.Slice(0, b, bEnd)
		return each(op.Groups(), groups, func(g, gEnd int) error {
			return attentionBackwardWindows(e, attentionBackwardPart{&part, shared, g, gEnd}, window)
		})
	})
}

// attentionBackwardPart is some groups of an AttentionBackward, with the heads that share each.
type attentionBackwardPart struct {
	*backend.AttentionBackward
	shared  int
	g, gEnd int
}

// attentionBackwardWindows encodes the dispatches for each pair of windows of
// queries t and keys j that see each other.
func attentionBackwardWindows(e *encoder, o attentionBackwardPart, window int) error {
	time := o.DY.Dim(2)
	for _, pass := range []uint32{attentionStats, attentionQueries} {
		err := each(time, window, func(t, tEnd int) error {
			return each(tEnd, window, func(j, jEnd int) error {
				return attentionBackwardPass(e, o, pass, t, tEnd, j, jEnd, j > 0)
			})
		})
		if err != nil {
			return err
		}
	}
	return each(time, window, func(j, jEnd int) error {
		return each(time-j, window, func(t, tEnd int) error {
			return attentionBackwardPass(e, o, attentionKeys, j+t, j+tEnd, j, jEnd, t > 0)
		})
	})
}

// attentionBackwardPass encodes a dispatch for queries [t, tEnd) and keys [j, jEnd).
func attentionBackwardPass(e *encoder, o attentionBackwardPart, pass uint32, t, tEnd, j, jEnd int, add bool) error {
	l, size, all := e.limits(), o.HeadSize(), o.Heads+o.Groups()
	heads, queries, keys := (o.gEnd-o.g)*o.shared, tEnd-t, jEnd-j
	vectors := func(x backend.Tensor, first, count, from, to int) backend.Tensor {
		return x.Slice(3, first*size, (first+count)*size).Slice(2, from, to)
	}
	push := shaders.AttentionBackwardPush{
		Dv:    uint32(o.Groups() * size),
		Batch: uint32(o.QKV.Stride(1)), Row: uint32(o.QKV.Stride(2)),
		DyBatch: uint32(o.DY.Stride(1)), DyRow: uint32(o.DY.Stride(2)),
		DstBatch: uint32(o.DQKV.Stride(1)), DstRow: uint32(o.DQKV.Stride(2)),
		StatsBatch: uint32(o.Stats.Stride(0)), StatsHead: uint32(o.Stats.Stride(1)), StatsRow: uint32(o.Stats.Stride(2)),
		FirstQuery: uint32(t), Queries: uint32(queries), FirstKey: uint32(j), Keys: uint32(keys),
		SharedBy: uint32(o.shared), Size: uint32(size), Add: boolean(add), Scale: float32(1 / math.Sqrt(float64(size))),
	}
	dst, rows, side, sums, products := backend.Tensor{}, queries, heads, 1, 2
	switch pass {
	case attentionQueries:
		dst, products = vectors(o.DQKV, o.g*o.shared, heads, t, tEnd), 3
	case attentionKeys: // from the first key to the last value
		dst = vectors(o.DQKV, o.Heads+o.g, o.Groups()+o.gEnd-o.g, j, jEnd)
		rows, side, sums, products = keys, o.gEnd-o.g, 2, 4
	}
	spec := attentionBackwardShape(l, pass, sums, size)
	lanes, own := int(spec.Lanes), int(spec.Own)
	groups := [3]uint32{uint32((rows + own - 1) / own), uint32(side), uint32(o.DY.Dim(1))}

	// The shader may write stats in each pass, so that they count as written; in
	// the first they stand for dst too, for what is absent must not seem to be.
	stats, base := e.operand(o.Stats.Slice(1, o.g*o.shared, o.gEnd*o.shared).Slice(2, t, tEnd), backend.Update)
	push.Stats = base
	to := stats
	if pass != attentionStats {
		to, push.Dst = e.operand(dst, backend.Update)
	}
	defines, read := attentionBackwardOperands(e, size, &push, [4]backend.Tensor{
		vectors(o.QKV, o.g*o.shared, heads, t, tEnd),
		vectors(o.QKV, o.Heads+o.g, o.gEnd-o.g, j, jEnd),
		vectors(o.QKV, all+o.g, o.gEnd-o.g, j, jEnd),
		vectors(o.DY, o.g*o.shared, heads, t, tEnd),
	})
	most := lanes // parts, of one element an invocation
	if defines != "" {
		most = 4 * lanes
	}
	push.Parts = uint32(max(min(most/(sums*size), attentionBackwardGathered/(own*sums*size)), 1))
	work := uint64(products*o.DY.Dim(1)*heads*size) * uint64(queries*keys)
	return e.dispatch(pipelineSpec{variant: shaders.Find("attention_backward", defines), spec: spec, work: work}, push, groups,
		to, read[0], read[1], read[2], read[3], stats)
}

// attentionBackwardShape gives the specialization constants of a dispatch. They
// hardly depend on the op: compiling takes long.
func attentionBackwardShape(l *Limits, pass uint32, sums, size int) shaders.AttentionBackwardSpec {
	own := 8
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

// attentionBackwardOperands binds queries, keys, values and what comes from
// above: through the texture unit on a software driver, in fours where vectors
// allow it.
func attentionBackwardOperands(e *encoder, size int, push *shaders.AttentionBackwardPush, ts [4]backend.Tensor) (defines string, bound [4]binding) {
	bases := [4]*uint32{&push.Q, &push.K, &push.V, &push.Dy}
	fours := func() bool {
		ok := size%4 == 0
		for i, t := range ts {
			ok = ok && inFours(t, *bases[i])
		}
		return ok
	}
	if e.limits().Software {
		all := true
		for i, t := range ts {
			var ok bool
			bound[i], *bases[i], ok = e.texel(t, texelF32x4)
			all = all && ok
		}
		if all && fours() {
			return "TEXEL", bound
		}
	}
	for i, t := range ts {
		bound[i], *bases[i] = e.operand(t, backend.Read)
	}
	if fours() {
		return "X4", bound
	}
	return "", bound
}
