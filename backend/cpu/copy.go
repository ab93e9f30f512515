package cpu

import (
	"github.com/x448/float16"

	"caldera/backend"
	"caldera/backend/cpu/internal/vec"
)

func init() {
	register((*Backend).copy)
}

func (b *Backend) copy(op *backend.Copy) {
	b.parallel(op, op.X.Rows(), float64(op.X.Shape[3]), copyRows)
}

func copyRows(_ *worker, op backend.Op, from, to int) {
	o := op.(*backend.Copy)
	contiguous := o.X.Shape[3] == 1 || o.X.Strides[3] == 1 && o.Dst.Strides[3] == 1
	for r := from; r < to; r++ {
		switch x, dst := &o.X, &o.Dst; {
		case contiguous && x.DType == dst.DType && x.DType == backend.F16:
			copy(row[uint16](dst, r), row[uint16](x, r))
		case contiguous && x.DType == dst.DType: // 32 bits of either kind
			copy(row[int32](dst, r), row[int32](x, r))
		case x.DType == backend.I32:
			copyRow(dst, x, r, func(v int32) int32 { return v })
		case x.DType == dst.DType && x.DType == backend.F16:
			copyRow(dst, x, r, func(v uint16) uint16 { return v })
		case x.DType == dst.DType:
			copyRow(dst, x, r, func(v float32) float32 { return v })
		case contiguous && dst.DType == backend.F16:
			vec.ToF16(row[uint16](dst, r), row[float32](x, r))
		case contiguous:
			vec.FromF16(row[float32](dst, r), row[uint16](x, r))
		case dst.DType == backend.F16:
			copyRow(dst, x, r, func(v float32) uint16 { return float16.Fromfloat32(v).Bits() })
		default:
			copyRow(dst, x, r, func(v uint16) float32 { return float16.Frombits(v).Float32() })
		}
	}
}

// copyRow copies a vector whose elements may lie apart.
func copyRow[D, X element](dst, x *backend.Tensor, r int, convert func(X) D) {
	to, from := elements[D](dst)[dst.Row(r)-dst.Offset:], elements[X](x)[x.Row(r)-x.Offset:]
	for i := range x.Shape[3] {
		to[i*dst.Strides[3]] = convert(from[i*x.Strides[3]])
	}
}
