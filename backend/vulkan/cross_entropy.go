//go:build cgo

package vulkan

import (
	"caldera/backend"
	"caldera/shaders"
)

func init() {
	register(kernel[*backend.CrossEntropy]{
		supports: func(l *Limits, op *backend.CrossEntropy) bool { return rowsFit(l, op.X) },
		encode:   encodeCrossEntropy,
	})
}

func encodeCrossEntropy(e *encoder, op *backend.CrossEntropy) error {
	v := shaders.Find("cross_entropy", "")
	most := min(e.maxRows(op.X), e.maxAlong(op.Loss, 3), e.maxAlong(op.Targets, 3))
	return each(op.X.Dim(-2), most, func(r, rEnd int) error {
		x, targets := op.X.Slice(-2, r, rEnd), op.Targets.Slice(-1, r, rEnd)
		loss, lossBase := e.operand(op.Loss.Slice(-1, r, rEnd), backend.Write)
		scores, scoresBase := e.operand(x, backend.Update)
		target, targetBase := e.operand(targets, backend.Read)
		lossScale, lossScaleBase := e.operand(op.LossScale, backend.Read)
		return e.dispatch(
			pipelineSpec{variant: v, spec: shaders.CrossEntropySpec{Lanes: e.workgroup(v, x.Dim(-1)), LossScale: !op.LossScale.Absent()}},
			shaders.CrossEntropyPush{
				Loss: lossBase,
				X:    scoresBase, XStride: uint32(x.Stride(-2)),
				Targets: targetBase, TargetsStride: uint32(targets.Stride(-1)),
				Rows: uint32(rEnd - r), N: uint32(x.Dim(-1)), Scale: op.Scale, LossScale: lossScaleBase,
			},
			[3]uint32{e.groups(0, rEnd-r, 1), 1, 1},
			loss, scores, target, lossScale)
	})
}
