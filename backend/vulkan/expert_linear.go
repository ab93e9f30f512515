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
	expertRows  = 4 // most that a workgroup computes at once
	expertOuts  = 4
	expertLanes = 64
)

// encodeExpertLinear encodes one dispatch, unless a tensor is too large for one binding: then those of
// tokens, of experts, and where one expert is too large, of outputs. Each handles the rows whose experts it has bound.
func encodeExpertLinear(e *encoder, op *backend.ExpertLinear) error {
	// An invocation of a software driver may only go so often through loops: see maxRounds. For a token these are a look at
	// each id, and at most a product each.
	lanes := e.expertLanes()
	rounds := op.Dst.Dim(2) * (op.W.Dim(-1)/int(lanes) + 32*expertRows)
	return e.eachToken([]backend.Tensor{op.Dst, op.X}, func(b, bEnd, t0, t0End int) error {
		return each(t0End-t0, e.maxRounds()/rounds, func(t, tEnd int) error {
			part := *op
			part.Dst, part.X = op.Dst.Slice(0, b, bEnd).Slice(1, t0+t, t0+tEnd), op.X.Slice(0, b, bEnd).Slice(1, t0+t, t0+tEnd)
			part.IDs = op.IDs.Slice(1, b, bEnd).Slice(2, t0+t, t0+tEnd)
			mark := uint32(1)
			experts := e.maxAlong(op.W, 1)
			return each(op.W.Dim(1), experts, func(i, iEnd int) error {
				part.W = op.W.Slice(1, i, iEnd)
				push := shaders.ExpertLinearPush{First: uint32(i), Piece: uint32(iEnd - i), Experts: uint32(op.W.Dim(1)), MarkMissing: mark}
				mark = 0
				outs := part.W.Dim(2)
				if experts == 0 { // not even one
					outs = e.maxRows(part.W)
				}
				return each(part.W.Dim(2), outs, func(o, oEnd int) error {
					some := part
					some.Dst, some.W = part.Dst.Slice(3, o, oEnd), part.W.Slice(2, o, oEnd)
					if !some.Bias.Absent() {
						some.Bias = part.Bias.Slice(3, o, oEnd)
					}
					return encodeExperts(e, push, &some, lanes)
				})
			})
		})
	}, op.IDs)
}

// expertLanes is the size of a workgroup: a subgroup of a software driver, which runs these one after another.
func (e *encoder) expertLanes() uint32 {
	l := e.limits()
	if e.tried != nil && e.tried.variant.Source == "expert_linear" {
		return lanesOf(e.tried.pipelineSpec)
	}
	if l.Software {
		return max(l.SubgroupSize, 4)
	}
	return expertLanes
}

// encodeExperts encodes a dispatch of what fits bindings, with some matrices, or some of their outputs.
func encodeExperts(e *encoder, push shaders.ExpertLinearPush, op *backend.ExpertLinear, lanes uint32) error {
	dstBinding, dstBase := e.operand(op.Dst, backend.Update)
	xBinding, xBase := e.operand(op.X, backend.Read)
	wBinding, wBase := e.operand(op.W, backend.Read)
	biasBinding, biasBase := e.operand(op.Bias, backend.Read)
	idsBinding, idsBase := e.operand(op.IDs, backend.Read)

	macros := strings.Join(append(storage("", op.W.DType), storage("X_", op.X.DType)...), " ")
	fours := !op.X.DType.Quantized() && inFours(op.Vectors(), xBase) && (op.W.DType.Quantized() || inFours(op.W, wBase))
	rows := uint32(expertRows)
	if op.Dst.Dim(0)*op.Dst.Dim(1) == 1 { // whose experts are different ones
		rows = 1
	}
	if e.tried != nil && e.tried.variant.Source == "expert_linear" {
		rows = shaders.Words(e.tried.spec)[1]
	}
	p, _, err := e.inUnits("expert_linear", macros, fours, func(*shaders.Variant, int) any {
		return shaders.ExpertLinearSpec{Lanes: lanes, Rows: rows, Outs: expertOuts}
	})
	if err != nil {
		return err
	}
	push.Dst, push.X = view(op.Dst, dstBase, 1), blockView(op.Vectors(), xBase)
	push.Rows, push.N1, push.N2 = uint32(op.Dst.Rows()), uint32(op.Dst.Dim(1)), uint32(op.Dst.Dim(2))
	push.IDs, push.IDsStrideBatch, push.IDsStrideTime = idsBase, uint32(op.IDs.Stride(1)), uint32(op.IDs.Stride(2))
	push.W, push.WStride, push.WExpert = wBase, rowStride(op.W), elements(op.W, uint64(op.W.DType.Bytes(op.W.Stride(1))))
	push.Bias = shaders.Absent
	if !op.Bias.Absent() {
		push.Bias, push.BiasStride = biasBase, uint32(op.Bias.Stride(2))
	}
	p.work = uint64(op.Dst.Rows()) * uint64(op.W.Dim(2)) * uint64(op.W.Dim(3))
	push.In, push.Out = uint32(op.W.Dim(3)), uint32(op.W.Dim(2))
	return e.dispatch(p, push,
		[3]uint32{e.groups(0, op.W.Dim(2), expertOuts), e.groups(1, op.W.Dim(1), 1), 1},
		dstBinding, xBinding, wBinding, biasBinding, idsBinding)
}
