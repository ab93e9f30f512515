package cpu

import (
	"errors"
	"fmt"
	"unsafe"

	"github.com/edsrzf/mmap-go"

	"caldera/backend"
)

// buffer is memory of a Backend. A small one is on the Go heap. A large one has pages
// of its own, so that Free returns them to the system at once. One from MapHost is
// memory of the caller.
type buffer struct {
	b        *Backend
	data     []byte // nil once freed
	pages    mmap.MMap
	owned    int // bytes that the backend has allocated; 0 for memory of the caller
	readOnly bool
}

const (
	alignment = 64      // of buffers in bytes: a cache line, and the widest vector register
	largeSize = 1 << 18 // a buffer of at least this many bytes has pages of its own
)

// Alloc returns a zeroed buffer.
func (b *Backend) Alloc(size int) (backend.Buffer, error) {
	if b.closed {
		return nil, backend.ErrClosed
	}
	if err := backend.CheckSize(size); err != nil {
		return nil, err
	}
	// The operating system allocates pages when they are first accessed. If there
	// are none left, it kills the process. So memory that was allocated before, but
	// perhaps not accessed yet, counts too.
	if free, ok := freeMemory(b.bytes); ok && size > free {
		return nil, outOfMemory(size, free)
	}
	buf := &buffer{b: b, owned: size}
	if size < largeSize {
		p := make([]byte, size+alignment-1)
		skip := -int(uintptr(unsafe.Pointer(&p[0]))) & (alignment - 1)
		buf.data = p[skip : skip+size : skip+size]
	} else {
		if size > maxMapping {
			return nil, outOfMemory(size, maxMapping)
		}
		pages, err := mmap.MapRegion(nil, size, mmap.RDWR, mmap.ANON, 0)
		if err != nil {
			return nil, fmt.Errorf("%w: %d bytes wanted: %v", backend.ErrOutOfMemory, size, err)
		}
		wantHugePages(pages)
		buf.pages, buf.data = pages, pages
	}
	b.bytes += size
	b.live[buf] = struct{}{}
	return buf, nil
}

// maxMapping is 64 TiB, less than any 64-bit address space.
const maxMapping = 1 << 46

func outOfMemory(want, there int) error {
	return fmt.Errorf("%w: %d bytes (%.1f GiB) wanted, %d (%.1f GiB) there", backend.ErrOutOfMemory,
		want, float64(want)/(1<<30), there, float64(there)/(1<<30))
}

// MapHost implements [backend.HostMapper].
func (b *Backend) MapHost(p []byte) (backend.Buffer, error) {
	if b.closed {
		return nil, backend.ErrClosed
	}
	if err := backend.CheckSize(len(p)); err != nil {
		return nil, err
	}
	buf := &buffer{b: b, data: p[:len(p):len(p)], readOnly: true}
	b.live[buf] = struct{}{}
	return buf, nil
}

// Memory implements [backend.MemoryReporter].
func (b *Backend) Memory() (used, free, total int64) {
	if there, ok := freeMemory(b.bytes); ok {
		free = int64(there)
	}
	return int64(b.bytes), free, hostMemory()
}

func (buf *buffer) Size() int { return len(buf.data) }

// Free frees the memory at once: Run has finished when it returns.
func (buf *buffer) Free() {
	if buf.data == nil {
		return
	}
	buf.data = nil
	buf.b.bytes -= buf.owned
	delete(buf.b.live, buf)
	if buf.pages != nil {
		buf.pages.Unmap() // fails only if the pages are not mapped
	}
}

// Write copies src into dst.
func (b *Backend) Write(dst backend.Buffer, off int, src []byte) error {
	p, err := b.bytesOf(dst, off, len(src))
	if err != nil {
		return fmt.Errorf("write: %w", err)
	}
	if dst.(*buffer).readOnly {
		return errReadOnly
	}
	copy(p, src)
	return nil
}

// Read copies src into dst.
func (b *Backend) Read(dst []byte, src backend.Buffer, off int) error {
	p, err := b.bytesOf(src, off, len(dst))
	if err != nil {
		return fmt.Errorf("read: %w", err)
	}
	copy(dst, p)
	return nil
}

var errReadOnly = errors.New("the buffer maps memory of the caller, which is only read")

// own returns the buffer behind the interface. It refuses a buffer of another backend
// and one that has been freed.
func (b *Backend) own(buf backend.Buffer) (*buffer, error) {
	own, ok := buf.(*buffer)
	switch {
	case b.closed:
		return nil, backend.ErrClosed
	case !ok:
		return nil, fmt.Errorf("the buffer (%T) belongs to another backend", buf)
	case own == nil:
		return nil, errors.New("there is no buffer")
	case own.b != b:
		return nil, errors.New("the buffer belongs to another instance of the cpu backend")
	case own.data == nil:
		return nil, backend.ErrFreed
	}
	return own, nil
}

func (b *Backend) bytesOf(buf backend.Buffer, off, n int) ([]byte, error) {
	own, err := b.own(buf)
	if err != nil {
		return nil, err
	}
	if err := backend.CheckRange(len(own.data), off, n); err != nil {
		return nil, err
	}
	return own.data[off : off+n], nil
}

func (b *Backend) checkOperand(t *backend.Tensor, a backend.Access) error {
	own, err := b.own(t.Buf)
	if err != nil {
		return err
	}
	if own.readOnly && a.Writes() {
		return errReadOnly
	}
	size := t.DType.BlockBytes()
	if t.DType.Quantized() {
		size = 1 // read byte by byte
	}
	if uintptr(unsafe.Pointer(&own.data[0]))%uintptr(size) != 0 {
		return fmt.Errorf("the memory that the buffer maps is not aligned to %d bytes, as %v needs", size, t.DType)
	}
	return nil
}

// element is the Go type of a dtype's elements. Those of 16 bits are their bits.
type element interface{ float32 | int32 | uint16 }

// elements returns the elements of t's buffer from t's first one on.
func elements[E element](t *backend.Tensor) []E { return all[E](t)[t.Offset:] }

// all returns all elements of t's buffer.
func all[E element](t *backend.Tensor) []E {
	data := t.Buf.(*buffer).data
	var e E
	return unsafe.Slice((*E)(unsafe.Pointer(unsafe.SliceData(data))), len(data)/int(unsafe.Sizeof(e)))
}

// row returns row r of t, whose last axis has stride 1.
func row[E element](t *backend.Tensor, r int) []E {
	var from int
	if t.Shape[0] == 1 && (t.Shape[1] == 1 || t.Strides[1] == t.Shape[2]*t.Strides[2]) {
		from = t.Offset + r*t.Strides[2] // faster than Row, which divides
	} else {
		from = t.Row(r)
	}
	return all[E](t)[from:][:t.Shape[3]]
}
