//go:build cgo

// Memory, buffers and buffer views. All calls except Flush and Invalidate use the
// binding. That is safe because their structs have no slices: the C memory of such
// a struct is freed only by its own Free.

package vk

// #include "calls.h"
import "C"

import (
	"fmt"
	"unsafe"

	binding "github.com/vulkan-go/vulkan"
)

// AllocateMemory allocates size bytes of a memory type, an index in
// Physical.MemoryTypes. Drivers limit the number of allocations (often to 4,096),
// so allocate large blocks and divide them. The error is ErrOutOfMemory if there is
// not enough memory.
func (d *Device) AllocateMemory(size uint64, memoryType int) (Memory, error) {
	info := binding.MemoryAllocateInfo{
		SType:           binding.StructureTypeMemoryAllocateInfo,
		AllocationSize:  binding.DeviceSize(size),
		MemoryTypeIndex: uint32(memoryType),
	}
	defer info.Free()
	var m binding.DeviceMemory
	if r := binding.AllocateMemory(d.handle, &info, nil, &m); r != binding.Success {
		return 0, &CallError{"vkAllocateMemory", fmt.Sprintf("%d bytes of memory type %d", size, memoryType), Result(r)}
	}
	return to[Memory](m), nil
}

// FreeMemory frees memory, and unmaps it if it is mapped. Buffers that are bound to
// it must be destroyed before.
func (d *Device) FreeMemory(m Memory) {
	d.Hooks.unshadow(m)
	binding.FreeMemory(d.handle, to[binding.DeviceMemory](m), nil)
}

// Map maps all of a memory of size bytes, which must be HostVisible. The slice is
// valid until FreeMemory. The memory may stay mapped while the device uses it.
func (d *Device) Map(m Memory, size uint64) ([]byte, error) {
	var p unsafe.Pointer
	r := binding.MapMemory(d.handle, to[binding.DeviceMemory](m), 0, binding.DeviceSize(size), 0, &p)
	if r != binding.Success {
		return nil, &CallError{"vkMapMemory", fmt.Sprintf("%d bytes", size), Result(r)}
	}
	if p == nil { // of a driver that does not check its own call
		return nil, &CallError{"vkMapMemory", fmt.Sprintf("%d bytes; the driver reports success and gives no memory", size), -5}
	}
	return d.Hooks.mapShadow(m, unsafe.Slice((*byte)(p), size)), nil
}

// Flush makes the host's writes to a mapped range visible to later submits. Memory
// that is HostCoherent needs no Flush. Offset and size must be multiples of
// nonCoherentAtomSize (of which 256 is always a multiple), or the range must end where the
// memory ends.
func (d *Device) Flush(m Memory, offset, size uint64) error {
	d.Hooks.copyShadow(m, offset, size, false)
	return check("vkFlushMappedMemoryRanges",
		C.cvk_flush(d.table, C.uint64_t(m), C.uint64_t(offset), C.uint64_t(size)))
}

// Invalidate makes the device's writes to a mapped range visible to the host. Call
// it after the fence of the submit. For offset and size see Flush.
func (d *Device) Invalidate(m Memory, offset, size uint64) error {
	err := check("vkInvalidateMappedMemoryRanges",
		C.cvk_invalidate(d.table, C.uint64_t(m), C.uint64_t(offset), C.uint64_t(size)))
	d.Hooks.copyShadow(m, offset, size, true)
	return err
}

// Requirements of a buffer on the memory it is bound to.
type Requirements struct {
	Size, Alignment uint64 // bytes; Size may be more than the buffer's
	TypeBits        uint32 // bit i: memory type i can be used
}

// CreateBuffer makes a buffer of size bytes. It has no memory yet; the result says
// what memory it needs.
func (d *Device) CreateBuffer(size uint64, usage BufferUsage) (Buffer, Requirements, error) {
	info := binding.BufferCreateInfo{
		SType:       binding.StructureTypeBufferCreateInfo,
		Size:        binding.DeviceSize(size),
		Usage:       binding.BufferUsageFlags(usage),
		SharingMode: binding.SharingModeExclusive,
	}
	defer info.Free()
	var b binding.Buffer
	if r := binding.CreateBuffer(d.handle, &info, nil, &b); r != binding.Success {
		return 0, Requirements{}, &CallError{"vkCreateBuffer", fmt.Sprintf("%d bytes", size), Result(r)}
	}
	var req binding.MemoryRequirements
	binding.GetBufferMemoryRequirements(d.handle, b, &req)
	req.Deref()
	defer req.Free()
	return to[Buffer](b), Requirements{uint64(req.Size), uint64(req.Alignment), req.MemoryTypeBits}, nil
}

// DestroyBuffer destroys a buffer that the device no longer uses.
func (d *Device) DestroyBuffer(b Buffer) {
	binding.DestroyBuffer(d.handle, to[binding.Buffer](b), nil)
}

// BindBuffer gives a buffer its memory, once, at an offset that is a multiple
// of its Requirements.Alignment.
func (d *Device) BindBuffer(b Buffer, m Memory, offset uint64) error {
	return check("vkBindBufferMemory", binding.BindBufferMemory(d.handle,
		to[binding.Buffer](b), to[binding.DeviceMemory](m), binding.DeviceSize(offset)))
}

// CreateBufferView makes a view of a range of a buffer as texels of format f. The
// buffer has usage UniformTexelBuffer, and memory. The offset is a multiple of
// Limits.TexelBufferAlignment, and the size a multiple of the size of a texel. A
// view has at most Limits.MaxTexelBufferElements texels. See also
// PhysicalDevice.SupportsTexel.
func (d *Device) CreateBufferView(b Buffer, f Format, offset, size uint64) (BufferView, error) {
	info := binding.BufferViewCreateInfo{
		SType:  binding.StructureTypeBufferViewCreateInfo,
		Buffer: to[binding.Buffer](b),
		Format: binding.Format(f),
		Offset: binding.DeviceSize(offset),
		Range:  binding.DeviceSize(size),
	}
	defer info.Free()
	var v binding.BufferView
	if r := binding.CreateBufferView(d.handle, &info, nil, &v); r != binding.Success {
		return 0, &CallError{"vkCreateBufferView", fmt.Sprintf("format %d, %d bytes", f, size), Result(r)}
	}
	return to[BufferView](v), nil
}

// DestroyBufferView destroys a view.
func (d *Device) DestroyBufferView(v BufferView) {
	binding.DestroyBufferView(d.handle, to[binding.BufferView](v), nil)
}
