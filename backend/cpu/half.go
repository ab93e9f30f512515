package cpu

import (
	"caldera/backend"
	"caldera/backend/cpu/internal/vec"
)

// half is a matrix of float16 where it lies: vectors, stride apart, each a
// column of the product (its length is in) or, transposed, one element of each.
type half struct {
	data       []uint16
	stride     int
	transposed bool
}

// viewHalf is columns [c0, c1) of an f16 matrix.
func viewHalf(w *backend.Tensor, c0, c1 int) (half, bool) {
	stride, transposed, ok := layout(w)
	if !ok || w.DType != backend.F16 {
		return half{}, false
	}
	data := elements[uint16](w)
	if transposed {
		return half{data[c0:], stride, true}, true
	}
	return half{data[c0*stride:], stride, false}, true
}

// multiply adds the products of rows [r0, r1) to columns [c0, c1) of dst.
// Elements are converted in registers, so half the bytes of float32 are read
// and none written; each vector serves all rows while it is in cache.
func (h half) multiply(l *linear, r0, r1, c0, c1 int) {
	if !h.transposed {
		for c := range c1 - c0 {
			for r := r0; r < r1; r++ {
				row[float32](l.dst, r)[c0+c] += vec.DotF16(h.data[c*h.stride:], row[float32](l.x, r))
			}
		}
		return
	}
	in := l.x.Shape[3]
	for i := 0; i < in; i += 4 {
		for r := r0; r < r1; r++ {
			axpyF16(row[float32](l.dst, r)[c0:c1], h.data[i*h.stride:], h.stride, row[float32](l.x, r)[i:min(i+4, in)])
		}
	}
}

// axpyF16 is y += Σ x[i]·w[i], for at most 4 rows of w.
func axpyF16(y []float32, w []uint16, stride int, x []float32) {
	if len(x) == 4 {
		vec.Axpy4F16(y, w, stride, (*[4]float32)(x))
		return
	}
	for i, a := range x {
		vec.AxpyF16(y, w[i*stride:], a)
	}
}
