//go:build cgo

package vulkan

import (
	"errors"
	"slices"

	"caldera/backend/vulkan/internal/vk"
)

// Device memory is allocated in blocks, each one VkDeviceMemory with one VkBuffer
// over all of it. Buffers are ranges of blocks, because drivers allow only few
// allocations (often 4,096) and each one is slow. Sizes are in bytes.
const (
	blockSize = 64 << 20 // of a block that several buffers share
	rangeUnit = 256      // alignment of ranges: the largest that Vulkan allows a device to require
)

// block is one allocation of device memory.
type block struct {
	deviceMemory
	size   uint64
	ranges freeList
}

// memory allocates ranges of blocks.
type memory struct {
	device string
	unit   uint64 // size of a block that several buffers share: blockSize, but for a test
	blocks []*block

	// available returns the number of bytes that can still be allocated.
	// largest is the size of the largest block in bytes.
	available func() uint64
	largest   uint64

	create  func(size uint64) (deviceMemory, error)
	destroy func(deviceMemory)
	freed   func(b *block, offset, size uint64) // for tests: is told of each range that is released; nil: there is none
}

// dedicated is the size from which on a buffer has a block of its own.
func (m *memory) dedicated() uint64 { return m.unit / 2 }

// alloc allocates a range of size bytes and returns its block and its offset free.
func (m *memory) alloc(size uint64) (b *block, offset uint64, err error) {
	if size < m.dedicated() {
		for _, b := range m.blocks {
			if offset, ok := b.ranges.alloc(size); ok {
				return b, offset, nil
			}
		}
	}
	need := roundUp(size, rangeUnit)
	free := min(m.available(), m.largest)
	if need > free {
		m.trim()
		free = min(m.available(), m.largest)
	}
	if need > free || need < size { // need < size: rounding up has overflowed
		return nil, 0, &OutOfMemoryError{Device: m.device, Wanted: size, Available: free}
	}
	want := need
	if size < m.dedicated() {
		want = max(need, min(m.unit, free&^(rangeUnit-1)))
	}
	mem, err := m.create(want)
	if errors.Is(err, vk.ErrOutOfMemory) { // without the spare block, a smaller one may still fit
		m.trim()
		want = need
		mem, err = m.create(want)
	}
	if errors.Is(err, vk.ErrOutOfMemory) {
		return nil, 0, &OutOfMemoryError{Device: m.device, Wanted: size, Available: free, Err: err}
	}
	if err != nil {
		return nil, 0, err
	}
	b = &block{deviceMemory: mem, size: want, ranges: newFreeList(want, rangeUnit)}
	m.blocks = append(m.blocks, b)
	offset, _ = b.ranges.alloc(size)
	return b, offset, nil
}

// release frees a range. A block without ranges is freed too, except for one
// spare block of a unit, so that allocating and freeing in turn stays fast.
func (m *memory) release(b *block, offset, size uint64) {
	b.ranges.release(offset, size)
	if m.freed != nil {
		m.freed(b, offset, size)
	}
	if !b.ranges.empty() {
		return
	}
	spare := b.size == m.unit
	for _, o := range m.blocks {
		if o != b && o.size == m.unit && o.ranges.empty() {
			spare = false
		}
	}
	if !spare {
		m.drop(b)
	}
}

// size returns the sum of the sizes of all blocks in bytes.
func (m *memory) size() uint64 {
	size := uint64(0)
	for _, b := range m.blocks {
		size += b.size
	}
	return size
}

// idle returns the number of bytes of blocks that are in no range.
func (m *memory) idle() uint64 {
	idle := uint64(0)
	for _, b := range m.blocks {
		for _, s := range b.ranges.free {
			idle += s.to - s.from
		}
	}
	return idle
}

// trim frees the spare block.
func (m *memory) trim() {
	for _, b := range slices.Clone(m.blocks) {
		if b.ranges.empty() {
			m.drop(b)
		}
	}
}

func (m *memory) drop(b *block) {
	m.blocks = slices.DeleteFunc(m.blocks, func(o *block) bool { return o == b })
	m.destroy(b.deviceMemory)
}

// close frees all blocks.
func (m *memory) close() {
	for _, b := range m.blocks {
		m.destroy(b.deviceMemory)
	}
	m.blocks = nil
}
