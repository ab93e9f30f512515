package cpu

import (
	"math"
	"unsafe"

	"caldera/backend"
)

// experts is a product with matrices of experts. Rows of the same expert are one product, with the
// kernels of Linear: they are brought together before it and spread behind it, unless there is one.
// It is the op of these two.
type experts struct {
	*backend.ExpertLinear
	vectors backend.Tensor // x, with a row for each row of dst
	ends    []int          // of each expert, where its rows end in rows
	rows    []int32        // of dst, those of one expert after those of another
	of      []int32        // the rows in hand
	x, dst  memory         // theirs
	product backend.Linear
}

// memory is a workspace as a buffer.
type memory struct {
	data []float32
	buf  buffer
}

// tensor is a matrix in the workspace, contents undefined.
func (m *memory) tensor(b *Backend, d backend.DType, rows, n int) backend.Tensor {
	bytes := d.Bytes(rows * n)
	if words := (bytes + 3) / 4; cap(m.data) < words {
		m.data = make([]float32, words)
	}
	m.buf = buffer{b: b, data: unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(m.data))), bytes)}
	return backend.Of(&m.buf, d, 0, rows, n)
}

func init() {
	register(func(b *Backend, op *backend.ExpertLinear) { b.expertLinear(op) })
}

func (b *Backend) expertLinear(op *backend.ExpertLinear) {
	e := &b.experts
	e.ExpertLinear, e.vectors = op, op.Vectors()
	e.sort()
	b.next = matrixAhead{}
	for expert, from := 0, 0; expert < op.W.Shape[1]; expert++ {
		if e.of = e.rows[from:e.ends[expert]]; len(e.of) > 0 {
			b.multiplyExpert(expert)
		}
		from = e.ends[expert]
	}
	e.ExpertLinear, e.vectors, e.of, e.product = nil, backend.Tensor{}, nil, backend.Linear{} // so that the op's memory can be collected
}

// sort puts the rows of dst in the order of their experts. Those that have none become NaN.
func (e *experts) sort() {
	count := e.W.Shape[1]
	if cap(e.ends) < count {
		e.ends = make([]int, count)
	}
	e.ends = e.ends[:count]
	clear(e.ends)
	chosen, n := e.Dst.Shape[2], 0
	for t := range e.IDs.Rows() {
		for c, id := range row[int32](&e.IDs, t) {
			if uint(id) < uint(count) {
				e.ends[id]++
				n++
			} else {
				fill(row[float32](&e.Dst, t*chosen+c), float32(math.NaN()))
			}
		}
	}
	for i, from := 0, 0; i < count; i++ { // where those of i begin, and below, as they are put there, end
		from, e.ends[i] = from+e.ends[i], from
	}
	if cap(e.rows) < n {
		e.rows = make([]int32, n)
	}
	e.rows = e.rows[:n]
	for t := range e.IDs.Rows() {
		for c, id := range row[int32](&e.IDs, t) {
			if uint(id) < uint(count) {
				e.rows[e.ends[id]] = int32(t*chosen + c)
				e.ends[id]++
			}
		}
	}
}

// multiplyExpert computes the rows in hand, which are of one expert.
func (b *Backend) multiplyExpert(expert int) {
	e := &b.experts
	l := &e.product
	n, in, out := len(e.of), e.W.Shape[3], e.W.Shape[2]
	l.W = e.W.Slice(1, expert, expert+1)
	if l.Bias = e.Bias; !l.Bias.Absent() {
		l.Bias = l.Bias.Slice(2, expert, expert+1)
	}
	if n == 1 {
		l.X, l.Dst = rowOf(e.vectors, int(e.of[0])), rowOf(e.Dst, int(e.of[0]))
		b.multiply(l)
		return
	}
	l.X, l.Dst = e.x.tensor(b, e.X.DType, n, in), e.dst.tensor(b, backend.F32, n, out)
	b.parallel(e, n, 0.1*float64(in), gatherExpertRows)
	b.multiply(l)
	b.parallel(e, n, 0.1*float64(out), spreadExpertRows)
}

// rowOf is row r of t.
func rowOf(t backend.Tensor, r int) backend.Tensor {
	return backend.Of(t.Buf, t.DType, t.Row(r), t.Shape[3])
}

func gatherExpertRows(_ *worker, op backend.Op, from, to int) {
	e := op.(*experts)
	for i := from; i < to; i++ {
		if r := int(e.of[i]); e.X.DType.Quantized() {
			copy(blockRow(&e.product.X, i), blockRow(&e.vectors, r))
		} else {
			copy(row[float32](&e.product.X, i), row[float32](&e.vectors, r))
		}
	}
}

func spreadExpertRows(_ *worker, op backend.Op, from, to int) {
	e := op.(*experts)
	for i := from; i < to; i++ {
		copy(row[float32](&e.Dst, int(e.of[i])), row[float32](&e.product.Dst, i))
	}
}
