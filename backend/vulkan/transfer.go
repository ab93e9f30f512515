//go:build cgo

package vulkan

import (
	"fmt"

	"caldera/backend"
	"caldera/backend/vulkan/internal/vk"
)

// Copies between host and device. If device memory is mapped, the host copies to
// it directly, once earlier commands that use the buffer have finished. Otherwise
// small writes are stored in the command buffer; large writes and all reads go
// through staging buffers.

// stagingSize is the size of a staging buffer in bytes.
func (b *Backend) stagingSize() uint64 { return b.mem.unit / 4 }

// staging is a staging buffer: memory that both the host and the device access.
type staging struct {
	deviceMemory
	used    uint64 // bytes that the host has written since the device was done with it
	lastUse uint64 // serial of the last submit that uses it
}

// uploads has two staging buffers. The host fills one while the device copies
// from the other.
type uploads struct {
	buffers [2]staging
	current int
}

// Write implements [backend.Backend].
func (b *Backend) Write(dst backend.Buffer, off int, src []byte) error {
	if err := b.ready(); err != nil {
		return err
	}
	buf, err := b.ownRange(dst, off, len(src))
	if err == nil && len(src) > 0 {
		err = b.write(buf, uint64(off), src)
	}
	if err != nil {
		return wrapError("Write of %d bytes at %d: %w", len(src), off, err)
	}
	return nil
}

func (b *Backend) write(buf *buffer, off uint64, src []byte) error {
	if err := buf.zeroSkipped(off, uint64(len(src))); err != nil {
		return err
	}
	if err := b.put(buf, off, src); err != nil {
		return err
	}
	buf.zeroFrom = max(buf.zeroFrom, off+uint64(len(src)))
	return nil
}

// put writes src to the buffer at off, in the way that is fastest now.
func (b *Backend) put(buf *buffer, off uint64, src []byte) error {
	n := uint64(len(src))
	switch {
	case !buf.hostIdle() && n <= vk.MaxUpdate && off%4 == 0 && n%4 == 0:
		rec, err := b.commands()
		if err != nil {
			return err
		}
		rec.update(buf.block.Buffer, buf.offset+off, src)
		rec.use(buf)
		if rec.full() {
			return b.flush()
		}
		return nil
	case b.limits.Unified:
		if err := b.waitFor(buf.lastUse); err != nil {
			return err
		}
		if err := b.fetchEdges(&buf.block.deviceMemory, buf.offset+off, n); err != nil {
			return err
		}
		copy(buf.mapped()[off:], src)
		return b.flushMapped(&buf.block.deviceMemory, buf.offset+off, n)
	}
	return b.upload(buf, off, src)
}

// upload writes src to the buffer at off through staging buffers.
func (b *Backend) upload(buf *buffer, off uint64, src []byte) error {
	for len(src) > 0 {
		s, err := b.stagingForUpload()
		if err != nil {
			return err
		}
		n := uint64(copy(s.mapped[s.used:b.stagingSize()], src)) // mapped may be longer
		if err := b.flushMapped(&s.deviceMemory, s.used, n); err != nil {
			return err
		}
		rec, err := b.commands()
		if err != nil {
			return err
		}
		rec.copy(buf.block.Buffer, buf.offset+off, s.Buffer, s.used, n)
		rec.use(buf)
		// rangeUnit: flushes of incoherent memory must not overlap (nonCoherentAtomSize).
		s.used, s.lastUse = roundUp(s.used+n, rangeUnit), b.queue.last+1
		src, off = src[n:], off+n
		if rec.full() { // many small writes fill it too
			if err := b.flush(); err != nil {
				return err
			}
		}
	}
	return nil
}

// stagingForUpload returns a staging buffer that is not full.
func (b *Backend) stagingForUpload() (*staging, error) {
	s := &b.up.buffers[b.up.current]
	if s.used >= b.stagingSize() {
		// Full: the device copies from it while the host fills the other.
		if err := b.flush(); err != nil {
			return nil, err
		}
		b.up.current = 1 - b.up.current
		s = &b.up.buffers[b.up.current]
		if err := b.waitFor(s.lastUse); err != nil {
			return nil, err
		}
	}
	if s.mapped == nil {
		var err error
		if s.deviceMemory, err = b.createMemory(b.stagingSize(), b.types.upload, true); err != nil {
			return nil, fmt.Errorf("staging memory: %w", err)
		}
	}
	if s.lastUse <= b.queue.done {
		s.used = 0
	}
	return s, nil
}

// Read implements [backend.Backend].
func (b *Backend) Read(dst []byte, src backend.Buffer, off int) error {
	if err := b.ready(); err != nil {
		return err
	}
	buf, err := b.ownRange(src, off, len(dst))
	if err == nil {
		err = b.read(dst, buf, uint64(off))
	}
	if err == nil {
		err = b.validationError()
	}
	if err != nil {
		return wrapError("Read of %d bytes at %d: %w", len(dst), off, err)
	}
	return nil
}

func (b *Backend) read(dst []byte, buf *buffer, off uint64) error {
	if err := buf.zeroRest(); err != nil {
		return err
	}
	if b.limits.Unified || len(dst) == 0 {
		if err := b.waitAll(); err != nil || len(dst) == 0 {
			return err
		}
		if err := b.invalidateMapped(&buf.block.deviceMemory, buf.offset+off, uint64(len(dst))); err != nil {
			return err
		}
		copy(dst, buf.mapped()[off:])
		return nil
	}
	s := &b.down
	if s.mapped == nil {
		var err error
		if s.deviceMemory, err = b.createMemory(b.stagingSize(), b.types.download, true); err != nil {
			return fmt.Errorf("staging memory: %w", err)
		}
	}
	for len(dst) > 0 {
		rec, err := b.commands()
		if err != nil {
			return err
		}
		n := min(b.stagingSize(), uint64(len(dst)))
		rec.copy(s.Buffer, 0, buf.block.Buffer, buf.offset+off, n)
		rec.use(buf)
		if err := b.waitAll(); err != nil {
			return err
		}
		if err := b.invalidateMapped(&s.deviceMemory, 0, n); err != nil {
			return err
		}
		copy(dst, s.mapped[:n])
		dst, off = dst[n:], off+n
	}
	return nil
}

// fetchEdges prepares incoherent memory for a write by the host and flushMapped. A
// flush writes whole units of rangeUnit bytes. So the bytes around the range, in
// its first and last unit, must be up to date: fetchEdges invalidates these units.
func (b *Backend) fetchEdges(m *deviceMemory, offset, size uint64) error {
	end := offset + size
	if offset%rangeUnit != 0 {
		if err := b.invalidateMapped(m, offset, 1); err != nil {
			return err
		}
	}
	if end%rangeUnit != 0 {
		return b.invalidateMapped(m, end, 1)
	}
	return nil
}

// flushMapped makes the host's writes to mapped memory visible to the device.
func (b *Backend) flushMapped(m *deviceMemory, offset, size uint64) error {
	if m.coherent {
		return nil
	}
	from := offset &^ (rangeUnit - 1)
	return b.dev.Flush(m.memory, from, min(roundUp(offset+size, rangeUnit), uint64(len(m.mapped)))-from)
}

// invalidateMapped makes the device's writes visible to the host.
func (b *Backend) invalidateMapped(m *deviceMemory, offset, size uint64) error {
	if m.coherent {
		return nil
	}
	from := offset &^ (rangeUnit - 1)
	return b.dev.Invalidate(m.memory, from, min(roundUp(offset+size, rangeUnit), uint64(len(m.mapped)))-from)
}
