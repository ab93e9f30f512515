//go:build cgo

// Descriptor pools and sets: which buffers a dispatch sees.

package vk

// #include "calls.h"
import "C"

import (
	binding "github.com/vulkan-go/vulkan"
)

// PoolSize is the size of a descriptor pool: the number of sets, and the numbers
// of descriptors in all sets together.
type PoolSize struct {
	Sets           int
	StorageBuffers int
	TexelBuffers   int
}

// CreateDescriptorPool makes a pool.
func (d *Device) CreateDescriptorPool(s PoolSize) (DescriptorPool, error) {
	var h C.uint64_t
	r := C.cvk_create_descriptor_pool(d.table, C.uint32_t(s.Sets), C.uint32_t(s.StorageBuffers), C.uint32_t(s.TexelBuffers), &h)
	return DescriptorPool(h), check("vkCreateDescriptorPool", r)
}

// DestroyDescriptorPool destroys a pool and its sets.
func (d *Device) DestroyDescriptorPool(p DescriptorPool) {
	binding.DestroyDescriptorPool(d.handle, to[binding.DescriptorPool](p), nil)
}

// ResetDescriptorPool frees all sets of a pool.
func (d *Device) ResetDescriptorPool(p DescriptorPool) error {
	return check("vkResetDescriptorPool", binding.ResetDescriptorPool(d.handle, to[binding.DescriptorPool](p), 0))
}

// AllocateDescriptorSet allocates a set from a pool. The error is ErrOutOfMemory
// if the pool is full; some drivers allocate more than its size.
func (d *Device) AllocateDescriptorSet(p DescriptorPool, l DescriptorSetLayout) (DescriptorSet, error) {
	var h C.uint64_t
	r := C.cvk_allocate_set(d.table, C.uint64_t(p), C.uint64_t(l), &h)
	return DescriptorSet(h), check("vkAllocateDescriptorSets", r)
}

// Descriptor is the content of one binding of a set. Bind and BindTexels make one.
type Descriptor struct {
	Type          DescriptorType
	Handle        uint64 // of a buffer, or of a view
	Offset, Bytes uint64 // of a buffer
}

// Bind makes a storage-buffer descriptor of a range of a buffer. The offset is
// a multiple of Limits.StorageBufferAlignment, the range at most
// Limits.MaxStorageBufferRange.
func Bind(b Buffer, offset, bytes uint64) Descriptor {
	return Descriptor{StorageBufferDescriptor, uint64(b), offset, bytes}
}

// BindTexels makes a uniform-texel-buffer descriptor of a view.
func BindTexels(v BufferView) Descriptor {
	return Descriptor{Type: UniformTexelDescriptor, Handle: uint64(v)}
}

// UpdateDescriptorSet writes descriptors[i] to binding i of a set. No submitted
// command may use the set. It allocates nothing.
func (d *Device) UpdateDescriptorSet(s DescriptorSet, descriptors []Descriptor) {
	var w C.cvk_writes
	n := 0
	for i, x := range descriptors {
		w.at[n] = C.cvk_write{
			handle: C.uint64_t(x.Handle), offset: C.uint64_t(x.Offset), _range: C.uint64_t(x.Bytes),
			binding: C.uint32_t(i), _type: C.uint32_t(x.Type),
		}
		if n++; n == len(w.at) {
			C.cvk_update_set(d.table, C.uint64_t(s), w, C.uint32_t(n))
			n = 0
		}
	}
	if n > 0 {
		C.cvk_update_set(d.table, C.uint64_t(s), w, C.uint32_t(n))
	}
}
