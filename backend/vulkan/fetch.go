//go:build cgo

package vulkan

import (
	"fmt"

	"caldera/backend"
)

var _ backend.Fetcher = (*Backend)(nil)

// fetches is a ring of places that copies to the host go to.
type fetches struct {
	deviceMemory
	count uint64 // of Fetch so far
}

// Fetch implements [backend.Fetcher]. The copy is a submit of its own, whose fence does not
// wait for what is submitted later.
func (b *Backend) Fetch(src backend.Buffer, off, n int) (func(dst []byte) error, error) {
	wait, err := b.fetch(src, off, n)
	if err != nil {
		return nil, wrapError("Fetch of %d bytes at %d: %w", n, off, err)
	}
	return func(dst []byte) error {
		if err := wait(dst); err != nil {
			return wrapError("Fetch of %d bytes at %d: %w", n, off, err)
		}
		return nil
	}, nil
}

// Beside implements [backend.Fetcher].
func (b *Backend) Beside() bool { return !b.limits.Software }

func (b *Backend) fetch(src backend.Buffer, off, n int) (func(dst []byte) error, error) {
	if err := b.ready(); err != nil {
		return nil, err
	}
	buf, err := b.ownRange(src, off, n)
	if err != nil {
		return nil, err
	}
	if n < 1 || n > backend.MaxFetch {
		return nil, fmt.Errorf("expected 1 to %d bytes", backend.MaxFetch)
	}
	if err := buf.zeroRest(); err != nil {
		return nil, err
	}
	f := &b.fetches
	if f.mapped == nil {
		if f.deviceMemory, err = b.createMemory(backend.MaxFetches*backend.MaxFetch, b.types.download, true); err != nil {
			return nil, fmt.Errorf("staging memory: %w", err)
		}
	}
	f.count++
	number, at := f.count, f.count%backend.MaxFetches*backend.MaxFetch
	rec, err := b.commands()
	if err != nil {
		return nil, err
	}
	rec.copy(f.Buffer, at, buf.block.Buffer, buf.offset+uint64(off), uint64(n))
	rec.use(buf)
	if err := b.flush(); err != nil {
		return nil, err
	}
	serial := b.queue.last
	return func(dst []byte) error {
		if err := b.ready(); err != nil {
			return err
		}
		if len(dst) != n || b.fetches.count-number >= backend.MaxFetches {
			return fmt.Errorf("waiting for %d bytes after %d later fetches: expected %d, and less than %d",
				len(dst), b.fetches.count-number, n, backend.MaxFetches)
		}
		if err := b.waitFor(serial); err != nil {
			return err
		}
		if err := b.invalidateMapped(&f.deviceMemory, at, uint64(n)); err != nil {
			return err
		}
		copy(dst, f.mapped[at:])
		return b.validationError()
	}, nil
}
