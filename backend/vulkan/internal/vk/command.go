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

// CreateCommandPool makes a pool of command buffers, each of which can be
// reset and recorded again.
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

// AllocateCommandBuffer takes a command buffer from a pool.
func (d *Device) AllocateCommandBuffer(p CommandPool) (CommandBuffer, error) {
	info := binding.CommandBufferAllocateInfo{
		SType:              binding.StructureTypeCommandBufferAllocateInfo,
		CommandPool:        to[binding.CommandPool](p),
		Level:              binding.CommandBufferLevelPrimary,
		CommandBufferCount: 1,
	}
	defer info.Free()
	var cb [1]binding.CommandBuffer // the binding hands an array of handles straight to the driver
	r := binding.AllocateCommandBuffers(d.handle, &info, cb[:])
	return to[CommandBuffer](cb[0]), check("vkAllocateCommandBuffers", r)
}

// BeginFlags say how a command buffer will be submitted.
type BeginFlags uint32

// Flags of Begin; 0: many times, each after the one before has finished.
const (
	OneTime      BeginFlags = 0x1 // once
	Simultaneous BeginFlags = 0x4 // again while it still runs
)

// Begin starts recording; what was recorded before is dropped.
func (d *Device) Begin(cb CommandBuffer, flags BeginFlags) error {
	return check("vkBeginCommandBuffer", C.cvk_begin(d.table, C.uintptr_t(cb), C.uint32_t(flags)))
}

// End ends recording.
func (d *Device) End(cb CommandBuffer) error {
	return check("vkEndCommandBuffer", C.cvk_end(d.table, C.uintptr_t(cb)))
}

// push copies push constants to a struct that travels by value, so that the
// caller's bytes can stay on its stack.
func push(l PipelineLayout, data []byte) (p C.cvk_push) {
	if len(data) > l.PushBytes || len(data)%4 != 0 {
		panic(fmt.Sprintf("vk: %d bytes of push constants for a layout of %d", len(data), l.PushBytes))
	}
	copy((*[C.CVK_PUSH]byte)(unsafe.Pointer(&p))[:], data)
	return p
}

// CmdRun runs x × y × z workgroups of a pipeline, with descriptor set s as set 0 and
// data as the push constants from offset 0 on. If s is 0 or data is empty, what was
// set before stays. It panics if data is more than the layout holds.
func (d *Device) CmdRun(cb CommandBuffer, p Pipeline, l PipelineLayout, s DescriptorSet, data []byte, x, y, z uint32) {
	if d.plays(cb, Dispatch) {
		C.cvk_run(d.table, C.uintptr_t(cb), C.uint64_t(p), C.uint64_t(l.handle), C.uint64_t(s),
			push(l, data), C.uint32_t(len(data)), C.uint32_t(x), C.uint32_t(y), C.uint32_t(z))
	}
}

// CmdBarrier lets commands after it wait, in the stages dst, for those before
// it, in the stages src, and makes their writes visible: a global memory barrier.
func (d *Device) CmdBarrier(cb CommandBuffer, src Stage, srcAccess Access, dst Stage, dstAccess Access) {
	if d.Play != nil && d.Play.Command != nil && !d.Play.Command(cb, Command{Barrier, src, dst, srcAccess, dstAccess}) {
		return
	}
	C.cvk_barrier(d.table, C.uintptr_t(cb), C.uint32_t(src), C.uint32_t(srcAccess), C.uint32_t(dst), C.uint32_t(dstAccess))
}

// CmdCopyBuffer copies size bytes. Source and destination must not overlap.
func (d *Device) CmdCopyBuffer(cb CommandBuffer, src, dst Buffer, srcOffset, dstOffset, size uint64) {
	if d.plays(cb, Copy) {
		C.cvk_copy_buffer(d.table, C.uintptr_t(cb), C.uint64_t(src), C.uint64_t(dst),
			C.uint64_t(srcOffset), C.uint64_t(dstOffset), C.uint64_t(size))
	}
}

// CmdFillBuffer fills size bytes with a repeated word; offset and size are
// multiples of 4.
func (d *Device) CmdFillBuffer(cb CommandBuffer, dst Buffer, offset, size uint64, word uint32) {
	if d.plays(cb, Fill) {
		C.cvk_fill_buffer(d.table, C.uintptr_t(cb), C.uint64_t(dst), C.uint64_t(offset), C.uint64_t(size), C.uint32_t(word))
	}
}

// MaxUpdate is the most bytes that CmdUpdateBuffer takes.
const MaxUpdate = 65536

// CmdUpdateBuffer writes data, which are copied into the command buffer, into
// a buffer. Offset and length are multiples of 4, the length at most MaxUpdate.
func (d *Device) CmdUpdateBuffer(cb CommandBuffer, dst Buffer, offset uint64, data []byte) {
	if len(data) == 0 || !d.plays(cb, Update) {
		return
	}
	C.cvk_update_buffer(d.table, C.uintptr_t(cb), C.uint64_t(dst), C.uint64_t(offset), C.uint64_t(len(data)), unsafe.Pointer(&data[0]))
}

// CmdResetQueryPool makes n queries ready to be written.
func (d *Device) CmdResetQueryPool(cb CommandBuffer, q QueryPool, first, n int) {
	C.cvk_reset_queries(d.table, C.uintptr_t(cb), C.uint64_t(q), C.uint32_t(first), C.uint32_t(n))
}

// CmdWriteTimestamp writes the time when the commands before it have finished
// the stage.
func (d *Device) CmdWriteTimestamp(cb CommandBuffer, s Stage, q QueryPool, query int) {
	if d.plays(cb, WriteTimestamp) {
		C.cvk_write_timestamp(d.table, C.uintptr_t(cb), C.uint32_t(s), C.uint64_t(q), C.uint32_t(query))
	}
}
