//go:build cgo

package vulkan

import (
	"strings"

	"caldera/backend"
	"caldera/shaders"
)

func init() {
	register(kernel[*backend.ExpertLinear]{
		supports: func(l *Limits, op *backend.ExpertLinear) bool {
			return fit(l, oneToken(op.Dst), oneToken(op.X), op.Bias) && rowsFit(l, op.W, op.IDs)
		},
		encode: encodeExpertLinear,
	})
}

const (
	expertLanes  = 32 // of a workgroup, that share the inputs
	expertLanesY = 2  // which have outputs of their own
	orderLanes   = 128
)

// expertTile is how many rows of an expert a workgroup computes at once, for rows of which each has one of so many experts,
// and how many outputs an invocation has then. 1: each row is computed by itself, and reads its expert's matrix: where
// an expert has about one row, a list of them would be a dispatch for nothing.
func expertTile(rows, experts int) (tile, outs uint32) {
	switch {
	case rows <= experts:
		return 1, 4
	case rows <= 4*experts:
		return 4, 4
	}
	return 16, 2
}

// encodeExpertLinear encodes a dispatch, and before it where experts have several rows one that finds these. Where a tensor is too
// large for one binding there are dispatches for some tokens, some experts, or where one expert is too large, for some of
// its outputs. Each computes the rows whose experts it has bound.
func encodeExpertLinear(e *encoder, op *backend.ExpertLinear) error {
	experts, chosen := op.W.Dim(1), op.Dst.Dim(2)
	return e.eachToken([]backend.Tensor{op.Dst, op.X}, func(b, bEnd, t0, t0End int) error {
		return each(t0End-t0, e.expertTokens(experts, chosen)/(bEnd-b), func(t, tEnd int) error {
			part := *op
			part.Dst, part.X = op.Dst.Slice(0, b, bEnd).Slice(1, t0+t, t0+tEnd), op.X.Slice(0, b, bEnd).Slice(1, t0+t, t0+tEnd)
			part.IDs = op.IDs.Slice(1, b, bEnd).Slice(2, t0+t, t0+tEnd)
			spec := e.expertSpec(part.Dst.Rows(), experts)
			push := shaders.ExpertLinearPush{Experts: uint32(experts), MarkMissing: 1}
			order := part.IDs
			var err error
			if push.Tiles = uint32(part.Dst.Rows()); spec.Rows > 1 {
				if order, push.Tiles, err = encodeExpertOrder(e, part.IDs, experts, spec.Rows); err != nil {
					return err
				}
			}
			bound := e.maxAlong(op.W, 1)
			return each(experts, bound, func(i, iEnd int) error {
				part.W = op.W.Slice(1, i, iEnd)
				push.First, push.Piece = uint32(i), uint32(iEnd-i)
				outs := part.W.Dim(2)
				if bound == 0 { // not even one
					outs = e.maxRows(part.W)
				}
				err := each(part.W.Dim(2), outs, func(o, oEnd int) error {
					some := part
					some.Dst, some.W = part.Dst.Slice(3, o, oEnd), part.W.Slice(2, o, oEnd)
					if !some.Bias.Absent() {
						some.Bias = part.Bias.Slice(3, o, oEnd)
					}
					return encodeExperts(e, push, &some, order, spec)
				})
				push.MarkMissing = 0
				return err
			})
		})
	}, op.IDs)
}

// expertTokens is of how many tokens the rows of experts are found at once: what is found has to be bound, and an invocation of a software
// driver may only go so often through loops (see maxRounds).
func (e *encoder) expertTokens(experts, chosen int) int {
	l := e.limits()
	words := (int(min(l.BindingRange, 1<<31)) - int(l.BindingAlign)) / 4
	rows := min((words-3*(experts+1))/2, e.maxRounds()/(3*(experts/int(e.orderLanes())+1)))
	return max(rows/chosen, 1)
}

// expertSpec is what a workgroup of expert_linear.comp computes. On a software driver it is a subgroup, which such a driver
// runs one after another.
func (e *encoder) expertSpec(rows, experts int) shaders.ExpertLinearSpec {
	l := e.limits()
	spec := shaders.ExpertLinearSpec{Lanes: expertLanes, LanesY: expertLanesY}
	if l.Software {
		spec.Lanes, spec.LanesY = max(l.SubgroupSize, 4), 1
	}
	spec.Rows, spec.Outs = expertTile(rows, experts)
	if e.tried != nil && e.tried.variant.Source == "expert_linear" {
		spec = e.tried.spec.(shaders.ExpertLinearSpec)
	}
	return spec
}

// orderLanes is the size of the workgroup of expert_order.comp.
func (e *encoder) orderLanes() uint32 {
	l := e.limits()
	switch {
	case e.tried != nil && e.tried.variant.Source == "expert_order":
		return lanesOf(e.tried.pipelineSpec)
	case l.Software:
		return max(l.SubgroupSize, 4)
	}
	return min(orderLanes, l.Invocations, l.WorkgroupSize[0])
}

// encodeExpertOrder encodes the dispatch of expert_order.comp: it returns tiles of rows in the order of their experts, and
// behind them the list of these.
func encodeExpertOrder(e *encoder, ids backend.Tensor, experts int, tile uint32) (order backend.Tensor, tiles uint32, err error) {
	rows := ids.Len()
	n := mostTiles(rows, experts, int(tile))
	order, err = e.sharedScratch(backend.I32, 3*n+rows)
	if err != nil {
		return order, 0, err
	}
	return order, uint32(n), e.dispatchOrder(order, ids, n, experts, tile)
}

// mostTiles is the most tiles that rows may be: one more for each expert, and for ids outside, than they would be of one.
func mostTiles(rows, experts, tile int) int {
	return (rows + min(experts+1, rows)*(tile-1)) / tile
}

func (e *encoder) dispatchOrder(order, ids backend.Tensor, tiles, experts int, tile uint32) error {
	to, base := e.operand(order, backend.Write)
	from, idsBase := e.operand(ids, backend.Read)
	return e.dispatch(
		pipelineSpec{variant: shaders.Find("expert_order", ""), spec: shaders.Workgroup{Lanes: e.orderLanes()}},
		shaders.ExpertOrderPush{
			Tile: base, List: base + uint32(3*tiles), Tiles: uint32(tiles), TileRows: tile,
			Rows: uint32(ids.Len()), N1: uint32(ids.Dim(2)), N2: uint32(ids.Dim(3)),
			IDs: idsBase, IDsStrideBatch: uint32(ids.Stride(1)), IDsStrideTime: uint32(ids.Stride(2)), Experts: uint32(experts),
		}, [3]uint32{1, 1, 1}, to, from)
}

// encodeExperts encodes a dispatch of what fits bindings, with some matrices, or some of their outputs. order is ids, or what
// expert_order.comp makes of them.
func encodeExperts(e *encoder, push shaders.ExpertLinearPush, op *backend.ExpertLinear, order backend.Tensor, spec shaders.ExpertLinearSpec) error {
	dstBinding, dstBase := e.operand(op.Dst, backend.Update)
	xBinding, xBase := e.operand(op.X, backend.Read)
	wBinding, wBase := e.operand(op.W, backend.Read)
	biasBinding, biasBase := e.operand(op.Bias, backend.Read)
	orderBinding, orderBase := e.operand(order, backend.Read)

	macros := strings.Join(append(storage("", op.W.DType), storage("X_", op.X.DType)...), " ")
	fours := !op.X.DType.Quantized() && inFours(op.Vectors(), xBase) && (op.W.DType.Quantized() || inFours(op.W, wBase))
	p, _, err := e.inUnits("expert_linear", macros, fours, func(*shaders.Variant, int) any { return spec })
	if err != nil {
		return err
	}
	push.Dst, push.X = view(op.Dst, dstBase, 1), blockView(op.Vectors(), xBase)
	push.Rows, push.N1, push.N2 = uint32(op.Dst.Rows()), uint32(op.Dst.Dim(1)), uint32(op.Dst.Dim(2))
	push.IDs, push.IDsStrideBatch, push.IDsStrideTime = orderBase, uint32(op.IDs.Stride(1)), uint32(op.IDs.Stride(2))
	push.List = orderBase + 3*push.Tiles
	push.W, push.WStride, push.WExpert = wBase, rowStride(op.W), elements(op.W, uint64(op.W.DType.Bytes(op.W.Stride(1))))
	push.Bias = shaders.Absent
	if !op.Bias.Absent() {
		push.Bias, push.BiasStride = biasBase, uint32(op.Bias.Stride(2))
	}
	p.work = uint64(op.Dst.Rows()) * uint64(op.W.Dim(2)) * uint64(op.W.Dim(3))
	push.In, push.Out = uint32(op.W.Dim(3)), uint32(op.W.Dim(2))
	return e.dispatch(p, push,
		[3]uint32{e.groups(0, op.W.Dim(2), int(spec.LanesY*spec.Outs)), e.groups(1, int(push.Tiles), 1), 1},
		dstBinding, xBinding, wBinding, biasBinding, orderBinding)
}
