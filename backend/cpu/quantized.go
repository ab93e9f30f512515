package cpu

import (
	"caldera/backend"
	"caldera/backend/cpu/internal/vec"
)

// quantized is a matrix of blocks where it lies: rows, stride bytes apart.
type quantized struct {
	data   []byte
	stride int
	from   func(dst []float32, row []byte)
	dot    func(row []byte, x []float32) float32
}

// viewQuantized is a table or matrix from row c0 on, if it is of a quantised type.
func viewQuantized(w *backend.Tensor, c0 int) (quantized, bool) {
	if !w.DType.Quantized() {
		return quantized{}, false
	}
	stride := w.DType.Bytes(w.Strides[2])
	q := quantized{
		data:   w.Buf.(*buffer).data[w.DType.Bytes(w.Offset)+c0*stride:],
		stride: stride, from: vec.FromQ8, dot: vec.DotQ8,
	}
	if w.DType == backend.Q4_0 {
		q.from, q.dot = vec.FromQ4, vec.DotQ4
	}
	return q, true
}

// multiply adds the products of rows [r0, r1) of x to columns [c0, c1) of dst,
// as half.multiply does.
func (q quantized) multiply(l *linear, r0, r1, c0, c1 int) {
	for c := range c1 - c0 {
		for r := r0; r < r1; r++ {
			row[float32](l.dst, r)[c0+c] += q.dot(q.data[c*q.stride:], row[float32](l.x, r))
		}
	}
}

// expand converts rows into room, [columns, in].
func (q quantized) expand(room []float32, columns, in int) {
	for c := range columns {
		q.from(room[c*in:][:in], q.data[c*q.stride:])
	}
}
