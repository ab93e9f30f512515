//go:build cgo

package vulkan

import (
	"math/bits"
	"strings"

	"caldera/backend"
	"caldera/shaders"
)

// On a GPU with subgroups attention of one query a run is attention_one.comp, and of several
// attention_tile.comp, or where the device has matrix units attention_matrix.comp
// (attention_matrix.go). attention.comp remains for what these do not take: probabilities that are
// to be kept, vectors that do not lie in 16 bytes, operands that are not bound as a whole, software drivers.

const (
	splitFrom = 512 // keys; more are split: one workgroup would take longer for them than another dispatch does
	partKeys  = 128 // of a part: a multiple. A workgroup of 256 lanes has about so many in flight at once
	mostParts = 64  // which attention_join.comp takes
	fillLanes = 512 // of a core: with 128 bytes and more of each in flight it waits for memory, not for latency
)

// wideAttention is what the dispatches of a part of an op are told beside its operands.
type wideAttention struct {
	extras      bool // whether there is a window, a soft-cap or sinks
	firstTime   int  // where the part begins in its run
	parts, keys int  // of one query: in how many parts keys are split, and how many each has
}

// wide returns what the dispatches of attention_one.comp, attention_tile.comp and attention_matrix.comp are told of a part. ok is false if these do not take it.
func (e *encoder) wide(part *attentionPart) (w wideAttention, ok bool) {
	l := e.limits()
	if l.Software || !l.sumSubgroups() || !l.SubgroupShuffle || part.Q.Dim(3) != part.op.Q.Dim(3) || !liesWide(e, part.Attention) {
		return w, false
	}
	return wideAttention{extras: part.Window > 0 || part.SoftCap > 0 || !part.Sinks.Absent(), firstTime: part.firstTime}, true
}

// liesWide reports whether operands are such as the shaders read them.
func liesWide(e *encoder, part *backend.Attention) bool {
	if !part.Probs.Absent() || !e.fits(part.K) || !e.fits(part.V) || part.HeadSize()%wideElements(part.K.DType) != 0 {
		return false
	}
	for _, t := range []backend.Tensor{part.Dst, part.Q, part.K, part.V} {
		n := wideElements(t.DType)
		if _, base := e.operand(t, backend.Read); int(base)%n != 0 || t.Stride(1)%n != 0 && t.Dim(1) > 1 || t.Stride(2)%n != 0 && t.Dim(2) > 1 {
			return false
		}
	}
	return true
}

// wideElements is how many elements 16 bytes are.
func wideElements(d backend.DType) int { return 16 / d.BlockBytes() }

// spec fills in what follows from a part of an op.
func (w *wideAttention) spec(s *shaders.AttentionWideSpec, part *backend.Attention) {
	s.Extras, s.Table = w.extras, !part.Table.Absent()
}

// shapeOneQuery returns how attention_one.comp divides its work. shares is how many workgroups take the
// heads of a group. ok is false if vectors are too long for the lanes of a subgroup.
func shapeOneQuery(l *Limits, op *backend.Attention) (s shaders.AttentionOneSpec, shares int, ok bool) {
	size, shared, subgroup := op.HeadSize(), op.Heads/op.Groups(), int(l.SubgroupSize)
	pieces := size / wideElements(op.K.DType) // of 16 bytes, of a head
	fours := wideElements(op.K.DType) / 4     // vectors of four of a piece
	most := 8                                 // vectors of four that a lane has
	switch {
	case l.FewRegisters:
		most = 2
	case l.maker().halfRegisters: // with eight the driver spills
		most = 4
	}
	cluster := 1
	for cluster < min(pieces, 16, subgroup) {
		cluster *= 2
	}
	items := func() int { return (pieces + cluster - 1) / cluster }
	for (items() > 4 || items()*fours > most) && cluster < subgroup {
		cluster *= 2
	}
	heads := min(shared, 4, most/(items()*fours))
	if items() > 4 || heads == 0 {
		return s, 0, false
	}
	shares = (shared + heads - 1) / heads
	heads = (shared + shares - 1) / shares
	lanes, limit := 8*subgroup, min(256, int(l.Invocations), int(l.WorkgroupSize[0]))
	for lanes > limit || lanes/subgroup*heads*size > 3072 { // which the sums have in shared memory
		lanes /= 2
	}
	s.Lanes, s.Size, s.Heads, s.Cluster = uint32(lanes), uint32(size), uint32(heads), uint32(cluster)
	s.Keys, s.Subgroups = uint32(min(4, 6/items())), uint32(lanes/subgroup)
	return s, shares, lanes >= subgroup
}

// manyRows is from how many queries of all heads on a lane takes two: then workgroups are still
// enough to fill a GPU.
const manyRows = 32768

// twoQueries reports whether a lane of attention_tile.comp may take two queries of so many elements.
func (l *Limits) twoQueries(size int) bool { return size <= 128 && !l.maker().halfRegisters }

// shapeTile returns how attention_tile.comp divides its work. ok is false if vectors are too long for
// it or for the lanes of a subgroup, or if registers are few: Intel's driver would spill 44 to 190 of them.
func shapeTile(l *Limits, part *backend.Attention) (s shaders.AttentionTileSpec, ok bool) {
	size, shared := part.HeadSize(), part.Heads/part.Groups()
	s.Size, s.Cluster, s.Lanes, s.Heads, s.Rows, s.Tile, s.Block = uint32(size), 4, 128, 1, 1, 32, 16
	switch { // a tile must fit in shared memory, and queries and sums of a lane in registers
	case size > 128:
		s.Cluster, s.Tile, s.Block = 8, 8, 8
	case size > 64:
		s.Cluster, s.Tile = 8, 16
	}
	for shared%int(2*s.Heads) == 0 && s.Heads < 4 {
		s.Heads *= 2
	}
	if queries := part.Q.Dim(1) * part.Q.Dim(2) * part.Heads; l.twoQueries(size) && queries >= manyRows {
		s.Rows = 2
	}
	return s, !l.FewRegisters && size <= 256 && s.Cluster <= l.SubgroupSize && s.Lanes%l.SubgroupSize == 0 && s.Lanes <= min(l.Invocations, l.WorkgroupSize[0])
}

// splitKeys returns in how many parts so many keys are split, and how many keys each has, where
// groups workgroups of so many lanes serve all keys together: so many that workgroups fill the device's
// cores, as long as a part has partKeys.
func splitKeys(l *Limits, keys, groups, lanes int) (parts, each int) {
	most := min(mostParts, int(l.Groups[0]))
	wanted := min(most, (l.Cores*fillLanes+groups*lanes-1)/(groups*lanes))
	if keys <= splitFrom || wanted < 2 {
		return 1, keys
	}
	each = max((keys/wanted+partKeys/2)/partKeys, 1) * partKeys
	if (keys+each-1)/each > most {
		each = (keys + most - 1) / most
	}
	return (keys + each - 1) / each, each
}

// onePipeline is that of attention_one.comp.
func onePipeline(part *backend.Attention, spec shaders.AttentionOneSpec) pipelineSpec {
	return pipelineSpec{variant: wideVariant("attention_one", part), spec: spec, work: attentionWork(part, 1)}
}

// joinPipeline is that of attention_join.comp.
func (w *wideAttention) joinPipeline(l *Limits, part *backend.Attention) pipelineSpec {
	return pipelineSpec{variant: shaders.Find("attention_join", "SUBGROUP"), spec: shaders.AttentionJoinSpec{
		Lanes: max(64, l.SubgroupSize), Size: uint32(part.HeadSize()), Parts: uint32(w.parts), SubgroupSize: l.SubgroupSize,
	}}
}

// one encodes the dispatch for one query a run, and where keys are split another one that joins the parts.
// How many parts there are depends on the context, not on the position, which nobody knows yet: a part
// that a query does not reach is over at once. It does not depend on other runs,
// because what a token gets must not.
func (w *wideAttention) one(e *encoder, part *backend.Attention, spec shaders.AttentionOneSpec, shares int) error {
	groups := [3]uint32{uint32(w.parts), uint32(part.Groups() * shares), uint32(part.Q.Dim(1))}
	if !spec.Split {
		return w.dispatch(e, onePipeline(part, spec), part, part.Dst, groups)
	}
	l := e.limits()
	one := backend.Of(nil, backend.F32, 0, 1, part.Heads, w.parts, part.HeadSize()+4) // what is left of a run
	return each(part.Q.Dim(1), max(1, (int(min(l.BindingRange, 1<<62))-int(l.BindingAlign))/one.Size()), func(r, end int) error {
		of := *part
		of.Q, of.Dst, of.At = part.Q.Slice(1, r, end), part.Dst.Slice(1, r, end), part.At.Slice(3, r, end)
		left, err := e.sharedScratch(backend.F32, end-r, one.Dim(1), one.Dim(2), one.Dim(3))
		if err != nil {
			return err
		}
		groups[2] = uint32(end - r)
		if err := w.dispatch(e, onePipeline(&of, spec), &of, left, groups); err != nil {
			return err
		}
		return w.join(e, &of, left)
	})
}

// join encodes the dispatch that joins what is left of parts.
func (w *wideAttention) join(e *encoder, of *backend.Attention, left backend.Tensor) error {
	x, xBase := e.operand(left, backend.Read)
	dst, base := e.operand(of.Dst, backend.Write)
	at, seq := e.operand(of.At, backend.Read)
	sequences, context := of.Cache()
	return e.dispatch(w.joinPipeline(e.limits(), of), shaders.AttentionJoinPush{
		Dst: base, DstRun: uint32(of.Dst.Stride(1)), X: xBase, Seq: seq, Pos: seq + uint32(of.At.Stride(-2)),
		Sequences: uint32(sequences), Context: uint32(context), Window: attentionWindow(of.Window, context), PartKeys: uint32(w.keys),
	}, [3]uint32{1, uint32(of.Heads), uint32(of.Q.Dim(1))}, dst, x, at)
}

// tilePipeline is that of attention_tile.comp.
func tilePipeline(part *backend.Attention, spec shaders.AttentionTileSpec) pipelineSpec {
	return pipelineSpec{variant: wideVariant("attention_tile", part), spec: spec, work: attentionWork(part, part.Q.Dim(2))}
}

// tileQueries is how many queries a workgroup of attention_tile.comp takes.
func tileQueries(spec shaders.AttentionTileSpec) int {
	return int(spec.Lanes / spec.Cluster * spec.Rows / spec.Heads)
}

// tile encodes the dispatch for runs of several queries.
func (w *wideAttention) tile(e *encoder, part *backend.Attention, spec shaders.AttentionTileSpec) error {
	time, queries := part.Q.Dim(2), tileQueries(spec)
	groups := [3]uint32{uint32((time + queries - 1) / queries), uint32(part.Heads / int(spec.Heads)), uint32(part.Q.Dim(1))}
	return w.dispatch(e, tilePipeline(part, spec), part, part.Dst, groups)
}

// wideVariant is the variant of a shader for keys and values of an op.
func wideVariant(source string, part *backend.Attention) *shaders.Variant {
	return shaders.Find(source, strings.Join(append(storage("", part.K.DType), "SUBGROUP"), " "))
}

// dispatch encodes a dispatch of attention_one.comp, attention_tile.comp or attention_matrix.comp.
func (w *wideAttention) dispatch(e *encoder, p pipelineSpec, part *backend.Attention, dst backend.Tensor, groups [3]uint32) error {
	sequences, context := part.Cache()
	push := shaders.AttentionWidePush{
		QRun: uint32(part.Q.Stride(1)), QTime: uint32(part.Q.Stride(2)), DstRun: uint32(part.Dst.Stride(1)), DstTime: uint32(part.Dst.Stride(2)),
		KSeq: uint32(part.K.Stride(1)), KRow: uint32(part.K.Stride(2)), VSeq: uint32(part.V.Stride(1)), VRow: uint32(part.V.Stride(2)),
		FirstTime: uint32(w.firstTime), Time: uint32(part.Q.Dim(2)), Context: uint32(context),
		SharedBy: uint32(part.Heads / part.Groups()), Scale: part.Scale, Window: attentionWindow(part.Window, context), SoftCap: part.SoftCap,
		Sequences: uint32(sequences), TableStride: uint32(part.Table.Stride(-2)),
		Blocks: uint32(part.K.Dim(1)), BlockBits: uint32(bits.TrailingZeros(uint(part.K.Dim(2)))), PartKeys: uint32(w.keys),
	}
	to, base := e.operand(dst, backend.Write)
	push.Dst = base
	q, base := e.operand(part.Q, backend.Read)
	push.Q = base
	k, base := e.operand(part.K, backend.Read)
	push.K = base
	v, base := e.operand(part.V, backend.Read)
	push.V = base
	at, base := e.operand(part.At, backend.Read)
	push.Seq, push.Pos = base, base+uint32(part.At.Stride(-2))
	table, base := e.operand(part.Table, backend.Read)
	push.Table = base
	sinks, base := e.operand(part.Sinks, backend.Read)
	if push.Sinks = base; part.Sinks.Absent() {
		push.Sinks = shaders.Absent
	}
	return e.dispatch(p, push, groups, to, q, k, v, at, table, sinks)
}
