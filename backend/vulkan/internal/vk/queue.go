//go:build cgo

// Submission, fences and timestamps.

package vk

// #include "calls.h"
import "C"

import (
	"unsafe"

	binding "github.com/vulkan-go/vulkan"
)

// Submit submits command buffers to the queue, in order. The fence, unless it is 0,
// is signalled when they and all earlier submits have finished. It allocates
// nothing.
func (d *Device) Submit(buffers []CommandBuffer, fence Fence) error {
	if d.Hooks != nil && d.Hooks.Submit != nil {
		commands, signals := d.Hooks.Submit()
		if !commands {
			buffers = nil
		}
		if !signals {
			fence = 0
		}
	}
	for {
		var s C.cvk_submits
		n := min(len(buffers), len(s.at))
		for i, cb := range buffers[:n] {
			s.at[i] = C.uintptr_t(cb)
		}
		buffers = buffers[n:]
		last := fence
		if len(buffers) > 0 {
			last = 0
		}
		r := C.cvk_submit(d.table, s, C.uint32_t(n), C.uint64_t(last))
		if r != 0 || len(buffers) == 0 {
			return check("vkQueueSubmit", r)
		}
	}
}

// CreateFence makes a fence that is not signalled.
func (d *Device) CreateFence() (Fence, error) {
	info := binding.FenceCreateInfo{SType: binding.StructureTypeFenceCreateInfo}
	defer info.Free()
	var f binding.Fence
	r := binding.CreateFence(d.handle, &info, nil, &f)
	return to[Fence](f), check("vkCreateFence", r)
}

// DestroyFence destroys a fence that no submit will signal.
func (d *Device) DestroyFence(f Fence) {
	binding.DestroyFence(d.handle, to[binding.Fence](f), nil)
}

// WaitFence waits for a fence, at most the given number of nanoseconds (0: without
// waiting; or Forever), and reports whether it is signalled.
func (d *Device) WaitFence(f Fence, nanoseconds uint64) (bool, error) {
	if d.Hooks != nil && d.Hooks.Wait != nil {
		d.Hooks.Wait(f, nanoseconds)
	}
	switch r := C.cvk_wait_fence(d.table, C.uint64_t(f), C.uint64_t(nanoseconds)); Result(r) {
	case success:
		return true, nil
	case timeout:
		return false, nil
	default:
		return false, check("vkWaitForFences", r)
	}
}

// ResetFence makes a fence not signalled.
func (d *Device) ResetFence(f Fence) error {
	return check("vkResetFences", C.cvk_reset_fence(d.table, C.uint64_t(f)))
}

// CreateQueryPool makes a pool of n timestamp queries. The queue must have
// timestamps: Physical.Queues[Family].TimestampBits > 0.
func (d *Device) CreateQueryPool(n int) (QueryPool, error) {
	info := binding.QueryPoolCreateInfo{
		SType:      binding.StructureTypeQueryPoolCreateInfo,
		QueryType:  binding.QueryTypeTimestamp,
		QueryCount: uint32(n),
	}
	defer info.Free()
	var q binding.QueryPool
	r := binding.CreateQueryPool(d.handle, &info, nil, &q)
	return to[QueryPool](q), check("vkCreateQueryPool", r)
}

// DestroyQueryPool destroys a query pool.
func (d *Device) DestroyQueryPool(q QueryPool) {
	binding.DestroyQueryPool(d.handle, to[binding.QueryPool](q), nil)
}

// QueryResults reads len(ticks) timestamps from query first on, in ticks of
// Limits.TimestampPeriod nanoseconds. ok is false if one is not written yet.
func (d *Device) QueryResults(q QueryPool, first int, ticks []uint64) (ok bool, err error) {
	if len(ticks) == 0 {
		return true, nil
	}
	const bits64 = 1
	r := binding.GetQueryPoolResults(d.handle, to[binding.QueryPool](q), uint32(first), uint32(len(ticks)),
		uint(8*len(ticks)), unsafe.Pointer(&ticks[0]), 8, bits64)
	ok = r == binding.Success
	if d.Hooks != nil && d.Hooks.Timestamps != nil {
		ok = d.Hooks.Timestamps(ticks, ok)
	}
	if Result(r) == notReady {
		return ok, nil
	}
	return ok, check("vkGetQueryPoolResults", r)
}
