//go:build cgo

package vulkan

import (
	"errors"
	"fmt"

	"caldera/backend"
)

// buffer is a range of a block of device memory.
type buffer struct {
	b      *Backend
	block  *block
	offset uint64 // in the block: a multiple of rangeUnit
	size   uint64
	freed  bool

	// lastUse is the serial of the last submit that touches it.
	lastUse uint64

	// zeroFrom is the first byte that is not cleared yet: new memory has old
	// contents. Clearing is delayed, because most tensors are written from front
	// to back first and then need none. It is a multiple of 4, or equal to size.
	zeroFrom uint64
}

var _ backend.Buffer = (*buffer)(nil)

// Alloc implements [backend.Backend].
func (b *Backend) Alloc(size int) (backend.Buffer, error) {
	if err := b.ready(); err != nil {
		return nil, err
	}
	if err := backend.CheckSize(size); err != nil {
		return nil, wrapError("%w", err)
	}
	buf, err := b.alloc(uint64(size))
	if err != nil {
		return nil, wrapError("%w", err)
	}
	return buf, nil
}

// alloc allocates a buffer. If memory runs out while freed buffers are still in
// use by the device, it waits for the device and tries once more.
func (b *Backend) alloc(size uint64) (*buffer, error) {
	buf, err := b.allocNow(size)
	if errors.Is(err, backend.ErrOutOfMemory) && len(b.queue.deferred) > 0 {
		if err := b.waitAll(); err != nil {
			return nil, err
		}
		return b.allocNow(size)
	}
	return buf, err
}

// allocNow is alloc without waiting.
func (b *Backend) allocNow(size uint64) (*buffer, error) {
	blk, offset, err := b.mem.alloc(size)
	if err != nil {
		return nil, err
	}
	return &buffer{b: b, block: blk, offset: offset, size: size}, nil
}

// Size implements [backend.Buffer].
func (buf *buffer) Size() int { return int(buf.size) }

// Free implements [backend.Buffer].
func (buf *buffer) Free() {
	if buf.freed || buf.b.closed {
		return
	}
	buf.freed = true
	buf.b.frees++
	buf.b.queue.after(buf.lastUse, func() { buf.b.mem.release(buf.block, buf.offset, buf.size) })
}

// own returns the buffer behind the interface. It refuses a buffer of another
// backend and one that has been freed.
func (b *Backend) own(x backend.Buffer) (*buffer, error) {
	buf, ok := x.(*buffer)
	switch {
	case !ok:
		return nil, fmt.Errorf("a buffer of type %T was not allocated by this backend", x)
	case buf.b != b:
		return nil, fmt.Errorf("the buffer belongs to another backend (%s)", buf.b.name)
	case buf.freed:
		return nil, fmt.Errorf("%w (it had %d bytes)", backend.ErrFreed, buf.size)
	}
	return buf, nil
}

// ownRange is own, and checks that the n bytes from byte off on are inside.
func (b *Backend) ownRange(x backend.Buffer, off, n int) (*buffer, error) {
	buf, err := b.own(x)
	if err != nil {
		return nil, err
	}
	return buf, backend.CheckRange(buf.Size(), off, n)
}

// zeroRest clears the bytes from zeroFrom on.
func (buf *buffer) zeroRest() error {
	from := buf.zeroFrom
	if from >= buf.size {
		return nil
	}
	if buf.hostIdle() {
		if err := buf.b.fetchEdges(&buf.block.deviceMemory, buf.offset+from, buf.size-from); err != nil {
			return err
		}
		clear(buf.mapped()[from:])
		if err := buf.b.flushMapped(&buf.block.deviceMemory, buf.offset+from, buf.size-from); err != nil {
			return err
		}
	} else {
		rec, err := buf.b.commands()
		if err != nil {
			return err
		}
		rec.zero(buf.block.Buffer, buf.offset+from, roundUp(buf.size-from, 4))
		rec.use(buf)
	}
	buf.zeroFrom = buf.size
	return nil
}

// zeroSkipped prepares for a write by the host of the n bytes from off on. If
// the write would leave a gap behind zeroFrom, it clears the buffer first.
func (buf *buffer) zeroSkipped(off, n uint64) error {
	end := off + n
	if buf.zeroFrom < buf.size && (off > buf.zeroFrom || (end%4 != 0 && end != buf.size)) {
		return buf.zeroRest()
	}
	return nil
}

// hostIdle reports whether the host may access the memory now: it is mapped,
// and no recorded or submitted command uses it.
func (buf *buffer) hostIdle() bool {
	b := buf.b
	if !b.limits.Unified {
		return false
	}
	if buf.lastUse > b.queue.done && b.queue.poll() != nil {
		return false
	}
	return buf.lastUse <= b.queue.done
}

// mapped returns the buffer's bytes in mapped memory (only if Limits.Unified).
func (buf *buffer) mapped() []byte {
	return buf.block.mapped[buf.offset : buf.offset+buf.size : buf.offset+buf.size]
}
