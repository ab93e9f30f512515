package cpu

import (
	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas32"

	"caldera/backend"
	"caldera/backend/cpu/internal/blaslib"
	"caldera/backend/cpu/internal/gemm"
	"caldera/backend/cpu/internal/vec"
)

func init() {
	register(func(b *Backend, op *backend.LinearBackward) {
		if op.X.DType == backend.F16 {
			b.widened([]backend.Tensor{op.DY, op.X}, func(ts []backend.Tensor) {
				wide := *op
				wide.DY, wide.X = ts[0], ts[1]
				b.linearBackward(&wide)
			})
			return
		}
		b.linearBackward(op)
	})
}

func (b *Backend) linearBackward(op *backend.LinearBackward) {
	// By the longer side of dw as it lies: each sum is one thread's, and the
	// less BLAS rearranges the other side of.
	dw := weightRows(&op.DW)
	rows, columns := dw.Shape[2], dw.Shape[3]
	long, run := rows, linearBackwardRows
	if columns > rows {
		long, run = columns, linearBackwardColumns
	}
	pieces := 2
	if long < 256*b.pool.threads() {
		pieces = 1
	}
	nanos := 2 * float64(op.X.Rows()) * float64(rows*columns) / gflops
	b.pool.do(op, long, cacheLine, nanos/float64(long), pieces, run)
	if !op.DBias.Absent() {
		b.columns(op, op.DBias.Shape[3], 0.1*float64(op.X.Rows()), linearBackwardBias)
	}
}

// weightRows is a matrix in the orientation in which its rows lie in memory.
func weightRows(w *backend.Tensor) backend.Tensor {
	if w.Shape[3] > 1 && w.Strides[3] != 1 {
		return w.Transpose()
	}
	return *w
}

func linearBackwardRows(w *worker, op backend.Op, from, to int) {
	o := op.(*backend.LinearBackward)
	linearBackward(w, o, from, to, 0, weightRows(&o.DW).Shape[3])
}

func linearBackwardColumns(w *worker, op backend.Op, from, to int) {
	o := op.(*backend.LinearBackward)
	linearBackward(w, o, 0, weightRows(&o.DW).Shape[2], from, to)
}

// linearBackward does the rows [r0, r1) and columns [c0, c1) of dw as it lies.
func linearBackward(w *worker, o *backend.LinearBackward, r0, r1, c0, c1 int) {
	dw := weightRows(&o.DW)
	a, b := &o.DY, &o.X // dw = aᵀ · b
	if dw.Strides != o.DW.Strides {
		a, b = b, a
	}
	dst := blas32.General{
		Rows: r1 - r0, Cols: c1 - c0, Stride: max(dw.Strides[2], dw.Shape[3]),
		Data: elements[float32](&dw)[r0*dw.Strides[2]+c0:],
	}
	l := linear{x: a, dst: b}
	rows := a.Rows()
	lib, _ := blaslib.Load()
	for r, next := 0, 0; r < rows; r = next {
		next = l.group(r, rows)
		x, y := l.matrix(a, r, next, r0, r1), l.matrix(b, r, next, c0, c1)
		if !lib.Own {
			blas32.Gemm(blas.Trans, blas.NoTrans, 1, x, y, 1, dst)
			continue
		}
		if x.Rows <= fewTerms {
			w.addOnce(dst, x, y)
			continue
		}
		w.gemm.OuterTransposed(ownMatrix(dst), ownMatrix(x), ownMatrix(y).Weights(), dst.Rows, dst.Cols, x.Rows)
	}
}

const (
	// fewTerms is up to how many products are summed before they are added to a gradient. One after the other
	// each would be rounded as finely as the gradient is, which may be much larger than all of them together.
	fewTerms = 64
	// sumsAtOnce is how many sums are computed at once, so that they stay in an L1 cache.
	sumsAtOnce = 1 << 12
)

// addOnce adds xᵀ · y to dst, each sum in one addition.
func (w *worker) addOnce(dst, x, y blas32.General) {
	columns := min(dst.Cols, sumsAtOnce)
	rows := max(1, sumsAtOnce/columns)
	for r := 0; r < dst.Rows; r += rows {
		high := min(rows, dst.Rows-r)
		for c := 0; c < dst.Cols; c += columns {
			wide := min(columns, dst.Cols-c)
			sums := w.floats(0, high*wide)
			clear(sums)
			part := gemm.Matrix{Data: sums, Stride: wide}
			w.gemm.OuterTransposed(part, gemm.Matrix{Data: x.Data[r:], Stride: x.Stride}, gemm.Matrix{Data: y.Data[c:], Stride: y.Stride}.Weights(), high, wide, x.Rows)
			for i := range high {
				to := dst.Data[(r+i)*dst.Stride+c:][:wide]
				vec.Add(to, to, sums[i*wide:][:wide])
			}
		}
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
