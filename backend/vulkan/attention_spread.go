//go:build cgo

package vulkan

import (
	"caldera/backend"
	"caldera/shaders"
)

// waysOfAttentionSpread: several queries a run, on a software driver.
func waysOfAttentionSpread(e *encoder, part *attentionPart) []attentionChoice {
	if _, ok := shapeAttentionSpread(e, part); !ok {
		return nil
	}
	return []attentionChoice{{source: "attention_spread"}}
}

func pipelinesOfAttentionSpread(e *encoder, part *attentionPart, _ *attentionChoice) []pipelineSpec {
	spec, _ := shapeAttentionSpread(e, part)
	return []pipelineSpec{attentionSpreadPipeline(part.Attention, spec)}
}

func encodeAttentionSpread(e *encoder, part *attentionPart, _ *attentionChoice) (ok bool, err error) {
	spec, _ := shapeAttentionSpread(e, part)
	ok, err = e.trusts(attentionSpreadPipeline(part.Attention, spec), func(t *trials) { tryAttentionSpread(t, part.op, spec) })
	if err != nil || !ok {
		return false, err
	}
	return true, dispatchAttentionSpread(e, part.Attention, part.op, spec, part.firstHead, part.firstTime)
}

// shapeAttentionSpread returns how attention_spread.comp divides its work. ok is false if it does not take a part: it
// is for runs of several queries on a software driver, without what is rare.
func shapeAttentionSpread(e *encoder, part *attentionPart) (s shaders.AttentionSpreadSpec, ok bool) {
	l, size := e.limits(), part.op.HeadSize()
	if !l.softwareShuffles(part.Q.Dim(2)) || part.Q.Dim(2) <= fewRows || size > 128 || size%int(4*l.SubgroupSize) != 0 ||
		part.Window > 0 || part.SoftCap > 0 || !part.Sinks.Absent() || !part.Probs.Absent() || !part.Table.Absent() ||
		!e.fits(part.K) || !e.fits(part.V) {
		return s, false
	}
	for _, t := range []backend.Tensor{part.Q, part.K, part.V} {
		if _, base, ok := e.texels(t); !ok || !inFours(t, base) {
			return s, false
		}
	}
	if _, base := e.operand(part.Dst, backend.Read); !inFours(part.Dst, base) {
		return s, false
	}
	s = shaders.AttentionSpreadSpec{Lanes: l.SubgroupSize, Size: uint32(size), Queries: 2, Permute: l.Permutes}
	if size > 64 {
		s.Queries = 1
	}
	return s, true
}

func attentionSpreadPipeline(part *backend.Attention, spec shaders.AttentionSpreadSpec) pipelineSpec {
	return pipelineSpec{variant: shaders.Find("attention_spread", "SUBGROUP"), spec: spec, work: attentionWork(part, part.Q.Dim(2))}
}

func dispatchAttentionSpread(e *encoder, part, op *backend.Attention, spec shaders.AttentionSpreadSpec, firstHead, firstTime int) error {
	push, groups := attentionPush(part, op, shaders.AttentionSpec{Queries: spec.Lanes * spec.Queries}, firstHead, firstTime)
	read := func(t backend.Tensor, base *uint32) (b binding) {
		b, *base, _ = e.texels(t)
		return b
	}
	q, k, v := read(part.Q, &push.Q), read(part.K, &push.K), read(part.V, &push.V)
	push.QRun, push.QTime = uint32(part.Q.Stride(1)), uint32(part.Q.Stride(2))
	push.KSeq, push.KRow = uint32(part.K.Stride(1)), uint32(part.K.Stride(2))
	push.VSeq, push.VRow = uint32(part.V.Stride(1)), uint32(part.V.Stride(2))
	dst, base := e.operand(part.Dst, backend.Write)
	push.Dst, push.DstRun, push.DstTime = base, uint32(part.Dst.Stride(1)), uint32(part.Dst.Stride(2))
	at, base := e.operand(part.At, backend.Read)
	push.Seq, push.Pos = base+push.FirstTime, base+uint32(part.At.Stride(-2))
	return e.dispatch(attentionSpreadPipeline(part, spec), push, groups, dst, q, k, v, at)
}

// tryAttentionSpread makes the trials of attention_spread.comp: one query more than a workgroup takes, over as many keys and
// over more, and fewer queries than it takes.
func tryAttentionSpread(t *trials, like *backend.Attention, spec shaders.AttentionSpreadSpec) {
	queries := int(spec.Lanes * spec.Queries)
	heads := triedHeads{size: int(spec.Size), shared: like.Heads / like.Groups(), groups: min(like.Groups(), 2), queries: queries, texels: true}
	for _, c := range [][2]int{{queries + 1, queries + triedStep}, {queries + 1, 2*queries + triedStep}, {queries - 1, queries}} {
		tryAttentionOf(t, like, heads, c[0], c[1], false, func(e *encoder, op *backend.Attention) error {
			return dispatchAttentionSpread(e, op, op, spec, 0, 0)
		})
	}
}
