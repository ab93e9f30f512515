package cpu

import (
	"caldera/backend"
	"caldera/backend/cpu/internal/vec"
)

// pairs is the arithmetic of a dtype of 16 bits, nil for others.
func pairs(d backend.DType) *vec.Pairs {
	switch d {
	case backend.F16:
		return &vec.F16
	case backend.BF16:
		return &vec.BF16
	}
	return nil
}

// half is a matrix of 16 bits an element where it lies: vectors, stride apart, each
// a column of the product (its length is in) or, transposed, one element of each.
type half struct {
	*vec.Pairs
	data       []uint16
	stride     int
	transposed bool
}

// viewHalf is columns [c0, c1) of a matrix of 16 bits an element.
func viewHalf(w *backend.Tensor, c0, c1 int) (half, bool) {
	stride, transposed, ok := layout(w)
	p := pairs(w.DType)
	if !ok || p == nil {
		return half{}, false
	}
	data := elements[uint16](w)
	if transposed {
		return half{p, data[c0:], stride, true}, true
	}
	return half{p, data[c0*stride:], stride, false}, true
}

// multiply adds the products of rows [r0, r1) to columns [c0, c1) of dst.
// Elements are converted in registers, so half the bytes of float32 are read
// and none written; each vector serves all rows while it is in cache.
func (h half) multiply(l *linear, r0, r1, c0, c1 int) {
	if !h.transposed {
		for c := range c1 - c0 {
			for r := r0; r < r1; r++ {
				row[float32](l.dst, r)[c0+c] += h.Dot(h.data[c*h.stride:], row[float32](l.x, r))
			}
		}
		return
	}
	in := l.x.Shape[3]
	for i := 0; i < in; i += 4 {
		for r := r0; r < r1; r++ {
			axpyPairs(h.Pairs, row[float32](l.dst, r)[c0:c1], h.data[i*h.stride:], h.stride, row[float32](l.x, r)[i:min(i+4, in)])
		}
	}
}

// axpyPairs is y += Σ x[i]·w[i], for at most 4 rows of w.
func axpyPairs(p *vec.Pairs, y []float32, w []uint16, stride int, x []float32) {
	if len(x) == 4 {
		p.Axpy4(y, w, stride, (*[4]float32)(x))
		return
	}
	for i, a := range x {
		p.Axpy(y, w[i*stride:], a)
	}
}
