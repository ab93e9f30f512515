package cpu

import (
	"unsafe"

	"caldera/backend"
)

// widen is x, or a copy in f32 of one in f16: BLAS takes no f16. Operands of one
// op that are widened are given different rooms.
func (b *Backend) widen(room int, x backend.Tensor) backend.Tensor {
	if x.DType != backend.F16 {
		return x
	}
	n := x.Len()
	if cap(b.wide[room]) < n {
		b.wide[room] = make([]float32, n)
	}
	data := b.wide[room][:n]
	bytes := unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(data))), 4*n)
	dst := backend.Of(&buffer{b: b, data: bytes}, backend.F32, 0, x.Shape[:]...)
	b.copy(&backend.Copy{Dst: dst, X: x})
	return dst
}
