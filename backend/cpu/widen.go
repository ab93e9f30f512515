package cpu

import (
	"unsafe"

	"caldera/backend"
)

// BLAS takes f32 alone. An op whose vectors are of another dtype is done a few rows
// at a time, each widened to f32 first.

// maxWide is how many numbers of an operand are widened at once: 16 MiB of f32,
// beside which it costs little that w, if it is f16 too, is widened anew.
var maxWide = 1 << 22

// widened calls f with parts of ts, which are of the same rows, one after the
// other. In the parts all are f32.
func (b *Backend) widened(ts []backend.Tensor, f func(ts []backend.Tensor)) {
	ts = asMatrices(ts)
	part := make([]backend.Tensor, len(ts))
	slice := func(axis, from, to int) []backend.Tensor {
		for i, t := range ts {
			if part[i] = t; !t.Absent() {
				part[i] = t.Slice(axis, from, to)
			}
		}
		return part
	}
	first := ts[0]
	for axis := range 2 {
		if n := first.Dim(axis); n > 1 {
			for i := range n {
				b.widened(append([]backend.Tensor{}, slice(axis, i, i+1)...), f)
			}
			return
		}
	}
	widest := 1
	for _, t := range ts {
		if !t.Absent() && t.DType != backend.F32 {
			widest = max(widest, t.Dim(-1))
		}
	}
	rows := first.Dim(-2)
	for r, step := 0, max(1, maxWide/widest); r < rows; r += step {
		slice(-2, r, min(r+step, rows))
		for i, t := range part {
			if !t.Absent() && t.DType != backend.F32 {
				part[i] = b.widen(i, t)
			}
		}
		f(part)
	}
}

// asMatrices returns ts as [rows, n], if one stride serves all rows of each.
func asMatrices(ts []backend.Tensor) []backend.Tensor {
	out := make([]backend.Tensor, len(ts))
	for i, t := range ts {
		stride, ok := t.RowStride()
		if !ok {
			return ts
		}
		if out[i] = t; !t.Absent() {
			out[i].Shape, out[i].Strides = [4]int{1, 1, t.Rows(), t.Dim(-1)}, [4]int{0, 0, stride, t.Stride(-1)}
		}
	}
	return out
}

// wide is a workspace for an operand in f32, with what widen needs to fill it.
type wide struct {
	data []float32
	buf  buffer
	copy backend.Copy
}

// widen returns x in f32, in a workspace. Operands of one op must have different slots.
func (b *Backend) widen(slot int, x backend.Tensor) backend.Tensor {
	w, n := &b.wide[slot], x.Len()
	if cap(w.data) < n {
		w.data = make([]float32, n)
	}
	w.data = w.data[:n]
	w.buf = buffer{b: b, data: unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(w.data))), 4*n)}
	w.copy = backend.Copy{Dst: backend.Of(&w.buf, backend.F32, 0, x.Shape[:]...), X: x}
	b.copy(&w.copy)
	w.copy.X = backend.Tensor{} // so that x's memory is not kept
	return w.copy.Dst
}
