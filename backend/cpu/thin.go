package cpu

import (
	"unsafe"

	"caldera/backend"
	"caldera/backend/cpu/internal/vec"
)

// Products of a few rows with weights in blocks, such as a token of each of several sequences.
// Reading the weights decides how long they take, so each is read from memory once and
// is converted in registers. With more rows package gemm, which converts to memory, is faster.
const (
	maxThin   = 16
	thinTile  = 4       // columns of the product that are multiplied at once
	thinDepth = 1024    // of their numbers: as f32 they fit an L1 cache beside the same part of 4 rows of x
	thinBytes = 1 << 14 // between weights that are multiplied and those that are asked for
)

// thin reports whether the product has kernels for few rows.
func (l *linear) thin() bool {
	rows := l.x.Rows()
	return l.w.DType.Quantized() && kernelsOf(l.w.DType).dots != nil && vec.Wide() && 2 <= rows && rows <= maxThin
}

// addThin adds the products of rows [r0, r1) to columns [c0, c1) of dst.
func (l *linear) addThin(w *worker, r0, r1, c0, c1 int) {
	q, _ := viewQuantized(l.w, 0)
	t := thin{quantized: q, dtype: l.w.DType, in: l.w.Shape[3], c0: c0, c1: c1, workspace: w.floats(0, thinTile*thinDepth)}
	for r, next := r0, r0; r < r1; r = next {
		next = l.group(r, r1)
		x, dst := l.matrix(l.x, r, next, 0, l.x.Shape[3]), l.matrix(l.dst, r, next, c0, c1)
		t.rows = vec.Matrix{Data: x.Data, Rows: x.Rows, Stride: x.Stride}
		t.sums = vec.Matrix{Data: dst.Data, Rows: dst.Rows, Stride: dst.Stride}
		t.run()
	}
}

// thin is the columns [c0, c1) of a product of few rows.
type thin struct {
	quantized
	dtype      backend.DType
	in, c0, c1 int
	sums       vec.Matrix // these columns of dst
	rows       vec.Matrix // x
	workspace  []float32
}

// ahead is where the elements from column c and row i on lie.
func (t *thin) ahead(c, i int) vec.Ahead {
	address := uintptr(unsafe.Pointer(unsafe.SliceData(t.data))) + uintptr(c*t.stride+t.dtype.Bytes(i))
	return vec.Ahead{Address: address, Stride: t.stride, Step: t.dtype.Bytes(256) / 16}
}

// run takes a part of all vectors, a few at a time, before the next part, so that this
// part of x stays in cache.
func (t *thin) run() {
	tiles := (t.c1 - t.c0 + thinTile - 1) / thinTile
	distance := max(1, thinBytes/t.dtype.Bytes(thinTile*min(t.in, thinDepth)))
	for tile := range tiles * ((t.in + thinDepth - 1) / thinDepth) {
		c, i := t.c0+tile%tiles*thinTile, tile/tiles*thinDepth
		later := tile + distance
		t.tile(c, i, min(thinTile, t.c1-c), min(thinDepth, t.in-i), t.ahead(t.c0+later%tiles*thinTile, later/tiles*thinDepth))
	}
}

// tile adds the products of n numbers, from row i on, of some columns, from c on.
func (t *thin) tile(c, i, columns, n int, next vec.Ahead) {
	sums, rows := from(t.sums, c-t.c0), from(t.rows, i)
	blocks := t.data[c*t.stride+t.dtype.Bytes(i):]
	if columns == thinTile && t.dots(sums, rows, blocks, t.stride, n, next) {
		return
	}
	w := vec.Matrix{Data: t.workspace, Rows: columns, Stride: n}
	for j := range columns {
		t.from(w.Data[j*n:][:n], blocks[j*t.stride:])
	}
	vec.Dots(sums, rows, w, n, next)
}

// from is the columns of a matrix from c on.
func from(m vec.Matrix, c int) vec.Matrix {
	return vec.Matrix{Data: m.Data[c:], Rows: m.Rows, Stride: m.Stride}
}
