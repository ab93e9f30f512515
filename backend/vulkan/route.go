//go:build cgo

package vulkan

import (
	"caldera/backend"
	"caldera/shaders"
)

func init() {
	register(kernel[*backend.Route]{
		supports: func(l *Limits, op *backend.Route) bool { return rowsFit(l, op.IDs, op.Weights, op.X) },
		encode:   encodeRoute,
	})
}

const routeLanes = 64 // the most that route.comp has room for

// encodeRoute encodes a workgroup for each row.
func encodeRoute(e *encoder, op *backend.Route) error {
	v := shaders.Find("route", "")
	return e.pieces(2, []backend.Tensor{op.IDs, op.Weights, op.X}, func(ts []backend.Tensor) error {
		ids, weights, x := ts[0], ts[1], ts[2]
		idsBinding, idsBase := e.operand(ids, backend.Write)
		weightsBinding, weightsBase := e.operand(weights, backend.Write)
		from, fromBase := e.operand(x, backend.Read)
		return e.dispatch(
			pipelineSpec{variant: v, spec: shaders.Workgroup{Lanes: min(e.workgroup(v, x.Dim(-1)), routeLanes)}},
			shaders.RoutePush{
				IDs: view(ids, idsBase, 1), Weights: view(weights, weightsBase, 1), X: view(x, fromBase, 1),
				Rows: uint32(x.Rows()), N1: uint32(x.Dim(1)), N2: uint32(x.Dim(2)), N: uint32(x.Dim(-1)), Chosen: uint32(ids.Dim(-1)),
			},
			[3]uint32{e.groups(0, x.Rows(), 1), 1, 1},
			idsBinding, weightsBinding, from)
	})
}
