//go:build cgo

package vulkan

import (
	"caldera/backend"
	"caldera/shaders"
)

func init() {
	register(kernel[*backend.ExpertSum]{
		supports: func(l *Limits, op *backend.ExpertSum) bool {
			return fit(l, oneToken(op.X)) && rowsFit(l, op.Dst, op.Weights)
		},
		encode: encodeExpertSum,
	})
}

// oneToken returns what is of the first token in a tensor [batch, time, chosen, n].
func oneToken(t backend.Tensor) backend.Tensor { return t.Slice(0, 0, 1).Slice(1, 0, 1) }

func encodeExpertSum(e *encoder, op *backend.ExpertSum) error {
	variant := shaders.Find("expert_sum", "")
	return e.eachToken([]backend.Tensor{op.X}, func(b, bEnd, t, tEnd int) error {
		x := op.X.Slice(0, b, bEnd).Slice(1, t, tEnd)
		dst, weights := op.Dst.Slice(1, b, bEnd).Slice(2, t, tEnd), op.Weights.Slice(1, b, bEnd).Slice(2, t, tEnd)
		to, toBase := e.operand(dst, backend.Write)
		from, fromBase := e.operand(x, backend.Read)
		by, byBase := e.operand(weights, backend.Read)
		rows := x // one for each token
		rows.Shape, rows.Strides = dst.Shape, [4]int{0, x.Strides[0], x.Strides[1], 1}
		return e.dispatch(
			pipelineSpec{variant: variant, spec: shaders.Workgroup{Lanes: elementwiseLanes}},
			shaders.ExpertSumPush{
				Dst: view(dst, toBase, 1), X: view(rows, fromBase, 1), Weights: view(weights, byBase, 1),
				Rows: uint32(dst.Rows()), N1: uint32(dst.Dim(1)), N2: uint32(dst.Dim(2)), N: uint32(dst.Dim(-1)),
				Chosen: uint32(x.Dim(2)), XStride: uint32(x.Stride(2)),
			},
			[3]uint32{e.groups(0, dst.Dim(-1), elementwiseLanes), e.groups(1, dst.Rows(), 1), 1},
			to, from, by)
	}, op.Dst, op.Weights)
}

// eachToken calls f for tokens, ranges of batch and of time, whose parts of xs, [batch, time, chosen, n], and of
// more, [batch, time, n], are small enough to be bound.
func (e *encoder) eachToken(xs []backend.Tensor, f func(b, bEnd, t, tEnd int) error, more ...backend.Tensor) error {
	batches := xs[0].Dim(0)
	for _, x := range xs {
		batches = min(batches, e.maxAlong(x, 0))
	}
	for _, m := range more {
		batches = min(batches, e.maxAlong(m, 1))
	}
	return each(xs[0].Dim(0), batches, func(b, bEnd int) error {
		times := xs[0].Dim(1)
		for _, x := range xs {
			times = min(times, e.maxAlong(x.Slice(0, b, bEnd), 1))
		}
		for _, m := range more {
			times = min(times, e.maxAlong(m.Slice(1, b, bEnd), 2))
		}
		return each(xs[0].Dim(1), times, func(t, tEnd int) error { return f(b, bEnd, t, tEnd) })
	})
}
