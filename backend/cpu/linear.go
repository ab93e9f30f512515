package cpu

import (
	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas32"

	"caldera/backend"
	"caldera/backend/cpu/internal/vec"
)

func init() {
	register(func(b *Backend, op *backend.Linear) {
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
	})
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
// BLAS adds products to what dst holds, so the bias is put there first, which
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
	gflops   = 50.0 // of one thread: estimates of time need no more
	gbs      = 10.0
	fewRows  = 6       // up to here products are made vector by vector, where package vec has no kernels for several rows
	panelLen = 1 << 17 // elements of w that are expanded at once; as float32 they fill half an L2 cache
)

// linear spreads a product over the threads, by columns of dst unless it has
// few of them: then each thread reads only its part of w. BLAS rearranges what
// it reads, so by rows is cheaper where those are more, and w is no work to read.
func (b *Backend) linear(op backend.Op, x, w *backend.Tensor, columns, rows part) {
	m, n, k := x.Rows(), w.Shape[2], w.Shape[3]
	l := linear{x: x, w: w}
	nanos := max(2*float64(m)*float64(n)*float64(k)/gflops, float64(w.DType.Bytes(n*k))/gbs)
	switch {
	case m > n && n < 64*b.pool.threads():
		b.pool.do(op, m, 1, nanos/float64(m), 1, rows)
	case m > n && w.DType == backend.F32:
		b.pool.do(op, m, 1, nanos/float64(m), 2, rows)
	case l.thin() || m <= fewRows:
		// Columns of a transposed matrix are strips of its rows: the wider, the
		// better memory is read ahead. Four strips a thread took twice as long in f16.
		pieces, unit := chunksPerThread, 1
		if _, transposed, _ := layout(w); transposed {
			pieces = 1
		}
		if l.thin() {
			unit = cacheLine // whole tiles
		}
		b.pool.do(op, n, unit, nanos/float64(n), pieces, columns)
	default: // each chunk has BLAS rearrange all of x
		b.pool.do(op, n, cacheLine, nanos/float64(n), 2, columns)
	}
}

// run computes the rows [r0, r1) and columns [c0, c1) of dst.
func (l *linear) run(w *worker, r0, r1, c0, c1 int) {
	if l.adds(r1 - r0) {
		for r := r0; r < r1; r++ {
			l.begin(row[float32](l.dst, r)[c0:c1], r, c0, c1)
		}
	}
	if l.thin() {
		l.addThin(w, r0, r1, c0, c1)
		l.finish(r0, r1, c0, c1)
		return
	}
	width := c1 - c0
	if l.panelled(r1 - r0) {
		width = max(1, panelLen/l.w.Shape[3])
	}
	for c := c0; c < c1; c += width {
		l.panel(w, r0, r1, c, min(c+width, c1))
	}
}

// adds reports whether products are added to what dst holds. Where that would be
// 0, BLAS is told so; the products of package vec always add.
func (l *linear) adds(rows int) bool {
	return l.residualFirst() || !l.bias.Absent() || l.thin() || l.w.DType != backend.F32 && rows <= fewRows
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

// panelled reports whether columns of w are taken a few at a time: where they
// have to be converted, or are read once for each of several rows.
func (l *linear) panelled(rows int) bool {
	_, transposed, ok := layout(l.w)
	switch {
	case !ok:
		return true
	case l.w.DType != backend.F32:
		return rows > fewRows
	}
	return rows > 1 && rows <= fewRows && !transposed
}

// panel adds the products for columns [c0, c1), and finishes them.
func (l *linear) panel(w *worker, r0, r1, c0, c1 int) {
	if h, ok := viewHalf(l.w, c0, c1); ok && r1-r0 <= fewRows {
		h.multiply(l, r0, r1, c0, c1)
		l.finish(r0, r1, c0, c1)
		return
	}
	if q, ok := viewQuantized(l.w, c0); ok && r1-r0 <= fewRows {
		q.multiply(l, r0, r1, c0, c1)
		l.finish(r0, r1, c0, c1)
		return
	}
	m, ok := viewMatrix(l.w, c0, c1)
	if !ok {
		m = expand(w, l.w, c0, c1)
	}
	beta := float32(0)
	if l.adds(r1 - r0) {
		beta = 1
	}
	for r, next := r0, r0; r < r1; r = next {
		next = l.group(r, r1)
		m.multiply(l.matrix(l.x, r, next, 0, l.x.Shape[3]), beta, l.matrix(l.dst, r, next, c0, c1))
	}
	l.finish(r0, r1, c0, c1)
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

// matrix is a number of columns of w as BLAS takes them: [columns, in], or
// [in, columns] where w is the transpose of a tensor.
type matrix struct {
	blas32.General
	transposed bool // [in, columns]
}

// multiply is dst = x · mᵀ + beta · dst.
func (m matrix) multiply(x blas32.General, beta float32, dst blas32.General) {
	switch {
	case m.transposed && x.Rows > 2: // a product with a vector is no faster than with three
		blas32.Gemm(blas.NoTrans, blas.NoTrans, 1, x, m.General, beta, dst)
	case x.Rows > fewRows:
		blas32.Gemm(blas.NoTrans, blas.Trans, 1, x, m.General, beta, dst)
	default:
		t := blas.NoTrans
		if m.transposed {
			t = blas.Trans
		}
		for r := range x.Rows {
			y := dst.Data[r*dst.Stride:][:dst.Cols]
			if beta == 0 { // told so, gonum 0.17 clears one number too many of an odd number
				clear(y)
			}
			blas32.Gemv(t, 1, m.General, blas32.Vector{N: x.Cols, Inc: 1, Data: x.Data[r*x.Stride:]}, 1, blas32.Vector{N: dst.Cols, Inc: 1, Data: y})
		}
	}
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
	h, ok := viewHalf(w, c0, c1)
	switch {
	case blocks:
		q.expand(workspace, columns, in)
	case ok && h.transposed:
		for i := range in {
			h.From(workspace[i*columns:][:columns], h.data[i*h.stride:])
		}
		return matrix{blas32.General{Rows: in, Cols: columns, Stride: columns, Data: workspace}, true}
	case ok:
		for c := range columns {
			h.From(workspace[c*in:][:in], h.data[c*h.stride:])
		}
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
