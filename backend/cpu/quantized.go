package cpu

import (
	"caldera/backend"
	"caldera/backend/cpu/internal/qgemm"
	"caldera/backend/cpu/internal/vec"
)

// blockKernels are the arithmetic of a quantised dtype.
type blockKernels struct {
	from func(dst []float32, row []byte)       // dst = row
	dot  func(row []byte, x []float32) float32 // Σ row·x
	dots vec.Dots4                             // for several rows of x; nil: none
}

// fastBlocks are the dtypes that have kernels of their own. Others are decoded by
// package backend.
var fastBlocks = map[backend.DType]blockKernels{
	backend.Q8_0: {vec.FromQ8, vec.DotQ8, vec.DotsQ8},
	backend.Q4_0: {vec.FromQ4, vec.DotQ4, vec.DotsQ4},
	backend.Q8_A: {from: qgemm.FromQ8A}, // of activations alone
}

// kernelsOf are the kernels of a quantised dtype.
func kernelsOf(d backend.DType) blockKernels {
	if k, ok := fastBlocks[d]; ok {
		return k
	}
	from := func(dst []float32, row []byte) {
		if err := backend.Decode(dst, d, row); err != nil {
			panic(err) // Check saw to shapes
		}
	}
	return blockKernels{from: from, dot: func(row []byte, x []float32) (sum float32) {
		var w [256]float32 // a block, or several
		for n := 0; len(x) > 0; x, row = x[n:], row[d.Bytes(n):] {
			n = min(len(x), len(w)/d.BlockLen()*d.BlockLen())
			from(w[:n], row)
			sum += vec.Dot(w[:n], x[:n])
		}
		return sum
	}}
}

// quantized is a matrix of blocks where it lies: rows, stride bytes apart.
type quantized struct {
	data   []byte
	stride int
	blockKernels
}

// viewQuantized is a table or matrix from row c0 on, if it is of a quantised type.
func viewQuantized(w *backend.Tensor, c0 int) (quantized, bool) {
	if !w.DType.Quantized() {
		return quantized{}, false
	}
	stride := w.DType.Bytes(w.Strides[2])
	return quantized{w.Buf.(*buffer).data[w.DType.Bytes(w.Offset)+c0*stride:], stride, kernelsOf(w.DType)}, true
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

// expand converts rows to float32 in workspace, [columns, in].
func (q quantized) expand(workspace []float32, columns, in int) {
	for c := range columns {
		q.from(workspace[c*in:][:in], q.data[c*q.stride:])
	}
}
