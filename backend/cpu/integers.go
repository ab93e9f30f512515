package cpu

import (
	"caldera/backend"
	"caldera/backend/cpu/internal/qgemm"
)

// integers is a product of quantised weights with activations in blocks, whose numbers are
// multiplied as integers: see package qgemm. x is packed once for all threads. It is the op of
// its parts.
type integers struct {
	*backend.Linear
	format  *qgemm.Format
	kernels qgemm.Kernels
	first   int // row of x
	rows    int // from there on, that are multiplied at once
	packed  []byte
	x       []byte // packed, or a row that need not be
}

// integerFormats are the types of weights that are multiplied so. With others blocks of x are converted to f32.
var integerFormats = map[backend.DType]*qgemm.Format{
	backend.Q8_0:   &qgemm.Q8_0,
	backend.Q4_0:   &qgemm.Q4_0,
	backend.Q4_1:   &qgemm.Q4_1,
	backend.Q5_0:   &qgemm.Q5_0,
	backend.Q5_1:   &qgemm.Q5_1,
	backend.Q4_K:   &qgemm.Q4_K,
	backend.Q5_K:   &qgemm.Q5_K,
	backend.Q6_K:   &qgemm.Q6_K,
	backend.IQ4_NL: &qgemm.IQ4_NL,
	backend.IQ4_XS: &qgemm.IQ4_XS,
	backend.MXFP4:  &qgemm.MXFP4,
}

// linearIntegers runs a product with weights of a format.
func (b *Backend) linearIntegers(op *backend.Linear, f *qgemm.Format) {
	i := &b.integers
	i.Linear, i.format = op, f
	rows, in, out := op.X.Rows(), op.X.Shape[3], op.W.Shape[2]
	most := max(qgemm.TileRows, maxWide/in&^(qgemm.TileRows-1))
	for i.first = 0; i.first < rows; i.first += i.rows {
		i.rows = i.together(min(rows, i.first+most)) - i.first
		i.kernels = f.Kernels(i.rows)
		b.pack()

		width, threads := i.kernels.Width, b.pool.threads()
		nanos := columnNanos(i.rows, &op.W, gops)
		if out < 2*width*threads && i.rows >= 8*qgemm.TileRows*threads {
			b.pool.do(i, i.rows, qgemm.TileRows, nanos*float64(out)/float64(i.rows), 1, integersRowsPart)
		} else {
			pieces := chunksPerThread
			if i.rows <= fewRows {
				pieces = fewChunks
				b.pool.upcoming = b.next
			}
			b.pool.do(i, out, width, nanos, pieces, integersPart)
		}
	}
	i.Linear, i.x = nil, nil // so that the op's memory can be collected
}

// pack sets x of the product in hand.
func (b *Backend) pack() {
	i := &b.integers
	if i.kernels.Unpacked() {
		i.x = blockRow(&i.X, i.first)
		return
	}
	n := i.format.PackedBytes(i.rows, i.X.Shape[3])
	if cap(i.packed) < n {
		i.packed = make([]byte, n)
	}
	i.packed = i.packed[:n]
	i.x = i.packed
	b.pool.do(i, i.rows, qgemm.TileRows, 0.15*float64(i.X.Shape[3]), chunksPerThread, packPart)
}

// Rounding implements [backend.Rounder]: blocks, where integers are multiplied faster than f32.
func (b *Backend) Rounding(w backend.DType) backend.DType {
	if f := integerFormats[w]; f != nil && f.Fast() {
		return backend.Q8_A
	}
	return backend.F32
}

// gops is how many products and sums of integers a thread makes in a nanosecond: see gflops.
const gops = 200.0

// together is the end of the rows from the first on that lie at one distance from each other in dst,
// and in the residual where sums begin with it.
func (i *integers) together(end int) int {
	for _, t := range []*backend.Tensor{&i.Dst, &i.Residual} {
		if _, ok := t.RowStride(); !ok && !t.Absent() { // the axis before the last has one stride
			end = min(end, (i.first/t.Shape[2]+1)*t.Shape[2])
		}
	}
	return end
}

func packPart(_ *worker, op backend.Op, from, to int) {
	i := op.(*integers)
	for r := from; r < to; r++ {
		i.format.PackRow(i.packed, r, i.rows, blockRow(&i.X, i.first+r))
	}
}

func integersPart(w *worker, op backend.Op, from, to int) {
	i := op.(*integers)
	i.run(w, 0, i.rows, from, to)
}

func integersRowsPart(w *worker, op backend.Op, from, to int) {
	i := op.(*integers)
	i.run(w, from, to, 0, i.W.Shape[2])
}

// run computes the rows [r0, r1) of those that are multiplied at once, and columns [c0, c1).
func (i *integers) run(w *worker, r0, r1, c0, c1 int) {
	l := newLinear(i.Linear)
	weights, _ := viewQuantized(&i.W, 0)
	p := qgemm.Product{
		Kernels: i.kernels,
		X:       i.x, Rows: i.rows,
		W: weights.data, WStride: weights.stride,
		In: i.X.Shape[3],
	}
	p.Dst, p.DstStride = i.from(&i.Dst)
	switch residual, bias := l.residualFirst(), !i.Bias.Absent(); {
	case residual && bias:
		for r := i.first + r0; r < i.first+r1; r++ {
			l.begin(row[float32](&i.Dst, r)[c0:c1], r, c0, c1)
		}
		p.Init, p.InitStride = p.Dst, p.DstStride
	case residual:
		p.Init, p.InitStride = i.from(&i.Residual)
	case bias:
		p.Init = row[float32](&i.Bias, 0)
	}
	p.Columns(&w.integers, r0, r1, c0, c1)
	l.finish(i.first+r0, i.first+r1, c0, c1)
}

// from is a tensor of f32 from the first row on, and the distance of rows.
func (i *integers) from(t *backend.Tensor) (data []float32, stride int) {
	if i.rows > 1 {
		stride = t.Row(i.first+1) - t.Row(i.first)
	}
	return elements[float32](t)[t.Row(i.first)-t.Offset:], stride
}
