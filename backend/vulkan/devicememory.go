//go:build cgo

package vulkan

import (
	"fmt"

	"caldera/backend/vulkan/internal/vk"
	"caldera/internal/hostmemory"
)

// deviceMemory is one allocation of Vulkan memory with one buffer over all of it.
type deviceMemory struct {
	vk.Buffer
	memory   vk.Memory
	mapped   []byte // the memory as the host sees it; nil if it is not mapped
	coherent bool   // no flush or invalidate is needed between host and device
}

// memoryTypes are the indices of the memory types that this package allocates from.
type memoryTypes struct {
	device   int // for tensors
	upload   int // for staging buffers that the host writes
	download int // for staging buffers that the host reads
}

const bufferUsage = vk.StorageBuffer | vk.UniformTexelBuffer | vk.TransferSrc | vk.TransferDst

// chooseMemory picks the memory types and sets Limits.Unified. Memory is unified
// if it is device-local, host-visible and host-cached. Uncached memory is not
// enough: the host reads it more slowly than it reads a copy in a staging buffer.
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

// createMemory allocates size bytes of a memory type, and maps them if mapped is set.
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

// available returns the number of bytes of device memory that can still be
// allocated: what is left of this process's budget, if the driver reports one,
// else what is left of the heap. If the memory is the host's, it is at most what
// the host has free.
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

// Memory implements [backend.MemoryReporter]. used counts whole blocks, also
// those of freed buffers that the device may still access. free includes the
// parts of blocks that no buffer has.
func (b *Backend) Memory() (used, free, total int64) {
	if b.closed {
		return 0, 0, 0
	}
	heap := b.phys.MemoryTypes[b.types.device].Heap
	size := b.phys.Heaps[heap].Size
	return int64(b.mem.size()), int64(min(b.available()+b.mem.idle(), size)), int64(size)
}
