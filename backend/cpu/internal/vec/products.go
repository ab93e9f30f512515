package vec

import "unsafe"

// Fast reports whether there is assembly for this CPU. Without it a BLAS library is the
// faster way to make products of several rows.
func Fast() bool { return fast }

// Wide reports whether the assembly uses AVX-512.
func Wide() bool { return wide }

// Matrix is Rows vectors of float32, of which each begins Stride elements after the one
// before. They do not overlap.
type Matrix struct {
	Data         []float32
	Rows, Stride int
}

func (m Matrix) row(r int) []float32 { return m.Data[r*m.Stride:] }

// Ahead is memory that is read after what is multiplied now. The processor is asked to
// load it meanwhile. It may lie anywhere, for a wrong address costs time only.
type Ahead struct {
	Address uintptr // of the first vector
	Stride  int     // bytes from one vector to the next
	Step    int     // bytes of 16 elements
}

// Dots computes dst[r][c] += Σ x[r][i]·w[c][i] for all rows of x and all rows of w, which
// are vectors of n elements. It is for few rows of x: each element of w is loaded from
// memory once. next is where the vectors lie that follow those of w.
func Dots(dst, x, w Matrix, n int, next Ahead) {
	if n == 0 {
		return
	}
	done, i := 0, 0
	switch {
	case wide:
		done, i = w.Rows&^3, n
		for c := 0; c < done; c += 4 {
			dotsAVX512(&dst.Data[c], dst.Stride, &x.Data[0], x.Stride, x.Rows, (*byte)(unsafe.Pointer(&w.row(c)[0])), 4*w.Stride, n,
				next.Address+uintptr(c*next.Stride), next.Stride, next.Step)
		}
	case fast && n >= Lanes:
		done, i = w.Rows&^1, n&^(Lanes-1)
		for c := 0; c < done; c += 2 {
			dotsAVX2(&dst.Data[c], dst.Stride, &x.Data[0], x.Stride, x.Rows, &w.row(c)[0], w.Stride, i,
				next.Address+uintptr(c*next.Stride), next.Stride, next.Step/2)
		}
	}
	for c := range w.Rows {
		from := i
		if c >= done {
			from = 0
		}
		if from == n {
			continue
		}
		for r := range x.Rows {
			dst.row(r)[c] += Dot(w.row(c)[from:], x.row(r)[from:n])
		}
	}
}

// Dots4 is Dots for 4 columns of another dtype, without a copy in float32: w is where the
// first one lies, stride bytes from the next. It reports whether it can: there must be
// assembly for this CPU, and n must be a multiple of 32.
type Dots4 func(dst, x Matrix, w []byte, stride, n int, next Ahead) bool

// DotsF16 is Dots4 for float16.
func DotsF16(dst, x Matrix, w []byte, stride, n int, next Ahead) bool {
	can := wide && n%blockLen == 0
	if can {
		dotsF16AVX512(&dst.Data[0], dst.Stride, &x.Data[0], x.Stride, x.Rows, &w[:3*stride+2*n][0], stride, n, next.Address, next.Stride, next.Step)
	}
	return can
}

// DotsBF16 is Dots4 for bfloat16.
func DotsBF16(dst, x Matrix, w []byte, stride, n int, next Ahead) bool {
	can := wide && n%blockLen == 0
	if can {
		dotsBF16AVX512(&dst.Data[0], dst.Stride, &x.Data[0], x.Stride, x.Rows, &w[:3*stride+2*n][0], stride, n, next.Address, next.Stride, next.Step)
	}
	return can
}

// DotsQ8 is Dots4 for blocks of q8_0.
func DotsQ8(dst, x Matrix, w []byte, stride, n int, next Ahead) bool {
	can := wide && n%blockLen == 0
	if can {
		dotsQ8AVX512(&dst.Data[0], dst.Stride, &x.Data[0], x.Stride, x.Rows, &w[:3*stride+n/blockLen*q8Bytes][0], stride, n, next.Address, next.Stride, next.Step)
	}
	return can
}

// DotsQ4 is Dots4 for blocks of q4_0.
func DotsQ4(dst, x Matrix, w []byte, stride, n int, next Ahead) bool {
	can := wide && n%blockLen == 0
	if can {
		dotsQ4AVX512(&dst.Data[0], dst.Stride, &x.Data[0], x.Stride, x.Rows, &w[:3*stride+n/blockLen*q4Bytes][0], stride, n, next.Address, next.Stride, next.Step)
	}
	return can
}

// Axpys computes dst[r][c] += Σ x[r][i]·w[i][c] for all rows of x, whose vectors are as
// long as w has rows, and the given number of columns. It is for few rows of x: each
// element of w is loaded from memory once. next is where the vectors go on behind these columns.
func Axpys(dst, x, w Matrix, columns int, next Ahead) {
	c := 0
	switch {
	case w.Rows == 0:
		return
	case wide:
		for ; c < columns; c += 64 {
			axpysAVX512(&dst.Data[c], dst.Stride, &x.Data[0], x.Stride, x.Rows, &w.Data[c], w.Stride, w.Rows, min(64, columns-c),
				next.Address+uintptr(c*next.Step/16), next.Stride)
		}
	case fast:
		for ; c+16 <= columns; c += 16 {
			axpysAVX2(&dst.Data[c], dst.Stride, &x.Data[0], x.Stride, x.Rows, &w.Data[c], w.Stride, w.Rows, next.Address+uintptr(c*next.Step/16), next.Stride)
		}
	}
	for ; c < columns; c++ {
		for r := range x.Rows {
			sum := dst.row(r)[c]
			for i, a := range x.row(r)[:w.Rows] {
				sum += a * w.Data[i*w.Stride+c]
			}
			dst.row(r)[c] = sum
		}
	}
}
