//go:build cgo

package vulkan

import (
	"fmt"

	"caldera/backend"
	"caldera/backend/vulkan/internal/vk"
)

// Between host and device. Where the host maps device memory it copies there
// directly as soon as the order of things allows. Elsewhere small writes travel
// in the command buffer, large ones and all reads through staging memory.

// stagingSize is that of each piece of staging memory.
const stagingSize = 16 << 20

// staging is memory that both the host and the device reach.
type staging struct {
	deviceMemory
	used    uint64 // bytes that wait to be copied to the device
	lastUse uint64 // serial of the last submit that touches it
}

// uploads has two pieces of staging memory: the host fills one while the device empties
// the other.
type uploads struct {
	pieces  [2]staging
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

// put writes in the way that is fastest at the moment.
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

// upload copies through staging memory.
func (b *Backend) upload(buf *buffer, off uint64, src []byte) error {
	for len(src) > 0 {
		s, err := b.stagingForUpload()
		if err != nil {
			return err
		}
		n := uint64(copy(s.mapped[s.used:stagingSize], src)) // the driver may have mapped more than was asked for
		if err := b.flushMapped(&s.deviceMemory, s.used, n); err != nil {
			return err
		}
		rec, err := b.commands()
		if err != nil {
			return err
		}
		rec.copy(buf.block.Buffer, buf.offset+off, s.Buffer, s.used, n)
		rec.use(buf)
		// The next bytes begin at a multiple of the largest atom of incoherent memory.
		s.used, s.lastUse = roundUp(s.used+n, rangeUnit), b.queue.last+1
		src, off = src[n:], off+n
		if rec.full() { // of many small writes, too
			if err := b.flush(); err != nil {
				return err
			}
		}
	}
	return nil
}

// stagingForUpload is a piece of staging memory that is not full.
func (b *Backend) stagingForUpload() (*staging, error) {
	s := &b.up.pieces[b.up.current]
	if s.used >= stagingSize {
		// Full: the device empties it while the host fills the other.
		if err := b.flush(); err != nil {
			return nil, err
		}
		b.up.current = 1 - b.up.current
		s = &b.up.pieces[b.up.current]
		if err := b.waitFor(s.lastUse); err != nil {
			return nil, err
		}
	}
	if s.mapped == nil {
		var err error
		if s.deviceMemory, err = b.createMemory(stagingSize, b.types.upload, true); err != nil {
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
		if s.deviceMemory, err = b.createMemory(stagingSize, b.types.download, true); err != nil {
			return fmt.Errorf("staging memory: %w", err)
		}
	}
	for len(dst) > 0 {
		rec, err := b.commands()
		if err != nil {
			return err
		}
		n := min(stagingSize, uint64(len(dst)))
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

// fetchEdges makes ready for a write of the host, and then flushMapped, what
// else lies in the first and last unit of the range: flushing writes whole
// units, and the device may have written there since the host read them.
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

// flushMapped makes what the host wrote to mapped memory visible to the device.
func (b *Backend) flushMapped(m *deviceMemory, offset, size uint64) error {
	if m.coherent {
		return nil
	}
	from := offset &^ (rangeUnit - 1)
	return b.dev.Flush(m.memory, from, min(roundUp(offset+size, rangeUnit), uint64(len(m.mapped)))-from)
}

// invalidateMapped makes what the device wrote visible to the host.
func (b *Backend) invalidateMapped(m *deviceMemory, offset, size uint64) error {
	if m.coherent {
		return nil
	}
	from := offset &^ (rangeUnit - 1)
	return b.dev.Invalidate(m.memory, from, min(roundUp(offset+size, rangeUnit), uint64(len(m.mapped)))-from)
}
