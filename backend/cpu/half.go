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
