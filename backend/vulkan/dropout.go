//go:build cgo

package vulkan

import (
	"caldera/backend"
	"caldera/shaders"
)

func init() {
	register(kernel[*backend.Dropout]{encode: encodeDropout})
}

func encodeDropout(e *encoder, op *backend.Dropout) error {
	// index has no memory. It is split like the other tensors, so that the offset
	// and the strides of its piece say which number each element has in the whole.
	index := backend.Of(nil, backend.None, 0, op.Dst.Shape[:]...)
	return e.pieces(3, []backend.Tensor{op.Dst, op.X, index}, func(ts []backend.Tensor) error {
		dst, x, index := ts[0], ts[1], ts[2]
		if dst.Contiguous() && x.Contiguous() && index.Contiguous() { // one long row
			dst, x, index = dst.Reshape(dst.Len()), x.Reshape(x.Len()), index.Reshape(index.Len())
		}
		to, toBase := e.operand(dst, backend.Write)
		from, fromBase := e.operand(x, backend.Read)
		seed, seedBase := e.operand(op.Seed, backend.Read)

		var fours, rest shaders.View
		fours.Base, rest.Base = uint32(index.Offset/4), uint32(index.Offset%4)
		whole := rest.Base == 0 // each row begins at a multiple of four
		for i := range fours.Strides {
			if index.Dim(i) > 1 {
				fours.Strides[i], rest.Strides[i] = uint32(index.Stride(i)/4), uint32(index.Stride(i)%4)
				whole = whole && rest.Strides[i] == 0
			}
		}
		p, unit, err := e.inUnits("dropout", "", whole && inFours(dst, toBase) && inFours(x, fromBase), elementwiseWorkgroup)
		if err != nil {
			return err
		}
		n := dst.Dim(-1) / unit
		return e.dispatch(p,
			shaders.DropoutPush{
				Dst: view(dst, toBase, unit), X: view(x, fromBase, unit), Fours: fours, Rest: rest,
				Rows: uint32(dst.Rows()), N1: uint32(dst.Dim(1)), N2: uint32(dst.Dim(2)), N: uint32(n),
				Seed: seedBase, SeedStride: uint32(op.Seed.Stride(-1)), Stream: op.Stream,
				Threshold: op.Threshold(), Scale: op.Scale(),
			},
			[3]uint32{e.groups(0, n, elementwiseLanes), e.groups(1, dst.Rows(), 1), 1},
			to, from, seed)
	})
}
