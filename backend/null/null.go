// Package null is a backend that computes nothing. It is used to plan memory and in
// tests: it counts the memory that code allocates, accepts every op, and does no work.
//
// Its buffers use no memory until something is written to them, so that a model of
// any size can be planned. They return what was written, and zeros elsewhere.
package null

import (
	"fmt"

	"caldera/backend"
)

// Backend computes nothing. Its zero value is ready for use; the fields may be
// changed at any time.
type Backend struct {
	// As is a backend to stand in for: Name, Supports and MultipliesIntegers are those of As,
	// and ops may use buffers of As too. Nothing is allocated, written, read or run there.
	// Nil: none.
	As backend.Backend

	// Lacks says which ops Supports refuses. Nil: none.
	Lacks func(op backend.Op) bool

	// Limit is the number of bytes that all buffers may have together. If Alloc
	// exceeds it, the error wraps [backend.ErrOutOfMemory]. 0: 64 TiB.
	Limit int64

	// Fault is the error of Write, Read and Run, as of a device that has
	// failed. Nil: they work.
	Fault error

	live      map[*buffer]struct{}
	used      int64
	allocated int64
	closed    bool
}

var (
	_ backend.MemoryReporter    = (*Backend)(nil)
	_ backend.Fetcher           = (*Backend)(nil)
	_ backend.IntegerMultiplier = (*Backend)(nil)
)

// unlimited is smaller than every 64-bit address space.
const unlimited = 64 << 40

// Name is "null", or the name of As.
func (b *Backend) Name() string {
	if b.As != nil {
		return b.As.Name()
	}
	return "null"
}

// MultipliesIntegers is that of As.
func (b *Backend) MultipliesIntegers() bool { return b.As != nil && backend.MultipliesIntegers(b.As) }

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

// Memory implements [backend.MemoryReporter]. Without a Limit free and total are not
// known.
func (b *Backend) Memory() (used, free, total int64) {
	if b.Limit > 0 {
		return b.used, b.Limit - b.used, b.Limit
	}
	return b.used, 0, 0
}

// Allocated is the number of bytes that Alloc has allocated so far, including freed
// buffers.
func (b *Backend) Allocated() int64 { return b.allocated }

// Live is the number of buffers that have not been freed.
func (b *Backend) Live() int { return len(b.live) }

// Write stores src for later Reads.
func (b *Backend) Write(dst backend.Buffer, off int, src []byte) error {
	buf, err := b.ownRange(dst, off, len(src))
	if err != nil {
		return err
	}
	buf.write(off, src)
	return nil
}

// Read returns what was written, and zeros elsewhere: ops leave no results.
func (b *Backend) Read(dst []byte, src backend.Buffer, off int) error {
	buf, err := b.ownRange(src, off, len(dst))
	if err != nil {
		return err
	}
	buf.read(dst, off)
	return nil
}

// Fetch implements [backend.Fetcher]: nothing has to be waited for.
func (b *Backend) Fetch(src backend.Buffer, off, n int) (wait func(dst []byte) error, err error) {
	buf, err := b.ownRange(src, off, n)
	if err != nil {
		return nil, err
	}
	now := make([]byte, n)
	buf.read(now, off)
	return func(dst []byte) error { copy(dst, now); return b.Fault }, nil
}

// Beside implements [backend.Fetcher]: the host need not wait for it.
func (b *Backend) Beside() bool { return true }

// Supports returns true unless Lacks or As refuses the op. Without As it refuses products that
// round x, or are joined with a norm, a rotation or a store, as most devices do.
func (b *Backend) Supports(op backend.Op) bool {
	if b.Lacks != nil && b.Lacks(op) {
		return false
	}
	if b.As != nil {
		return b.As.Supports(op)
	}
	l, ok := op.(*backend.Linear)
	return !(ok && (l.Joined() || !l.Rounded.Absent()))
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

// own returns the buffer behind the interface. It refuses a buffer of another backend
// and one that has been freed.
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

// ownRange is own, and checks that the n bytes from byte off on are inside.
func (b *Backend) ownRange(x backend.Buffer, off, n int) (*buffer, error) {
	buf, err := b.own(x)
	if err != nil {
		return nil, err
	}
	if err := backend.CheckRange(buf.size, off, n); err != nil {
		return nil, err
	}
	return buf, b.Fault
}

// check returns an error if an op has a buffer that cannot be used.
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
