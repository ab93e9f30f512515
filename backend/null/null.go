// Package null is a backend that computes nothing. It serves to plan and to test:
// it counts the memory that code allocates, takes every op, and does no work.
//
// Its buffers take no memory until something is written to them, so that a model
// of any size can be planned. They give back what was written, and zeros elsewhere.
package null

import (
	"fmt"

	"caldera/backend"
)

// Backend computes nothing. Its zero value is ready for use; the fields may be
// changed at any time.
type Backend struct {
	// As is the backend whose place it takes: Name and Supports are those of
	// As, and ops may have buffers of As beside its own. Nothing is allocated,
	// written, read or run there. Nil stands for none.
	As backend.Backend

	// Lacks says which ops Supports refuses. Nil: none.
	Lacks func(op backend.Op) bool

	// Limit is the number of bytes that all buffers may have together; Alloc
	// of more is an error that wraps [backend.ErrOutOfMemory]. 0 stands for
	// 64 TiB.
	Limit int64

	// Fault is the error of Write, Read and Run, as of a device that has
	// failed. Nil: they work.
	Fault error

	live      map[*buffer]struct{}
	used      int64
	allocated int64
	closed    bool
}

var _ backend.MemoryReporter = (*Backend)(nil)

// unlimited is less than any address space of 64 bits.
const unlimited = 64 << 40

// Name is "null", or the name of As.
func (b *Backend) Name() string {
	if b.As != nil {
		return b.As.Name()
	}
	return "null"
}

// Alloc returns a buffer that takes no memory.
func (b *Backend) Alloc(size int) (backend.Buffer, error) {
	if b.closed {
		return nil, backend.ErrClosed
	}
	if err := backend.CheckSize(size); err != nil {
		return nil, err
	}
	if free := b.limit() - b.used; int64(size) > free {
		return nil, fmt.Errorf("%w: %d bytes wanted, %d there", backend.ErrOutOfMemory, size, free)
	}
	buf := &buffer{b: b, size: size}
	if b.live == nil {
		b.live = map[*buffer]struct{}{}
	}
	b.live[buf] = struct{}{}
	b.used += int64(size)
	b.allocated += int64(size)
	return buf, nil
}

func (b *Backend) limit() int64 {
	if b.Limit > 0 {
		return b.Limit
	}
	return unlimited
}

// Memory implements [backend.MemoryReporter]. Where there is no Limit, what is free
// and what there is in all are not known.
func (b *Backend) Memory() (used, free, total int64) {
	if b.Limit > 0 {
		return b.used, b.Limit - b.used, b.Limit
	}
	return b.used, 0, 0
}

// Allocated is the number of bytes that Alloc has given so far, those of freed
// buffers included.
func (b *Backend) Allocated() int64 { return b.allocated }

// Live is the number of buffers that have not been freed.
func (b *Backend) Live() int { return len(b.live) }

// Write keeps src for later Reads.
func (b *Backend) Write(dst backend.Buffer, off int, src []byte) error {
	buf, err := b.window(dst, off, len(src))
	if err != nil {
		return err
	}
	buf.write(off, src)
	return nil
}

// Read gives what was written, and zeros elsewhere: ops leave no results.
func (b *Backend) Read(dst []byte, src backend.Buffer, off int) error {
	buf, err := b.window(src, off, len(dst))
	if err != nil {
		return err
	}
	buf.read(dst, off)
	return nil
}

// Supports is true unless Lacks refuses the op, or As does.
func (b *Backend) Supports(op backend.Op) bool {
	if b.Lacks != nil && b.Lacks(op) {
		return false
	}
	return b.As == nil || b.As.Supports(op)
}

// Run checks the ops' buffers and does nothing.
func (b *Backend) Run(ops ...backend.Op) error {
	if err := b.check(ops); err != nil {
		return err
	}
	return b.Fault
}

// Close frees all buffers.
func (b *Backend) Close() error {
	for buf := range b.live {
		buf.Free()
	}
	b.closed = true
	return nil
}

// own is the buffer behind the interface, if it is one of b that can be used.
func (b *Backend) own(x backend.Buffer) (*buffer, error) {
	buf, ok := x.(*buffer)
	switch {
	case b.closed:
		return nil, backend.ErrClosed
	case !ok || buf.b != nil && buf.b != b:
		return nil, fmt.Errorf("the buffer (%T) belongs to another backend", x)
	case buf.freed:
		return nil, backend.ErrFreed
	}
	return buf, nil
}

// window is own, for n bytes from byte off on that are to be copied.
func (b *Backend) window(x backend.Buffer, off, n int) (*buffer, error) {
	buf, err := b.own(x)
	if err != nil {
		return nil, err
	}
	if err := backend.CheckRange(buf.size, off, n); err != nil {
		return nil, err
	}
	return buf, b.Fault
}

// check reports an op with a buffer that cannot be used.
func (b *Backend) check(ops []backend.Op) error {
	if b.closed {
		return backend.ErrClosed
	}
	for i, op := range ops {
		var err error
		op.Operands(func(name string, t *backend.Tensor, _ backend.Access) {
			if own, ok := t.Buf.(*buffer); b.As != nil && (!ok || own.b != b) {
				return // it is a buffer of As
			}
			if _, e := b.own(t.Buf); e != nil && err == nil {
				err = fmt.Errorf("%s: %w", name, e)
			}
		})
		if err != nil {
			return &backend.OpError{Index: i, Op: op.Name(), Err: err}
		}
	}
	return nil
}
