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
	register(func(b *Backend, op *backend.Linear) { b.multiply(op) })
}

// multiply computes a product, which is not joined with anything before it.
func (b *Backend) multiply(op *backend.Linear) {
	f := integerFormats[op.W.DType]
	switch {
	case op.X.DType == backend.Q8_A && f != nil:
		b.linearIntegers(op, f)
		return
	case op.X.DType != backend.F32 && op.X.Len() <= maxWide: // without garbage, for decoding
		b.product = *op
		b.product.X = b.widen(0, op.X)
		b.linear(&b.product, &b.product.X, &b.product.W, linearPart, linearRowsPart)
		b.product = backend.Linear{}
		return
	case op.X.DType != backend.F32:
		b.widened([]backend.Tensor{op.X, op.Dst, op.Residual}, func(ts []backend.Tensor) {
			wide := *op
			wide.X, wide.Dst, wide.Residual = ts[0], ts[1], ts[2]
			b.linear(&wide, &wide.X, &wide.W, linearPart, linearRowsPart)
		})
		return
	}
	b.linear(op, &op.X, &op.W, linearPart, linearRowsPart)
}

func linearPart(w *worker, op backend.Op, from, to int) {
	l := newLinear(op.(*backend.Linear))
	l.run(w, 0, l.x.Rows(), from, to)
}

func linearRowsPart(w *worker, op backend.Op, from, to int) {
	l := newLinear(op.(*backend.Linear))
	l.run(w, from, to, 0, l.w.Shape[2])
}

// linear is a product with what may follow it:
//
//	dst = residual + activation(x · wᵀ + bias)
//
// Products are added to what dst holds, so the bias is put there first, which
// spares a pass over the sums; so is the residual, where no activation comes
// before it.
type linear struct {
	dst, x, w, bias *backend.Tensor
	residual        *backend.Tensor
	activation      backend.Activation
}

func newLinear(o *backend.Linear) linear {
	return linear{&o.Dst, &o.X, &o.W, &o.Bias, &o.Residual, o.Activation}
}

// residualFirst reports whether the residual is put into dst before the product.
func (l *linear) residualFirst() bool {
	return l.activation == backend.NoActivation && !l.residual.Absent()
}

const (
	gflops   = 100.0 // of one thread: estimates of time need no more
	gbs      = 10.0
	fewRows  = 64      // up to here columns are split over threads in more parts, and no library serves
	panelLen = 1 << 17 // elements of w that are expanded at once; as float32 they fill half an L2 cache
)

// linear spreads a product over the threads, by columns of dst unless it has
// few of them: then each thread reads only its part of w. Of many rows all x may be
// copied by each thread, so by rows is cheaper where those are more, and w is no work to read.
func (b *Backend) linear(op backend.Op, x, w *backend.Tensor, columns, rows part) {
	m, n := x.Rows(), w.Shape[2]
	nanos := columnNanos(m, w, gflops)
	switch {
	case m > n && n < 64*b.pool.threads():
		b.pool.do(op, m, rowUnit, nanos*float64(n)/float64(m), 1, rows)
	case m > n && w.DType == backend.F32:
		b.pool.do(op, m, rowUnit, nanos*float64(n)/float64(m), 2, rows)
	case m <= fewRows:
		// Columns of a transposed matrix are strips of its rows: the wider, the
		// better memory is read ahead. Four strips a thread took twice as long in f16.
		pieces := fewChunks
		if _, transposed, _ := layout(w); transposed {
			pieces = 1
		}
		b.pool.upcoming = b.next
		b.pool.do(op, n, columnUnit, nanos, pieces, columns)
	default: // each chunk may copy all of x
		b.pool.do(op, n, columnUnit, nanos, 2, columns)
	}
}

// columnNanos is how long a thread takes for a column of some rows, in ns, at a rate of products and sums in a nanosecond.
func columnNanos(rows int, w *backend.Tensor, rate float64) float64 {
	in := w.Shape[3]
	return max(2*float64(rows)*float64(in)/rate, float64(w.DType.Bytes(in))/gbs)
}

// Chunks are whole tiles and cache lines.
const (
	rowUnit    = 8
	columnUnit = 3 * cacheLine
)

// Of more sums than manySums, such as the scores of a large vocabulary, as many are computed at once, from
// bias to activation, as lie in half an L2 cache: sumsRows rows of them at most.
const manySums, sumsLen, sumsRows = 1 << 20, 1 << 17, 512

// run computes the rows [r0, r1) and columns [c0, c1) of dst.
func (l *linear) run(w *worker, r0, r1, c0, c1 int) {
	lib, _ := blaslib.Load()
	library := !lib.Own && r1-r0 > fewRows
	if library || (r1-r0)*(c1-c0) <= manySums {
		l.block(w, library, r0, r1, c0, c1)
		return
	}
	for r := r0; r < r1; r += sumsRows {
		end := min(r+sumsRows, r1)
		width := max(1, sumsLen/(end-r)/columnUnit) * columnUnit
		for c := c0; c < c1; c += width {
			l.block(w, false, r, end, c, min(c+width, c1))
		}
	}
}

// block computes the rows [r0, r1) and columns [c0, c1) of dst, by a library if one serves.
func (l *linear) block(w *worker, library bool, r0, r1, c0, c1 int) {
	for r := r0; r < r1; r++ {
		l.begin(row[float32](l.dst, r)[c0:c1], r, c0, c1)
	}
	switch _, _, ok := layout(l.w); {
	case !ok, library:
		width := c1 - c0
		if !ok || l.w.DType != backend.F32 {
			width = max(1, panelLen/l.w.Shape[3])
		}
		for c := c0; c < c1; c += width {
			l.add(w, library, r0, r1, c, min(c+width, c1))
		}
	default:
		weights, transposed := viewWeights(l.w, c0)
		l.multiply(w, weights, transposed, r0, r1, c0, c1)
	}
	l.finish(r0, r1, c0, c1)
}

// multiply adds the products of rows [r0, r1) to columns [c0, c1) of dst.
func (l *linear) multiply(w *worker, weights gemm.Weights, transposed bool, r0, r1, c0, c1 int) {
	for r, next := r0, r0; r < r1; r = next {
		next = l.group(r, r1)
		x, dst := l.matrix(l.x, r, next, 0, l.x.Shape[3]), l.matrix(l.dst, r, next, c0, c1)
		if transposed {
			w.gemm.Outer(ownMatrix(dst), ownMatrix(x), weights, x.Rows, dst.Cols, x.Cols)
		} else {
			w.gemm.Dots(ownMatrix(dst), ownMatrix(x), weights, x.Rows, dst.Cols, x.Cols)
		}
	}
}

// begin puts bias and residual into columns [c0, c1) of row r of dst.
func (l *linear) begin(dst []float32, r, c0, c1 int) {
	switch residual := l.residualFirst(); {
	case !residual && l.bias.Absent():
		clear(dst)
	case !residual:
		copy(dst, row[float32](l.bias, 0)[c0:c1])
	case l.bias.Absent():
		copy(dst, row[float32](l.residual, r)[c0:c1])
	default:
		vec.Add(dst, row[float32](l.residual, r)[c0:c1], row[float32](l.bias, 0)[c0:c1])
	}
}

// add does the same with columns that are converted to float32 first, where they are not,
// or where vectors of w overlap; by a library if one serves.
func (l *linear) add(w *worker, library bool, r0, r1, c0, c1 int) {
	m, ok := viewMatrix(l.w, c0, c1)
	if !ok {
		m = expand(w, l.w, c0, c1)
	}
	if !library {
		l.multiply(w, ownMatrix(m.General).Weights(), m.transposed, r0, r1, c0, c1)
		return
	}
	trans := blas.Trans
	if m.transposed {
		trans = blas.NoTrans
	}
	for r, next := r0, r0; r < r1; r = next {
		next = l.group(r, r1)
		blas32.Gemm(blas.NoTrans, trans, 1, l.matrix(l.x, r, next, 0, l.x.Shape[3]), m.General, 1, l.matrix(l.dst, r, next, c0, c1))
	}
}

// finish applies the activation, and adds a residual that comes behind it.
func (l *linear) finish(r0, r1, c0, c1 int) {
	if l.activation == backend.NoActivation {
		return
	}
	for r := r0; r < r1; r++ {
		y := row[float32](l.dst, r)[c0:c1]
		activate(l.activation, y, y)
		if !l.residual.Absent() {
			vec.Add(y, y, row[float32](l.residual, r)[c0:c1])
		}
	}
}

// group is the end of the rows from r on that lie at one distance from each
// other in both x and dst, and don't overlap: those are a matrix to BLAS.
func (l *linear) group(r, r1 int) int {
	end := r1
	for _, t := range []*backend.Tensor{l.x, l.dst} {
		stride, ok := t.RowStride()
		if !ok { // the axis before the last has one stride
			end = min(end, (r/t.Shape[2]+1)*t.Shape[2])
			stride = t.Strides[2]
		}
		if stride < t.Shape[3] {
			return r + 1
		}
	}
	return end
}

func (l *linear) matrix(t *backend.Tensor, r0, r1, c0, c1 int) blas32.General {
	stride := t.Shape[3]
	if r1-r0 > 1 {
		stride = t.Row(r0+1) - t.Row(r0)
	}
	return blas32.General{Rows: r1 - r0, Cols: c1 - c0, Stride: stride, Data: elements[float32](t)[t.Row(r0)-t.Offset+c0:]}
}

// ownMatrix is a matrix as package gemm takes it.
func ownMatrix(m blas32.General) gemm.Matrix { return gemm.Matrix{Data: m.Data, Stride: m.Stride} }

// matrix is a number of columns of w as BLAS takes them: [columns, in], or
// [in, columns] where w is the transpose of a tensor.
type matrix struct {
	blas32.General
	transposed bool // [in, columns]
}

// layout tells how w lies in memory: vectors of neighbouring elements, stride
// apart; transposed where they run along the columns of dst. ok is false where
// the vectors overlap.
func layout(w *backend.Tensor) (stride int, transposed, ok bool) {
	out, in := w.Shape[2], w.Shape[3]
	switch {
	case in == 1 || w.Strides[3] == 1:
		return max(w.Strides[2], in), false, w.Strides[2] >= in || out == 1
	default:
		return max(w.Strides[3], out), true, w.Strides[3] >= out
	}
}

// viewWeights is columns of a matrix from c0 on where they lie.
func viewWeights(w *backend.Tensor, c0 int) (weights gemm.Weights, transposed bool) {
	stride, transposed, _ := layout(w)
	first := c0 * stride
	if transposed {
		first = c0
	}
	weights.Format = formats[w.DType]
	weights.Stride = w.DType.Bytes(stride)
	weights.Data = w.Buf.(*buffer).data[w.DType.Bytes(w.Offset+first):]
	return weights, transposed
}

// formats are how package gemm reads dtypes of weights.
var formats = func() map[backend.DType]gemm.Format {
	all := map[backend.DType]gemm.Format{
		backend.F32: gemm.F32, backend.F16: gemm.F16, backend.BF16: gemm.BF16, backend.Q8_0: gemm.Q8, backend.Q4_0: gemm.Q4,
	}
	for _, d := range backend.DTypes(backend.Weights) {
		if _, ok := all[d]; !ok {
			all[d] = gemm.Blocks(d.BlockLen(), d.Bytes(d.BlockLen()), widenBlocks(d))
		}
	}
	return all
}()

// viewMatrix is columns [c0, c1) of an f32 matrix where it lies.
func viewMatrix(w *backend.Tensor, c0, c1 int) (matrix, bool) {
	stride, transposed, ok := layout(w)
	if !ok || w.DType != backend.F32 {
		return matrix{}, false
	}
	data := elements[float32](w)
	if transposed {
		return matrix{blas32.General{Rows: w.Shape[3], Cols: c1 - c0, Stride: stride, Data: data[c0:]}, true}, true
	}
	return matrix{blas32.General{Rows: c1 - c0, Cols: w.Shape[3], Stride: stride, Data: data[c0*stride:]}, false}, true
}

// expand converts columns [c0, c1) of a matrix to float32, in a workspace of the worker.
func expand(wk *worker, w *backend.Tensor, c0, c1 int) matrix {
	in, columns := w.Shape[3], c1-c0
	workspace := wk.floats(0, in*columns)
	q, blocks := viewQuantized(w, c0)
	_, transposed, ok := layout(w)
	switch {
	case blocks:
		for c := range columns {
			q.from(workspace[c*in:][:in], q.data[c*q.stride:])
		}
	case ok:
		weights, _ := viewWeights(w, c0)
		rows, n := columns, in
		if transposed {
			rows, n = in, columns
		}
		for r := range rows {
			weights.Row(workspace[r*n:][:n], r, 0)
		}
		return matrix{blas32.General{Rows: rows, Cols: n, Stride: n, Data: workspace}, transposed}
	default: // vectors that overlap, such as one that stands for all
		for c := range columns {
			for i := range in {
				from := (c0+c)*w.Strides[2] + i*w.Strides[3]
				if w.DType == backend.F32 {
					workspace[c*in+i] = elements[float32](w)[from]
				} else {
					pairs(w.DType).From(workspace[c*in+i:][:1], elements[uint16](w)[from:])
				}
			}
		}
	}
	return matrix{blas32.General{Rows: columns, Cols: in, Stride: in, Data: workspace}, false}
}
