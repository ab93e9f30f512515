package cpu

import (
	"caldera/backend"
	"caldera/backend/cpu/internal/qgemm"
	"caldera/backend/cpu/internal/vec"
)

// fastBlocks are the dtypes that package vec converts to float32: dst = row. Others are
// decoded by package backend.
var fastBlocks = map[backend.DType]func(dst []float32, row []byte){
	backend.Q8_0: vec.FromQ8,
	backend.Q4_0: vec.FromQ4,
	backend.Q8_A: qgemm.FromQ8A, // of activations alone
}

// widenBlocks is how blocks of a quantised dtype are converted.
func widenBlocks(d backend.DType) func(dst []float32, row []byte) {
	if from, ok := fastBlocks[d]; ok {
		return from
	}
	return func(dst []float32, row []byte) {
		if err := backend.Decode(dst, d, row); err != nil {
			panic(err) // Check saw to shapes
		}
	}
}

// quantized is a matrix of blocks where it lies: rows, stride bytes apart.
type quantized struct {
	data   []byte
	stride int
	from   func(dst []float32, row []byte)
}

// viewQuantized is a table or matrix from row c0 on, if it is of a quantised type.
func viewQuantized(w *backend.Tensor, c0 int) (quantized, bool) {
	if !w.DType.Quantized() {
		return quantized{}, false
	}
	stride := w.DType.Bytes(w.Strides[2])
	return quantized{w.Buf.(*buffer).data[w.DType.Bytes(w.Offset)+c0*stride:], stride, widenBlocks(w.DType)}, true
}
