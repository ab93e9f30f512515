//go:build cgo

package vulkan

import (
	"errors"
	"slices"

	"caldera/backend/vulkan/internal/vk"
)

// Device memory comes from the driver in blocks, each one VkDeviceMemory with
// one VkBuffer over all of it, and tensors get ranges of blocks: drivers allow
// few allocations (often 4,096) and take long over each.
const (
	blockSize = 64 << 20      // of a block that small tensors share
	dedicated = blockSize / 2 // from here on a tensor has a block of its own
	rangeUnit = 256           // ranges begin at a multiple of it: the greatest alignment that Vulkan lets a device ask for
)

// block is one allocation of device memory.
type block struct {
	deviceMemory
	size   uint64
	ranges freeList
}

// memory hands out ranges of blocks.
type memory struct {
	device string
	blocks []*block

	// available is the number of bytes that can still be allocated, and
	// largest the size of the largest block.
	available func() uint64
	largest   uint64

	create  func(size uint64) (deviceMemory, error)
	destroy func(deviceMemory)
}

// alloc returns a range of size bytes, which begins at offset in a block.
func (m *memory) alloc(size uint64) (b *block, offset uint64, err error) {
	if size < dedicated {
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
	if need > free || need < size { // the latter: the sum has overflowed
		return nil, 0, &OutOfMemoryError{Device: m.device, Wanted: size, Available: free}
	}
	want := need
	if size < dedicated {
		want = max(need, min(blockSize, free&^(rangeUnit-1)))
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

// release takes a range back. Empty blocks go back to the driver, except for
// one that tensors share, so that a tensor made again and again costs little.
func (m *memory) release(b *block, offset, size uint64) {
	b.ranges.release(offset, size)
	if !b.ranges.empty() {
		return
	}
	spare := b.size == blockSize
	for _, o := range m.blocks {
		if o != b && o.size == blockSize && o.ranges.empty() {
			spare = false
		}
	}
	if !spare {
		m.drop(b)
	}
}

// size is the number of bytes that all blocks have.
func (m *memory) size() uint64 {
	size := uint64(0)
	for _, b := range m.blocks {
		size += b.size
	}
	return size
}

// idle is the number of their bytes that are handed out to nobody.
func (m *memory) idle() uint64 {
	idle := uint64(0)
	for _, b := range m.blocks {
		for _, s := range b.ranges.free {
			idle += s.to - s.from
		}
	}
	return idle
}

// trim gives the spare block back, to make room.
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

// close gives everything back.
func (m *memory) close() {
	for _, b := range m.blocks {
		m.destroy(b.deviceMemory)
	}
	m.blocks = nil
}
