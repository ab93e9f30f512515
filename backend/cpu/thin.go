package cpu

import (
	"caldera/backend"
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
	thinRun   = 32   // rows of a transposed matrix that meet all rows before the next are read
	thinStrip = 256  // columns of these that are converted at once
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

// along is for a matrix whose vectors are columns of the product.
func (l *linear) along(wk *worker, dst, x vec.Matrix, c0, c1 int) {
	in := l.w.Shape[3]
	h, _ := viewHalf(l.w, 0, l.w.Shape[2])
	q, _ := viewQuantized(l.w, 0)
	workspace := wk.floats(0, thinTile*thinDepth)
	for c := c0; c < c1; c += thinTile {
		columns := min(thinTile, c1-c)
		for i := 0; i < in; i += thinDepth {
			n := min(thinDepth, in-i)
			w := vec.Matrix{Data: workspace, Rows: columns, Stride: n}
			switch {
			case l.w.DType == backend.F32:
				stride, _, _ := layout(l.w)
				w.Data, w.Stride = elements[float32](l.w)[c*stride+i:], stride
			case h.Pairs != nil:
				for j := range columns {
					h.From(workspace[j*n:][:n], h.data[(c+j)*h.stride+i:])
				}
			default:
				for j := range columns {
					q.from(workspace[j*n:][:n], q.data[(c+j)*q.stride+l.w.DType.Bytes(i):])
				}
			}
			vec.Dots(vec.Matrix{Data: dst.Data[c-c0:], Rows: dst.Rows, Stride: dst.Stride},
				vec.Matrix{Data: x.Data[i:], Rows: x.Rows, Stride: x.Stride}, w, n)
		}
	}
}

// across is for a matrix whose vectors have an element of each column.
func (l *linear) across(wk *worker, dst, x vec.Matrix, c0, c1 int) {
	in := l.w.Shape[3]
	h, half := viewHalf(l.w, c0, c1)
	for i := 0; i < in; i += thinRun {
		n := min(thinRun, in-i)
		some := vec.Matrix{Data: x.Data[i:], Rows: x.Rows, Stride: x.Stride}
		if !half {
			stride, _, _ := layout(l.w)
			vec.Axpys(dst, some, vec.Matrix{Data: elements[float32](l.w)[c0+i*stride:], Rows: n, Stride: stride}, c1-c0)
			continue
		}
		workspace := wk.floats(0, thinRun*thinStrip)
		for c := 0; c < c1-c0; c += thinStrip {
			columns := min(thinStrip, c1-c0-c)
			for j := range n {
				h.From(workspace[j*columns:][:columns], h.data[(i+j)*h.stride+c:])
			}
			vec.Axpys(vec.Matrix{Data: dst.Data[c:], Rows: dst.Rows, Stride: dst.Stride}, some,
				vec.Matrix{Data: workspace, Rows: n, Stride: columns}, columns)
		}
	}
}
