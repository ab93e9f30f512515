package cpu

import (
	"caldera/backend"
	"caldera/backend/cpu/internal/qgemm"
)

func init() {
	register((*Backend).copy)
}

func (b *Backend) copy(op *backend.Copy) {
	b.parallel(op, op.X.Rows(), float64(op.X.Shape[3]), copyRows)
}

func copyRows(w *worker, op backend.Op, from, to int) {
	o := op.(*backend.Copy)
	x, dst := &o.X, &o.Dst
	contiguous := x.Shape[3] == 1 || x.Strides[3] == 1 && dst.Strides[3] == 1
	xPairs, dstPairs := pairs(x.DType), pairs(dst.DType)
	for r := from; r < to; r++ {
		switch {
		case dst.DType.Quantized():
			narrowBlocks(blockRow(dst, r), dst.DType, row[float32](x, r))
		case x.DType == dst.DType && xPairs != nil:
			copyRow[uint16](dst, x, r, contiguous)
		case x.DType == dst.DType: // 32 bits of either kind
			copyRow[int32](dst, x, r, contiguous)
		case contiguous && xPairs != nil && dst.DType == backend.F32:
			xPairs.From(row[float32](dst, r), row[uint16](x, r))
		case contiguous && dstPairs != nil && x.DType == backend.F32:
			dstPairs.To(row[uint16](dst, r), row[float32](x, r))
		default:
			v := w.floats(0, x.Shape[3])
			widenRow(v, x, r)
			narrowRow(dst, v, r)
		}
	}
}

// copyRow moves the bits of a vector, whose elements may lie apart.
func copyRow[E element](dst, x *backend.Tensor, r int, contiguous bool) {
	if contiguous {
		copy(row[E](dst, r), row[E](x, r))
		return
	}
	to, from := elements[E](dst)[dst.Row(r)-dst.Offset:], elements[E](x)[x.Row(r)-x.Offset:]
	for i := range x.Shape[3] {
		to[i*dst.Strides[3]] = from[i*x.Strides[3]]
	}
}

// widenRow is v = row r of x, whose elements may lie apart.
func widenRow(v []float32, x *backend.Tensor, r int) {
	if x.DType.Quantized() {
		widenBlocks(x.DType)(v, blockRow(x, r))
		return
	}
	p, stride := pairs(x.DType), x.Strides[3]
	switch {
	case p == nil:
		from := elements[float32](x)[x.Row(r)-x.Offset:]
		for i := range v {
			v[i] = from[i*stride]
		}
	case stride == 1:
		p.From(v, row[uint16](x, r))
	default:
		from := elements[uint16](x)[x.Row(r)-x.Offset:]
		for i := range v {
			p.From(v[i:i+1], from[i*stride:])
		}
	}
}

// narrowRow is row r of dst = v, rounded. Its elements may lie apart.
func narrowRow(dst *backend.Tensor, v []float32, r int) {
	p, stride := pairs(dst.DType), dst.Strides[3]
	switch {
	case p == nil:
		to := elements[float32](dst)[dst.Row(r)-dst.Offset:]
		for i, x := range v {
			to[i*stride] = x
		}
	case stride == 1:
		p.To(row[uint16](dst, r), v)
	default:
		to := elements[uint16](dst)[dst.Row(r)-dst.Offset:]
		for i := range v {
			p.To(to[i*stride:][:1], v[i:i+1])
		}
	}
}

// narrowBlocks is dst = v in blocks of activations.
func narrowBlocks(dst []byte, d backend.DType, v []float32) {
	if d == backend.Q8_A {
		qgemm.ToQ8A(dst, v)
	} else if _, err := backend.Encode(dst[:0], d, v); err != nil {
		panic(err) // activations take any number
	}
}

// blockRow is the bytes of row r of a tensor of blocks.
func blockRow(t *backend.Tensor, r int) []byte {
	return t.Buf.(*buffer).data[t.DType.Bytes(t.Row(r)):][:t.DType.Bytes(t.Shape[3])]
}
