// Package vk is a thin, typed layer over the parts of Vulkan that Caldera needs:
// instances and validation, physical devices and their limits, memory and buffers,
// compute pipelines, descriptor sets, recording of commands, submits and
// timestamps; and, for a device with a window, surfaces and swapchains. It needs Vulkan 1.1, and uses what later versions add where a device
// has it. No other package imports a Vulkan binding or uses cgo.
//
// # Two ways to call the driver
//
// Calls that create and destroy objects use github.com/vulkan-go/vulkan, the
// binding, if that is safe. It is not safe for calls that take a slice: the binding
// copies slices to C memory, which a finalizer may free while the driver still
// reads it. The binding also knows only Vulkan 1.0. All other calls, and all calls
// to record and submit commands, use the function tables of calls.h. Each function
// has a trampoline in C, which takes numbers (or small structs by value) and builds
// Vulkan's structs on the C stack. So no Go memory is pinned or allocated.
//
// To add a Vulkan function, add one line to the table in calls.h, one trampoline in
// a .c file, and one Go method. Opening a device checks that the driver has all
// functions of the table, because to call a missing one is a crash that Go cannot
// recover from.
//
// # Rules for callers
//
// Vulkan's own rules hold. In short, the caller must serialise
//   - all use of one command pool and its command buffers;
//   - all use of one descriptor pool and its sets;
//   - all submits to one Device;
//   - Map and FreeMemory of one memory;
//   - the destruction of an object with every other use of it.
//
// Creating objects, waiting for different fences, and recording from different
// pools may happen at the same time. No object has a finalizer. The validation
// layer reports objects that are not destroyed when the Device closes.
//
// Push constants that are longer than their layout would corrupt memory, so they
// panic here. All other wrong use is found by the validation layer: see
// [Options.Validation].
//
// Without cgo the package is empty.
package vk
