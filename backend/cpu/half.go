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

// multiply is dst += x · hᵀ for one vector x. Elements are converted in
// registers, so half the bytes of float32 are read and none written.
func (h half) multiply(dst, x []float32) {
	if !h.transposed {
		for c := range dst {
			dst[c] += vec.DotF16(h.data[c*h.stride:], x)
		}
		return
	}
	i := 0
	for ; i+4 <= len(x); i += 4 {
		vec.Axpy4F16(dst, h.data[i*h.stride:], h.stride, (*[4]float32)(x[i:]))
	}
	for ; i < len(x); i++ {
		vec.AxpyF16(dst, h.data[i*h.stride:], x[i])
	}
}
