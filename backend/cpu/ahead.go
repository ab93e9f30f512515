package cpu

import (
	"unsafe"

	"caldera/backend"
	"caldera/backend/cpu/internal/gemm"
	"caldera/backend/cpu/internal/isa"
)

// Between two products of a few rows there are short ops, during which memory would have nothing to do. So a thread
// that has done its share of a product asks for the first weights of its share of the next one.

const (
	// opsAhead is among how many ops the next product is looked for.
	opsAhead = 12
	// bytesAhead is how much a thread asks for. It fits an L1 cache beside what short ops need.
	bytesAhead = 16 << 10
	// columnsAhead is how many columns of a transposed matrix are read at once.
	columnsAhead = 192
)

// matrixAhead is the matrix of a product that will come. It is an address and no pointer, and does not
// keep memory in use: what is asked for need not be there.
type matrixAhead struct {
	address         uintptr // 0: none
	column          int     // bytes from a column's weights to the next one's
	n, unit         int     // columns, see pool.do
	rows, row, wide int     // number of pieces, and the bytes from one to the next, and of each
	chunk           int     // columns of which each piece begins an equal part; 0: row says where pieces are
}

// nextMatrix is what the first product of a few rows among ops needs. ops is not kept, so that a caller of Run may
// have its list on the stack.
func (p *pool) nextMatrix(ops []backend.Op) (m matrixAhead) {
	for _, op := range ops[:min(opsAhead, len(ops))] {
		l, ok := op.(*backend.Linear)
		if !ok {
			continue
		}
		w := &l.W
		stride, transposed, ok := layout(w)
		if !ok || l.X.Rows() > fewRows {
			return m
		}
		m = matrixAhead{
			address: uintptr(unsafe.Pointer(unsafe.SliceData(w.Buf.(*buffer).data))) + uintptr(w.DType.Bytes(w.Offset)),
			column:  w.DType.Bytes(stride), n: w.Shape[2], unit: columnUnit,
			rows: 1, wide: bytesAhead,
		}
		runs, nanos, rows := 1, 0.0, l.X.Rows()
		switch f := integerFormats[w.DType]; {
		case f != nil && l.X.DType == backend.Q8_A:
			k := f.Kernels(rows)
			m.unit, runs, nanos = k.Width, k.Runs(), columnNanos(rows, w, gops)
		case !transposed && rows == 1:
			weights, _ := viewWeights(w, 0)
			runs, nanos = gemm.Runs(weights, w.Shape[3]), columnNanos(rows, w, gflops)
		}
		if runs > 1 {
			m.chunk = p.chunkOf(m.n, m.unit, nanos, fewChunks)
			m.rows, m.wide = runs, bytesAhead/runs
		}
		if transposed {
			m.row, m.wide, m.column = m.column, w.DType.Bytes(columnsAhead), w.DType.Bytes(1)
			m.rows = bytesAhead / m.wide
		}
		return m
	}
	return m
}

// fetch asks for the beginning of a thread's share.
func (m *matrixAhead) fetch(p *pool, thread int) {
	if m.address == 0 {
		return
	}
	s := p.shareOf(thread, m.n, m.unit)
	wide, row := min(m.wide, (s.to-s.from)*m.column), m.row
	if m.chunk > 0 {
		row = isa.RunRows(min(m.chunk, s.to-s.from), m.rows, m.column) * m.column
		wide = min(wide, row)
	}
	if wide <= 0 {
		return
	}
	at := m.address + uintptr(s.from*m.column)
	for r := range m.rows {
		gemm.Fetch(at+uintptr(r*row), wide)
	}
}
