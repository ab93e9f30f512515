//go:build (linux || darwin) && (amd64 || arm64)

package blaslib

import (
	"sync"
	"unsafe"

	"github.com/ebitengine/purego"
	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/gonum"
)

// library is gonum's BLAS with sgemm and sgemv replaced. It calls the Fortran
// interface, where every argument is a pointer: purego passes pointers fastest.
// Integers are stored as 64 bits, little-endian, which is right for libraries with
// integers of 32 bits too.
type library struct {
	gonum.Implementation
	sgemm, sgemv uintptr
}

// call holds the arguments of one call, and pointers to them. It is on the heap, which
// does not move, and is reused, so that a call allocates no memory.
type call struct {
	tA, tB        byte
	m, n, k       int64
	lda, ldb, ldc int64
	alpha, beta   float32
	a, b, c       *float32 // the operands, here so that they are on the heap too
	args          [15]uintptr
}

// Pools of calls of sgemm, and of sgemv, whose vectors are b and c.
var (
	gemms = sync.Pool{New: func() any {
		s := new(call)
		s.args = [15]uintptr{pointer(&s.tA), pointer(&s.tB), pointer(&s.m), pointer(&s.n), pointer(&s.k), pointer(&s.alpha),
			0, pointer(&s.lda), 0, pointer(&s.ldb), pointer(&s.beta), 0, pointer(&s.ldc), 1, 1}
		return s
	}}
	gemvs = sync.Pool{New: func() any {
		s := new(call)
		s.args = [15]uintptr{pointer(&s.tA), pointer(&s.m), pointer(&s.n), pointer(&s.alpha),
			0, pointer(&s.lda), 0, pointer(&s.ldb), pointer(&s.beta), 0, pointer(&s.ldc), 1}
		return s
	}}
)

func pointer[T any](p *T) uintptr { return uintptr(unsafe.Pointer(p)) }

func letter(t blas.Transpose) byte {
	if t == blas.NoTrans {
		return 'N'
	}
	return 'T'
}

// Sgemm computes C = alpha·op(A)·op(B) + beta·C, as gonum documents it.
func (l *library) Sgemm(tA, tB blas.Transpose, m, n, k int, alpha float32, a []float32, lda int, b []float32, ldb int, beta float32, c []float32, ldc int) {
	rowsA, colsA, rowsB, colsB := m, k, k, n
	if tA != blas.NoTrans {
		rowsA, colsA = k, m
	}
	if tB != blas.NoTrans {
		rowsB, colsB = n, k
	}
	if m < 1 || n < 1 || k < 1 || !inside(len(a), rowsA, colsA, lda) || !inside(len(b), rowsB, colsB, ldb) || !inside(len(c), m, n, ldc) {
		l.Implementation.Sgemm(tA, tB, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc) // panics and says what is wrong, or has little to do
		return
	}
	// A row-major matrix is the transpose of a column-major one: Cᵀ = Bᵀ·Aᵀ.
	s := gemms.Get().(*call)
	s.tA, s.tB, s.m, s.n, s.k, s.alpha, s.beta = letter(tB), letter(tA), int64(n), int64(m), int64(k), alpha, beta
	s.a, s.lda, s.b, s.ldb, s.c, s.ldc = &b[0], int64(ldb), &a[0], int64(lda), &c[0], int64(ldc)
	s.args[6], s.args[8], s.args[11] = pointer(s.a), pointer(s.b), pointer(s.c)
	purego.SyscallN(l.sgemm, s.args[:]...)
	s.a, s.b, s.c = nil, nil, nil
	gemms.Put(s)
}

// Sgemv computes y = alpha·op(A)·x + beta·y, as gonum documents it.
func (l *library) Sgemv(tA blas.Transpose, m, n int, alpha float32, a []float32, lda int, x []float32, incX int, beta float32, y []float32, incY int) {
	lenX, lenY := n, m
	if tA != blas.NoTrans {
		lenX, lenY = m, n
	}
	if m < 1 || n < 1 || incX < 1 || incY < 1 || !inside(len(a), m, n, lda) || len(x) <= (lenX-1)*incX || len(y) <= (lenY-1)*incY {
		l.Implementation.Sgemv(tA, m, n, alpha, a, lda, x, incX, beta, y, incY)
		return
	}
	s := gemvs.Get().(*call)
	s.tA, s.m, s.n, s.alpha, s.beta = letter(tA)^'N'^'T', int64(n), int64(m), alpha, beta
	s.a, s.lda, s.b, s.ldb, s.c, s.ldc = &a[0], int64(lda), &x[0], int64(incX), &y[0], int64(incY)
	s.args[4], s.args[6], s.args[9] = pointer(s.a), pointer(s.b), pointer(s.c)
	purego.SyscallN(l.sgemv, s.args[:12]...)
	s.a, s.b, s.c = nil, nil, nil
	gemvs.Put(s)
}

// inside reports whether a matrix with this row stride fits in n elements.
func inside(n, rows, cols, stride int) bool {
	return stride >= max(1, cols) && n >= (rows-1)*stride+cols
}
