package cpu

import (
	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas32"

	"caldera/backend"
	"caldera/backend/cpu/internal/vec"
)

func init() {
	register(func(b *Backend, op *backend.LinearBackward) {
		// By rows of dw as it lies, so that each sum is one thread's.
		dw := weightRows(&op.DW)
		nanos := 2 * float64(op.X.Rows()) * float64(dw.Shape[3]) / gflops
		b.pool.do(op, dw.Shape[2], nanos, 2, linearBackwardPart)
		if !op.DBias.Absent() {
			b.parallel(op, op.DBias.Shape[3], float64(op.X.Rows()), linearBackwardBias)
		}
	})
}

// weightRows is a matrix in the orientation in which its rows lie in memory.
func weightRows(w *backend.Tensor) backend.Tensor {
	if w.Shape[3] > 1 && w.Strides[3] != 1 {
		return w.Transpose()
	}
	return *w
}

func linearBackwardPart(_ *worker, op backend.Op, from, to int) {
	o := op.(*backend.LinearBackward)
	dw := weightRows(&o.DW)
	a, b := &o.DY, &o.X // dw = aᵀ · b
	if dw.Strides != o.DW.Strides {
		a, b = b, a
	}
	dst := blas32.General{
		Rows: to - from, Cols: dw.Shape[3], Stride: max(dw.Strides[2], dw.Shape[3]),
		Data: elements[float32](&dw)[from*dw.Strides[2]:],
	}
	l := linear{x: a, dst: b}
	rows := a.Rows()
	for r, next := 0, 0; r < rows; r = next {
		next = l.group(r, rows)
		blas32.Gemm(blas.Trans, blas.NoTrans, 1, l.matrix(a, r, next, from, to), l.matrix(b, r, next, 0, b.Shape[3]), 1, dst)
	}
}

func linearBackwardBias(w *worker, op backend.Op, from, to int) {
	o := op.(*backend.LinearBackward)
	sum := w.floats(0, to-from)
	clear(sum)
	for r := range o.DY.Rows() {
		vec.Add(sum, sum, row[float32](&o.DY, r)[from:to])
	}
	dst := row[float32](&o.DBias, 0)[from:to]
	vec.Add(dst, dst, sum)
}
