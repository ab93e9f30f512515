//go:build cgo

package vulkan

import (
	"fmt"

	"caldera/backend/vulkan/internal/vk"
	"caldera/internal/hostmemory"
)

// deviceMemory is memory of the driver's with a buffer over all of it.
type deviceMemory struct {
	vk.Buffer
	memory   vk.Memory
	mapped   []byte // by the host; nil where it cannot
	coherent bool   // the host and the device see each other's writes without more ado
}

// memoryTypes are the memory types that this package allocates from, by index.
type memoryTypes struct {
	device   int // tensors
	upload   int // staging memory that the host writes
	download int // staging memory that the host reads
}

const bufferUsage = vk.StorageBuffer | vk.UniformTexelBuffer | vk.TransferSrc | vk.TransferDst

// chooseMemory picks the memory types, and finds out whether the host can map
// the device's own memory: it should be cached then, since reading uncached
// memory is slower than copying it first.
func (b *Backend) chooseMemory() error {
	probe, need, err := b.dev.CreateBuffer(rangeUnit, bufferUsage)
	if err != nil {
		return err
	}
	b.dev.DestroyBuffer(probe)
	pick := func(wanted ...vk.MemoryFlags) int {
		for _, flags := range wanted {
			for i, t := range b.phys.MemoryTypes {
				if need.TypeBits>>i&1 == 1 && t.Flags&flags == flags && t.Flags&(vk.Protected|vk.LazilyAllocated) == 0 {
					return i
				}
			}
		}
		return -1
	}
	const mappable = vk.HostVisible | vk.HostCached
	unified := pick(vk.DeviceLocal|mappable|vk.HostCoherent, vk.DeviceLocal|mappable)
	b.limits.Unified = unified >= 0
	b.types = memoryTypes{
		device:   unified,
		upload:   pick(vk.HostVisible|vk.HostCoherent, vk.HostVisible),
		download: pick(mappable|vk.HostCoherent, mappable, vk.HostVisible|vk.HostCoherent, vk.HostVisible),
	}
	if unified < 0 {
		b.types.device = pick(vk.DeviceLocal, 0)
	}
	if b.types.device < 0 || b.types.upload < 0 {
		return fmt.Errorf("%w: %s has no memory for buffers that the host can reach", vk.ErrNoDevice, b.phys.Name)
	}
	return nil
}

// createMemory allocates memory of a type, and maps it if the host is to reach it.
func (b *Backend) createMemory(size uint64, memoryType int, mapped bool) (m deviceMemory, err error) {
	defer func() {
		if err != nil {
			b.destroyMemory(m)
			m = deviceMemory{}
		}
	}()
	var need vk.Requirements
	if m.Buffer, need, err = b.dev.CreateBuffer(size, bufferUsage); err != nil {
		return m, err
	}
	if m.memory, err = b.dev.AllocateMemory(need.Size, memoryType); err != nil {
		return m, err
	}
	if err = b.dev.BindBuffer(m.Buffer, m.memory, 0); err != nil {
		return m, err
	}
	m.coherent = b.limits.Coherent && b.phys.MemoryTypes[memoryType].Flags&vk.HostCoherent != 0
	if mapped {
		m.mapped, err = b.dev.Map(m.memory, need.Size)
	}
	return m, err
}

func (b *Backend) destroyMemory(m deviceMemory) {
	if m.Buffer != 0 {
		b.dev.DestroyBuffer(m.Buffer)
	}
	if m.memory != 0 {
		b.dev.FreeMemory(m.memory)
	}
}

// available is how many bytes of device memory can still be allocated: what
// the driver says that this process may have, else what is left of the heap; and
// where that is the host's memory, no more than the host has.
func (b *Backend) available() uint64 {
	heap := b.phys.MemoryTypes[b.types.device].Heap
	allocated := b.mem.size()
	budget, used := b.phys.Heaps[heap].Size, allocated
	if heaps, ok := b.phys.MemoryBudget(); ok && heaps[heap].Budget > 0 {
		budget, used = heaps[heap].Budget, max(used, heaps[heap].Usage)
	}
	free := budget - min(used, budget)
	if b.limits.Unified || b.limits.Software {
		if host, ok := hostmemory.Free(int64(allocated)); ok {
			free = min(free, uint64(host))
		}
	}
	return free
}

// Memory implements [backend.MemoryReporter]. Used are whole blocks, those of
// buffers that were freed while the device may still read them included; what
// of them is handed out to nobody is free.
func (b *Backend) Memory() (used, free, total int64) {
	if b.closed {
		return 0, 0, 0
	}
	heap := b.phys.MemoryTypes[b.types.device].Heap
	size := b.phys.Heaps[heap].Size
	return int64(b.mem.size()), int64(min(b.available()+b.mem.idle(), size)), int64(size)
}
