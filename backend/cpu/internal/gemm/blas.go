package gemm

import (
	"sync"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/gonum"

	"caldera/backend/cpu/internal/vec"
)

// BLAS is gonum's BLAS with Sgemm and Sgemv of this package, on the caller's thread. Calls
// may overlap.
type BLAS struct{ gonum.Implementation }

var _ blas.Float32 = BLAS{}

// call is what a call needs beside its operands.
type call struct {
	Workspace
	a, b []float32
}

var calls = sync.Pool{New: func() any { return new(call) }}

// Sgemm computes C = alpha·op(A)·op(B) + beta·C, as gonum documents it.
func (g BLAS) Sgemm(tA, tB blas.Transpose, m, n, k int, alpha float32, a []float32, lda int, b []float32, ldb int, beta float32, c []float32, ldc int) {
	rowsA, colsA, rowsB, colsB := m, k, k, n
	if tA != blas.NoTrans {
		rowsA, colsA = k, m
	}
	if tB != blas.NoTrans {
		rowsB, colsB = n, k
	}
	if !valid(tA) || !valid(tB) || m < 1 || n < 1 || k < 1 || alpha == 0 || !inside(len(a), rowsA, colsA, lda) || !inside(len(b), rowsB, colsB, ldb) || !inside(len(c), m, n, ldc) {
		g.Implementation.Sgemm(tA, tB, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc) // panics and says what is wrong, or has little to do
		return
	}
	w := calls.Get().(*call)
	defer calls.Put(w)
	x, dst := Matrix{a, lda}, Matrix{c, ldc}
	if alpha != 1 {
		scaled := Matrix{grow(&w.a, rowsA*colsA), colsA}
		for r := range rowsA {
			copy(scaled.Data[r*colsA:][:colsA], a[r*lda:])
		}
		vec.Scale(scaled.Data, alpha)
		x = scaled
	}
	if beta != 1 {
		for r := range m {
			scale(c[r*ldc:][:n], beta)
		}
	}
	switch weights := (Matrix{b, ldb}).Weights(); {
	case tB == blas.NoTrans && tA == blas.NoTrans:
		w.Outer(dst, x, weights, m, n, k)
	case tB == blas.NoTrans:
		w.OuterTransposed(dst, x, weights, m, n, k)
	case tA == blas.NoTrans:
		w.Dots(dst, x, weights, m, n, k)
	default:
		rows := Matrix{grow(&w.b, m*k), k}
		for r := range m {
			for i := range k {
				rows.Data[r*k+i] = x.Data[i*x.Stride+r]
			}
		}
		w.Dots(dst, rows, weights, m, n, k)
	}
}

// Sgemv computes y = alpha·op(A)·x + beta·y, as gonum documents it.
func (g BLAS) Sgemv(tA blas.Transpose, m, n int, alpha float32, a []float32, lda int, x []float32, incX int, beta float32, y []float32, incY int) {
	lenX, lenY := n, m
	if tA != blas.NoTrans {
		lenX, lenY = m, n
	}
	if !valid(tA) || m < 1 || n < 1 || alpha == 0 || incX < 1 || incY < 1 || !inside(len(a), m, n, lda) || len(x) <= (lenX-1)*incX || len(y) <= (lenY-1)*incY {
		g.Implementation.Sgemv(tA, m, n, alpha, a, lda, x, incX, beta, y, incY)
		return
	}
	w := calls.Get().(*call)
	defer calls.Put(w)
	if alpha != 1 || incX != 1 {
		straight := grow(&w.a, lenX)
		for i := range straight {
			straight[i] = alpha * x[i*incX]
		}
		x = straight
	}
	sums := y
	if incY != 1 {
		sums = grow(&w.b, lenY)
		for i := range sums {
			sums[i] = y[i*incY]
		}
	}
	scale(sums[:lenY], beta)
	dst, vector, weights := Matrix{sums, lenY}, Matrix{x, lenX}, (Matrix{a, lda}).Weights()
	if tA == blas.NoTrans {
		w.Dots(dst, vector, weights, 1, m, n)
	} else {
		w.Outer(dst, vector, weights, 1, n, m)
	}
	if incY != 1 {
		for i, s := range sums {
			y[i*incY] = s
		}
	}
}

// scale multiplies x with s, and 0 clears what is no number too.
func scale(x []float32, s float32) {
	switch s {
	case 0:
		clear(x)
	case 1:
	default:
		vec.Scale(x, s)
	}
}

func valid(t blas.Transpose) bool {
	return t == blas.NoTrans || t == blas.Trans || t == blas.ConjTrans
}

// inside reports whether a matrix with this row stride fits in n elements.
func inside(n, rows, cols, stride int) bool {
	return stride >= max(1, cols) && n >= (rows-1)*stride+cols
}
