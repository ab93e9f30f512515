package cpu

import (
	"unsafe"

	"caldera/backend"
	"caldera/backend/cpu/internal/vec"
)

// Products of a few rows, such as a token of each of several sequences. Reading
// the weights decides how long they take, if each is read from memory once and meets all
// rows while it is in cache. A BLAS first copies weights to an order of its own, and
// needs them in f32, which pays with hundreds of rows.
const (
	maxThin   = 32      // with AVX2; twice as many with AVX-512
	thinTile  = 4       // columns of the product that are multiplied at once
	thinDepth = 1024    // of their numbers: as f32 they fit an L1 cache beside the same part of 4 rows of x
	thinRun   = 32      // rows of a transposed matrix that meet all rows of x before the next are read
	thinStrip = 256     // columns of these that are converted at once
	thinBytes = 1 << 14 // between weights that are multiplied and those that are asked for
	thinAhead = 128     // columns between these in a transposed matrix
)

// thin reports whether the product has kernels for few rows. Without AVX-512, weights of
// other dtypes are converted to memory first, which does not pay for two rows.
func (l *linear) thin() bool {
	_, _, ok := layout(l.w)
	fewest, most := 2, maxThin
	switch {
	case vec.Wide():
		most = 2 * maxThin
	case l.w.DType != backend.F32:
		fewest = 3
	}
	rows := l.x.Rows()
	return ok && vec.Fast() && fewest <= rows && rows <= most
}

// addThin adds the products of rows [r0, r1) to columns [c0, c1) of dst.
func (l *linear) addThin(w *worker, r0, r1, c0, c1 int) {
	stride, transposed, _ := layout(l.w)
	t := thin{
		w: l.w, worker: w, c0: c0, c1: c1,
		bytes: l.w.Buf.(*buffer).data[l.w.DType.Bytes(l.w.Offset):],
		next:  vec.Ahead{Stride: l.w.DType.Bytes(stride), Step: l.w.DType.Bytes(256) / 16},
	}
	t.matrix, _ = viewMatrix(l.w, 0, l.w.Shape[2])
	if q, ok := viewQuantized(l.w, 0); ok {
		t.quantized, t.dots = q, q.dots
	} else if h, ok := viewHalf(l.w, 0, l.w.Shape[2]); ok {
		t.half, t.dots = h, h.Dots
	}
	for r, next := r0, r0; r < r1; r = next {
		next = l.group(r, r1)
		x, dst := l.matrix(l.x, r, next, 0, l.x.Shape[3]), l.matrix(l.dst, r, next, c0, c1)
		t.rows = vec.Matrix{Data: x.Data, Rows: x.Rows, Stride: x.Stride}
		t.sums = vec.Matrix{Data: dst.Data, Rows: dst.Rows, Stride: dst.Stride}
		if transposed {
			t.across()
		} else {
			t.along()
		}
	}
}

// thin is the columns [c0, c1) of a product of few rows. Its weights are those of one of
// matrix, half and quantized.
type thin struct {
	w         *backend.Tensor
	worker    *worker
	sums      vec.Matrix // these columns of dst
	rows      vec.Matrix // x
	c0, c1    int
	bytes     []byte // of w
	next      vec.Ahead
	matrix    matrix
	half      half
	quantized quantized
	dots      vec.Dots4 // of the dtype; nil: none
}

// at is where the element of column c and row i of w lies, in bytes.
func (t *thin) at(c, i int) int { return t.w.DType.Bytes(c*t.w.Strides[2] + i*t.w.Strides[3]) }

// ahead is where the elements from column c and row i on lie.
func (t *thin) ahead(c, i int) vec.Ahead {
	next := t.next
	next.Address = uintptr(unsafe.Pointer(unsafe.SliceData(t.bytes))) + uintptr(t.at(c, i))
	return next
}

// along is for a matrix whose vectors are columns of the product. It takes a part of
// all vectors, a few at a time, before the next part, so that this part of x stays in
// cache.
func (t *thin) along() {
	in, tiles := t.w.Shape[3], (t.c1-t.c0+thinTile-1)/thinTile
	distance := max(1, thinBytes/t.w.DType.Bytes(thinTile*min(in, thinDepth)))
	for tile := range tiles * ((in + thinDepth - 1) / thinDepth) {
		c, i := t.c0+tile%tiles*thinTile, tile/tiles*thinDepth
		later := tile + distance
		t.tile(c, i, min(thinTile, t.c1-c), min(thinDepth, in-i), t.ahead(t.c0+later%tiles*thinTile, later/tiles*thinDepth))
	}
}

// tile adds the products of n numbers, from row i on, of some columns, from c on.
func (t *thin) tile(c, i, columns, n int, next vec.Ahead) {
	sums, rows := from(t.sums, c-t.c0), from(t.rows, i)
	w := vec.Matrix{Data: t.matrix.Data, Rows: columns, Stride: t.matrix.Stride}
	switch {
	case t.w.DType == backend.F32:
		w.Data = w.Data[c*w.Stride+i:]
	case columns == thinTile && t.dots != nil && t.dots(sums, rows, t.bytes[t.at(c, i):], t.next.Stride, n, next):
		return
	default:
		w.Data, w.Stride = t.worker.floats(0, thinTile*thinDepth), n
		for j := range columns {
			if t.half.Pairs != nil {
				t.half.From(w.Data[j*n:][:n], t.half.data[(c+j)*t.half.stride+i:])
			} else {
				t.quantized.from(w.Data[j*n:][:n], t.bytes[t.at(c+j, i):])
			}
		}
	}
	vec.Dots(sums, rows, w, n, next)
}

// from is the columns of a matrix from c on.
func from(m vec.Matrix, c int) vec.Matrix {
	return vec.Matrix{Data: m.Data[c:], Rows: m.Rows, Stride: m.Stride}
}

// across is for a matrix whose vectors have an element of each column.
func (t *thin) across() {
	in, columns := t.w.Shape[3], t.c1-t.c0
	for i := 0; i < in; i += thinRun {
		n := min(thinRun, in-i)
		rows := from(t.rows, i)
		if t.w.DType == backend.F32 {
			w := vec.Matrix{Data: t.matrix.Data[i*t.matrix.Stride+t.c0:], Rows: n, Stride: t.matrix.Stride}
			vec.Axpys(t.sums, rows, w, columns, t.ahead(t.c0+thinAhead, i))
			continue
		}
		w := vec.Matrix{Data: t.worker.floats(0, thinRun*thinStrip), Rows: n, Stride: thinStrip}
		for c := 0; c < columns; c += thinStrip {
			width := min(thinStrip, columns-c)
			for j := range n {
				t.half.From(w.Data[j*thinStrip:][:width], t.half.data[(i+j)*t.half.stride+t.c0+c:])
			}
			vec.Axpys(from(t.sums, c), rows, w, width, t.ahead(t.c0+c+thinStrip, i))
		}
	}
}
