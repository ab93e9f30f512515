package null

import "caldera/backend"

// buffer has a size, and memory for those of its pages that were written.
type buffer struct {
	b     *Backend // nil: of no backend
	size  int
	pages map[int]*[pageSize]byte
	freed bool
}

const pageSize = 1 << 12

func (b *buffer) Size() int { return b.size }

// Free makes the bytes available again.
func (b *buffer) Free() {
	if b.freed {
		return
	}
	b.freed, b.pages = true, nil
	if b.b != nil {
		b.b.used -= int64(b.size)
		delete(b.b.live, b)
	}
}

func (b *buffer) write(off int, src []byte) {
	if b.pages == nil {
		b.pages = map[int]*[pageSize]byte{}
	}
	for len(src) > 0 {
		page := b.pages[off/pageSize]
		if page == nil {
			page = new([pageSize]byte)
			b.pages[off/pageSize] = page
		}
		n := copy(page[off%pageSize:], src)
		src, off = src[n:], off+n
	}
}

func (b *buffer) read(dst []byte, off int) {
	for len(dst) > 0 {
		part := dst[:min(len(dst), pageSize-off%pageSize)]
		if page := b.pages[off/pageSize]; page != nil {
			copy(part, page[off%pageSize:])
		} else {
			clear(part)
		}
		dst, off = dst[len(part):], off+len(part)
	}
}

// Tensor returns a contiguous tensor on a buffer that no backend has allocated, for
// uses where only dtypes, shapes and sizes matter. Every null backend accepts it, and
// none counts its memory.
func Tensor(d backend.DType, dims ...int) backend.Tensor {
	t := backend.Of(nil, d, 0, dims...)
	t.Buf = &buffer{size: t.Size()}
	return t
}
