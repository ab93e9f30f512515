//go:build cgo

package vulkan

import (
	"cmp"
	"slices"
)

// freeList allocates aligned ranges of a block of memory: best fit. A range that
// is released is merged with its free neighbours.
type freeList struct {
	size, align uint64     // align is a power of two and divides size
	free        []freeSpan // by offset; no two of them touch
}

type freeSpan struct{ from, to uint64 }

func newFreeList(size, align uint64) freeList {
	return freeList{size, align, []freeSpan{{0, size}}}
}

// alloc allocates size bytes, rounded up to a multiple of align, and returns
// their offset. ok is false if no free range is large enough.
func (f *freeList) alloc(size uint64) (offset uint64, ok bool) {
	size = roundUp(size, f.align)
	best := -1
	for i, s := range f.free {
		if n := s.to - s.from; n >= size && (best < 0 || n < f.free[best].to-f.free[best].from) {
			best = i
		}
	}
	if best < 0 {
		return 0, false
	}
	s := &f.free[best]
	offset = s.from
	if s.from += size; s.from == s.to {
		f.free = slices.Delete(f.free, best, best+1)
	}
	return offset, true
}

// release frees the range of size bytes at the offset that alloc returned.
func (f *freeList) release(offset, size uint64) {
	s := freeSpan{offset, offset + roundUp(size, f.align)}
	i, _ := slices.BinarySearchFunc(f.free, s.from, func(s freeSpan, from uint64) int { return cmp.Compare(s.from, from) })
	if i < len(f.free) && f.free[i].from == s.to { // the one after it
		s.to = f.free[i].to
		f.free = slices.Delete(f.free, i, i+1)
	}
	if i > 0 && f.free[i-1].to == s.from { // the one before it
		f.free[i-1].to = s.to
		return
	}
	f.free = slices.Insert(f.free, i, s)
}

// empty reports whether nothing is allocated.
func (f *freeList) empty() bool { return len(f.free) == 1 && f.free[0] == freeSpan{0, f.size} }

// roundUp rounds n up to a multiple of align, a power of two.
func roundUp(n, align uint64) uint64 { return (n + align - 1) &^ (align - 1) }
