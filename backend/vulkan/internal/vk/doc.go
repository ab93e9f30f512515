// Package vk is the whole of Caldera's contact with Vulkan: no other package
// imports a Vulkan binding or cgo for it. It is a thin, typed layer over the
// compute part of Vulkan 1.1 and what later versions add to it: instance and
// validation, physical devices and their limits, memory and buffers, compute
// pipelines, descriptor sets, command recording, submission and timestamps.
//
// # Two ways into the driver
//
// Calls that create and destroy objects go through
// github.com/vulkan-go/vulkan where that is safe. It is not safe where a call
// takes a slice: the binding copies slices to C memory that a finalizer may
// free while the driver still reads it. It also stops at Vulkan 1.0. Those
// calls, and every call on the recording and submitting path, go through the
// function tables of calls.h, whose trampolines take scalars (or small structs
// by value) and build Vulkan's structs on the C stack: nothing of Go's is
// pinned, nothing escapes and nothing is allocated.
//
// To add an entry point: one line in the table in calls.h, one trampoline in
// the .c file of its subject, one Go method. The table is what opening a device
// checks, since calling an absent function is a crash that Go cannot recover.
//
// # Rules for callers
//
// Vulkan's own rules hold. In short, the caller serialises
//   - all use of one command pool, its command buffers included;
//   - all use of one descriptor pool and the sets from it;
//   - all submits to one Device, and WaitIdle with them;
//   - Map, Unmap and FreeMemory of one memory;
//   - destroying a thing with every other use of it.
//
// Creating objects, waiting on different fences, and recording from different
// pools may happen at the same time. Nothing here has a finalizer: what is not
// destroyed is reported by the validation layer when the Device closes.
//
// Push constants longer than their layout's would corrupt memory without a
// word, so they panic here; all other wrong use is the validation layer's to
// find, see [Options.Validation].
//
// Without cgo the package is empty.
package vk
