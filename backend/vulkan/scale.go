//go:build cgo

package vulkan

import (
	"caldera/backend"
	"caldera/shaders"
)

func init() {
	register(kernel[*backend.Scale]{encode: encodeScale})
}

func encodeScale(e *encoder, op *backend.Scale) error {
	by := op.Factors()
	by.Shape[3], by.Strides[3] = op.X.Dim(-1), 0 // a factor for each element, so that slices of x have theirs
	return e.pieces(3, []backend.Tensor{op.Dst, op.X, by}, func(ts []backend.Tensor) error {
		dst, x, by := ts[0], ts[1], ts[2].Slice(3, 0, 1)
		if one := oneRow(by); dst.Contiguous() && x.Contiguous() && repeated(by) { // as one long row
			dst, x, by = dst.Reshape(dst.Len()), x.Reshape(x.Len()), one
		}
		to, toBase := e.operand(dst, backend.Write)
		from, fromBase := e.operand(x, backend.Read)
		factors, factorsBase := e.operand(by, backend.Read)
		p, unit, err := e.inUnits("scale", "", inFours(dst, toBase) && inFours(x, fromBase), elementwiseWorkgroup)
		if err != nil {
			return err
		}
		n := x.Dim(-1) / unit
		return e.dispatch(p,
			shaders.ScalePush{
				Dst: view(dst, toBase, unit), X: view(x, fromBase, unit), By: view(by, factorsBase, 1),
				Rows: uint32(x.Rows()), N1: uint32(x.Dim(1)), N2: uint32(x.Dim(2)), N: uint32(n),
			},
			[3]uint32{e.groups(0, n, elementwiseLanes), e.groups(1, x.Rows(), 1), 1},
			to, from, factors)
	})
}

// repeated reports whether all rows of t are the same one.
func repeated(t backend.Tensor) bool {
	for i := range 3 {
		if t.Dim(i) > 1 && t.Stride(i) != 0 {
			return false
		}
	}
	return true
}
