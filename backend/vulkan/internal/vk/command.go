//go:build cgo

// Recording commands. Nothing here allocates; each call is one crossing into C.

package vk

// #include "calls.h"
import "C"

import (
	"fmt"
	"unsafe"

	binding "github.com/vulkan-go/vulkan"
)

// CreateCommandPool makes a pool of command buffers. Begin resets a command buffer
// of the pool, so that it can be recorded anew.
func (d *Device) CreateCommandPool() (CommandPool, error) {
	const resetCommandBuffer = 0x2
	info := binding.CommandPoolCreateInfo{
		SType:            binding.StructureTypeCommandPoolCreateInfo,
		Flags:            resetCommandBuffer,
		QueueFamilyIndex: uint32(d.Family),
	}
	defer info.Free()
	var p binding.CommandPool
	r := binding.CreateCommandPool(d.handle, &info, nil, &p)
	return to[CommandPool](p), check("vkCreateCommandPool", r)
}

// DestroyCommandPool destroys a pool and its command buffers.
func (d *Device) DestroyCommandPool(p CommandPool) {
	binding.DestroyCommandPool(d.handle, to[binding.CommandPool](p), nil)
}

// AllocateCommandBuffer allocates a command buffer from a pool.
func (d *Device) AllocateCommandBuffer(p CommandPool) (CommandBuffer, error) {
	info := binding.CommandBufferAllocateInfo{
		SType:              binding.StructureTypeCommandBufferAllocateInfo,
		CommandPool:        to[binding.CommandPool](p),
		Level:              binding.CommandBufferLevelPrimary,
		CommandBufferCount: 1,
	}
	defer info.Free()
	var cb [1]binding.CommandBuffer // the driver writes to the array itself
	r := binding.AllocateCommandBuffers(d.handle, &info, cb[:])
	return to[CommandBuffer](cb[0]), check("vkAllocateCommandBuffers", r)
}

// BeginFlags say how a command buffer will be submitted.
type BeginFlags uint32

// Flags of Begin. 0: many times, but not while an earlier submit of it runs.
const (
	OneTime      BeginFlags = 0x1 // once
	Simultaneous BeginFlags = 0x4 // many times, also while an earlier submit of it runs
)

// Begin starts recording. It drops what was recorded before.
func (d *Device) Begin(cb CommandBuffer, flags BeginFlags) error {
	return check("vkBeginCommandBuffer", C.cvk_begin(d.table, C.uintptr_t(cb), C.uint32_t(flags)))
}

// End ends recording.
func (d *Device) End(cb CommandBuffer) error {
	return check("vkEndCommandBuffer", C.cvk_end(d.table, C.uintptr_t(cb)))
}

// push copies push constants to a struct that is passed to C by value, so that the
// caller's bytes can stay on its stack.
func push(l PipelineLayout, data []byte) (p C.cvk_push) {
	if len(data) > l.PushBytes || len(data)%4 != 0 {
		panic(fmt.Sprintf("vk: %d bytes of push constants for a layout of %d", len(data), l.PushBytes))
	}
	copy((*[C.CVK_PUSH]byte)(unsafe.Pointer(&p))[:], data)
	return p
}

// CmdRun binds a pipeline, descriptor set s as set 0 (unless s is 0) and push
// constants (unless data is empty), and dispatches x × y × z workgroups: one call
// into C in place of four. It panics if data is longer than the layout's push
// constants.
func (d *Device) CmdRun(cb CommandBuffer, p Pipeline, l PipelineLayout, s DescriptorSet, data []byte, x, y, z uint32) {
	if d.records(cb, Command{Kind: Dispatch, Pipeline: p}) {
		C.cvk_run(d.table, C.uintptr_t(cb), C.uint64_t(p), C.uint64_t(l.handle), C.uint64_t(s),
			push(l, data), C.uint32_t(len(data)), C.uint32_t(x), C.uint32_t(y), C.uint32_t(z))
	}
}

// CmdBarrier records a global memory barrier: the stages dst of later commands wait
// for the stages src of earlier ones, whose writes (srcAccess) become visible to
// the accesses dstAccess.
func (d *Device) CmdBarrier(cb CommandBuffer, src Stage, srcAccess Access, dst Stage, dstAccess Access) {
	if d.Hooks != nil && d.Hooks.Command != nil && !d.Hooks.Command(cb, Command{Kind: Barrier, Src: src, Dst: dst, SrcAccess: srcAccess, DstAccess: dstAccess}) {
		return
	}
	C.cvk_barrier(d.table, C.uintptr_t(cb), C.uint32_t(src), C.uint32_t(srcAccess), C.uint32_t(dst), C.uint32_t(dstAccess))
}

// CmdCopyBuffer copies size bytes. Source and destination must not overlap.
func (d *Device) CmdCopyBuffer(cb CommandBuffer, src, dst Buffer, srcOffset, dstOffset, size uint64) {
	if d.records(cb, Command{Kind: Copy}) {
		C.cvk_copy_buffer(d.table, C.uintptr_t(cb), C.uint64_t(src), C.uint64_t(dst),
			C.uint64_t(srcOffset), C.uint64_t(dstOffset), C.uint64_t(size))
	}
}

// CmdFillBuffer fills size bytes with copies of a 32-bit word. Offset and size
// are multiples of 4.
func (d *Device) CmdFillBuffer(cb CommandBuffer, dst Buffer, offset, size uint64, word uint32) {
	if d.records(cb, Command{Kind: Fill}) {
		C.cvk_fill_buffer(d.table, C.uintptr_t(cb), C.uint64_t(dst), C.uint64_t(offset), C.uint64_t(size), C.uint32_t(word))
	}
}

// MaxUpdate is the largest number of bytes for CmdUpdateBuffer.
const MaxUpdate = 65536

// CmdUpdateBuffer writes data to a buffer. The data are stored in the command
// buffer. Offset and length are multiples of 4, the length at most MaxUpdate.
func (d *Device) CmdUpdateBuffer(cb CommandBuffer, dst Buffer, offset uint64, data []byte) {
	if len(data) == 0 || !d.records(cb, Command{Kind: Update}) {
		return
	}
	C.cvk_update_buffer(d.table, C.uintptr_t(cb), C.uint64_t(dst), C.uint64_t(offset), C.uint64_t(len(data)), unsafe.Pointer(&data[0]))
}

// CmdResetQueryPool resets n queries, as is needed before each write to them.
func (d *Device) CmdResetQueryPool(cb CommandBuffer, q QueryPool, first, n int) {
	C.cvk_reset_queries(d.table, C.uintptr_t(cb), C.uint64_t(q), C.uint32_t(first), C.uint32_t(n))
}

// CmdWriteTimestamp writes the time at which all earlier commands have finished
// the stage s.
func (d *Device) CmdWriteTimestamp(cb CommandBuffer, s Stage, q QueryPool, query int) {
	if d.records(cb, Command{Kind: WriteTimestamp}) {
		C.cvk_write_timestamp(d.table, C.uintptr_t(cb), C.uint32_t(s), C.uint64_t(q), C.uint32_t(query))
	}
}
