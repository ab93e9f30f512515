package conformance

import (
	"fmt"

	"caldera/backend"
)

// Reference returns a backend that computes with the oracle, on Go slices: as
// slow and as plain as can be. It shows how little a backend must have, and
// lets a test of other code run without one. Ops that have no oracle of their own
// are left to Prepare, which lowers them.
func Reference() backend.Backend { return &reference{} }

var _ backend.Backend = (*reference)(nil)

type reference struct{ closed bool }

type referenceBuffer struct {
	owner *reference
	data  []byte // nil once freed
	size  int
}

func (b *referenceBuffer) Size() int { return b.size }
func (b *referenceBuffer) Free()     { b.data = nil }

const referenceMemory = 1 << 36 // bytes in one buffer; make panics far above

func (r *reference) Name() string { return "reference" }

func (r *reference) Alloc(size int) (backend.Buffer, error) {
	if r.closed {
		return nil, backend.ErrClosed
	}
	if err := backend.CheckSize(size); err != nil {
		return nil, err
	}
	if size > referenceMemory {
		return nil, fmt.Errorf("reference: a buffer of %d bytes: %w", size, backend.ErrOutOfMemory)
	}
	return &referenceBuffer{r, make([]byte, size), size}, nil
}

// own is b's memory if it is alive and of this backend.
func (r *reference) own(b backend.Buffer) ([]byte, error) {
	own, ok := b.(*referenceBuffer)
	switch {
	case r.closed:
		return nil, backend.ErrClosed
	case !ok || own.owner != r:
		return nil, fmt.Errorf("reference: a buffer of another backend (%T)", b)
	case own.data == nil:
		return nil, backend.ErrFreed
	}
	return own.data, nil
}

func (r *reference) window(b backend.Buffer, off, n int) ([]byte, error) {
	data, err := r.own(b)
	if err != nil {
		return nil, err
	}
	if err := backend.CheckRange(len(data), off, n); err != nil {
		return nil, err
	}
	return data[off : off+n], nil
}

func (r *reference) Write(dst backend.Buffer, off int, src []byte) error {
	window, err := r.window(dst, off, len(src))
	copy(window, src)
	return err
}

func (r *reference) Read(dst []byte, src backend.Buffer, off int) error {
	window, err := r.window(src, off, len(dst))
	copy(dst, window)
	return err
}

func (r *reference) Supports(op backend.Op) bool {
	k, known := kindOf(op)
	return known && k.Oracle != nil && !lowers(op)
}

// lowers reports whether op can be said in simpler ones.
func lowers(op backend.Op) bool {
	l, ok := op.(backend.Lowerer)
	return ok && len(l.Lower()) > 0
}

func (r *reference) Run(ops ...backend.Op) error {
	if r.closed {
		return backend.ErrClosed
	}
	for i, op := range ops { // all of them first, so that nothing runs where one is wrong
		var err error
		op.Operands(func(_ string, t *backend.Tensor, _ backend.Access) {
			if _, e := r.own(t.Buf); e != nil && err == nil {
				err = e
			}
		})
		if err != nil {
			return &backend.OpError{Index: i, Op: op.Name(), Err: err}
		}
	}
	for i, op := range ops {
		if err := interpret(direct{}, op); err != nil {
			return &backend.OpError{Index: i, Op: op.Name(), Err: err}
		}
	}
	return nil
}

func (r *reference) Close() error {
	r.closed = true
	return nil
}

// direct is the memory of a reference backend's buffers: results are rounded
// to their storage type at once.
type direct struct{}

func (direct) Load(t backend.Tensor) Values {
	data := t.Buf.(*referenceBuffer).data
	x := NewValues(t.Len())
	eachRow(t, func(i, at int) {
		decodeRow(x.v[i:i+t.Dim(-1)], t.DType, data, at, t.Stride(-1))
	})
	return x
}

func (direct) Store(t backend.Tensor, x Values) {
	data := t.Buf.(*referenceBuffer).data
	eachRow(t, func(i, at int) {
		if t.DType.Quantized() {
			encodeActivations(data[t.DType.Bytes(at):], x.v[i:i+t.Dim(-1)])
			return
		}
		for j := range t.Dim(-1) {
			encode(t.DType, data, at+j*t.Stride(-1), x.v[i+j])
		}
	})
}
