package cpu

import (
	"unsafe"

	"caldera/backend/cpu/internal/vec"
)

// Products of 2 to maxThin rows, such as a token of each of several sequences. Memory
// decides how long they take, if each weight is read once and meets all rows while
// it is in cache. A BLAS copies weights to an order of its own first, which
// pays with hundreds of rows.
const (
	maxThin   = 32
	thinTile  = 4    // columns of dst whose weights meet all rows before the next are read
	thinDepth = 1024 // numbers of a column, so that a tile and the same part of 4 rows fit an L1 cache
	thinBytes = 1 << 14
	thinRun   = 32  // rows of a transposed matrix that meet all rows before the next are read
	thinAhead = 128 // columns between those that are multiplied and those that are asked for
	thinStrip = 256 // columns of these that are converted at once
)

// thin reports whether the product has kernels for few rows.
func (l *linear) thin() bool {
	rows := l.x.Rows()
	_, _, ok := layout(l.w)
	return ok && vec.Fast() && rows > 1 && rows <= maxThin
}

// addThin adds the products of rows [r0, r1) to columns [c0, c1) of dst.
func (l *linear) addThin(w *worker, r0, r1, c0, c1 int) {
	_, transposed, _ := layout(l.w)
	in := l.x.Shape[3]
	for r, next := r0, r0; r < r1; r = next {
		next = l.group(r, r1)
		x, dst := l.matrix(l.x, r, next, 0, in), l.matrix(l.dst, r, next, c0, c1)
		xs, sums := vec.Matrix{Data: x.Data, Rows: x.Rows, Stride: x.Stride}, vec.Matrix{Data: dst.Data, Rows: dst.Rows, Stride: dst.Stride}
		if transposed {
			l.across(w, sums, xs, c0, c1)
		} else {
			l.along(w, sums, xs, c0, c1)
		}
	}
}

// at is where the element of column c and row i of w lies in its buffer, in bytes.
func (l *linear) at(c, i int) int {
	return l.w.DType.Bytes(l.w.Offset + c*l.w.Strides[2] + i*l.w.Strides[3])
}

// ahead is where the elements from column c and row i on lie.
func (l *linear) ahead(c, i int) vec.Ahead {
	d := l.w.DType
	stride, _, _ := layout(l.w)
	first := unsafe.SliceData(l.w.Buf.(*buffer).data)
	return vec.Ahead{Address: uintptr(unsafe.Pointer(first)) + uintptr(l.at(c, i)), Stride: d.Bytes(stride), Step: d.Bytes(256) / 16}
}

// along is for a matrix whose vectors are columns of the product. A step is a part of a
// few of them.
func (l *linear) along(wk *worker, dst, x vec.Matrix, c0, c1 int) {
	in := l.w.Shape[3]
	h, half := viewHalf(l.w, 0, l.w.Shape[2])
	q, quantized := viewQuantized(l.w, 0)
	w := vec.Matrix{Stride: thinDepth}
	var dots vec.Dots4
	switch {
	case half:
		dots = h.Dots
	case quantized:
		dots = q.dots
	}
	if half || quantized {
		w.Data = wk.floats(0, thinTile*thinDepth)
	}
	data := l.w.Buf.(*buffer).data
	tiles := (c1 - c0 + thinTile - 1) / thinTile
	at := func(step int) (c, i int) { return c0 + step%tiles*thinTile, step / tiles * thinDepth }
	distance := max(1, thinBytes/l.w.DType.Bytes(thinTile*min(in, thinDepth)))
	for step := range tiles * ((in + thinDepth - 1) / thinDepth) {
		c, i := at(step)
		n := min(thinDepth, in-i)
		w.Rows = min(thinTile, c1-c)
		if sums, some, next := from(dst, c-c0), from(x, i), l.ahead(at(step+distance)); dots != nil && w.Rows == thinTile &&
			dots(sums, some, data[l.at(c, i):], l.w.DType.Bytes(l.w.Strides[2]), n, next) {
			continue
		}
		switch {
		case half:
			for j := range w.Rows {
				h.From(w.Data[j*thinDepth:][:n], h.data[(c+j)*h.stride+i:])
			}
		case quantized:
			for j := range w.Rows {
				q.from(w.Data[j*thinDepth:][:n], q.data[(c+j)*q.stride+l.w.DType.Bytes(i):])
			}
		default:
			w.Stride, _, _ = layout(l.w)
			w.Data = elements[float32](l.w)[c*w.Stride+i:]
		}
		vec.Dots(from(dst, c-c0), from(x, i), w, n, l.ahead(at(step+distance)))
	}
}

// from is the columns of a matrix from c on.
func from(m vec.Matrix, c int) vec.Matrix {
	return vec.Matrix{Data: m.Data[c:], Rows: m.Rows, Stride: m.Stride}
}

// across is for a matrix whose vectors have an element of each column.
func (l *linear) across(wk *worker, dst, x vec.Matrix, c0, c1 int) {
	in := l.w.Shape[3]
	h, half := viewHalf(l.w, c0, c1)
	for i := 0; i < in; i += thinRun {
		n := min(thinRun, in-i)
		m, _ := viewMatrix(l.w, c0, c1)
		if !half && !(m.Stride%1024 == 0 && x.Rows > 4) {
			vec.Axpys(dst, from(x, i), vec.Matrix{Data: m.Data[i*m.Stride:], Rows: n, Stride: m.Stride}, c1-c0, l.ahead(c0+thinAhead, i))
			continue
		}
		w := vec.Matrix{Data: wk.floats(0, thinRun*thinStrip), Rows: n, Stride: thinStrip}
		for c := 0; c < c1-c0; c += thinStrip {
			columns := min(thinStrip, c1-c0-c)
			for j := range n {
				if half {
					h.From(w.Data[j*thinStrip:][:columns], h.data[(i+j)*h.stride+c:])
				} else {
					copy(w.Data[j*thinStrip:][:columns], m.Data[(i+j)*m.Stride+c:])
				}
			}
			vec.Axpys(from(dst, c), from(x, i), w, columns, l.ahead(c0+c+thinStrip, i))
		}
	}
}
