//go:build cgo

// Devices: an opened physical device with its one queue.

package vk

// #include <stdlib.h>
// #include "calls.h"
import "C"

import (
	"fmt"
	"strings"
	"unsafe"

	binding "github.com/vulkan-go/vulkan"
)

// Device is an open device with one compute queue.
type Device struct {
	Physical *PhysicalDevice
	Features Features // the enabled features
	Family   int      // index in Physical.Queues of the queue's family
	Hooks    *Hooks   // set by tests; nil: none

	handle binding.Device
	table  C.uintptr_t // cvk_device
}

// bindingCalls are the device functions that are called through the binding. Open
// checks that the driver has them, because the binding does not.
var bindingCalls = []string{
	"vkDestroyDevice", "vkGetDeviceQueue",
	"vkAllocateMemory", "vkFreeMemory", "vkMapMemory",
	"vkCreateBuffer", "vkDestroyBuffer", "vkGetBufferMemoryRequirements", "vkBindBufferMemory",
	"vkCreateBufferView", "vkDestroyBufferView",
	"vkCreateShaderModule", "vkDestroyShaderModule", "vkDestroyDescriptorSetLayout", "vkDestroyPipelineLayout",
	"vkCreatePipelineCache", "vkDestroyPipelineCache", "vkGetPipelineCacheData", "vkDestroyPipeline",
	"vkDestroyDescriptorPool", "vkResetDescriptorPool",
	"vkCreateCommandPool", "vkDestroyCommandPool", "vkAllocateCommandBuffers",
	"vkCreateFence", "vkDestroyFence",
	"vkCreateQueryPool", "vkDestroyQueryPool", "vkGetQueryPoolResults",
}

// Open opens the device. It enables those of the wanted features that the device
// has: see Device.Features. The error is ErrNoDevice if the device is older than
// Vulkan 1.1 or has no queue for compute.
func (p *PhysicalDevice) Open(want Features) (*Device, error) {
	family := p.computeQueue()
	if family < 0 {
		return nil, fmt.Errorf("%w: %s has no queue for compute", ErrNoDevice, p.Name)
	}
	return p.open(family, want)
}

// open opens the device with a queue of a family, and enables more extensions, which
// the device has.
func (p *PhysicalDevice) open(family int, want Features, more ...string) (*Device, error) {
	if p.APIVersion < MakeVersion(1, 1, 0) {
		return nil, fmt.Errorf("%w: %s has Vulkan %s, at least 1.1 is needed; %s",
			ErrNoDevice, p.Name, p.APIVersion, installDriver())
	}
	d := &Device{Physical: p, Features: want.And(p.Features), Family: family}
	if !d.Features.SubgroupSizeControl {
		d.Features.FullSubgroups = false
	}

	// Enable the extensions that the device's Vulkan version does not include. A
	// device that lists portability_subset must have it enabled.
	var names strings.Builder
	var has uint32
	enable := func(name string) { names.WriteString(name + "\x00") }
	for _, name := range more {
		enable(name)
	}
	if p.PortabilitySubset {
		enable(extPortabilitySubset)
	}
	for _, o := range optional {
		switch {
		case p.has&o.has == 0:
		case p.version() >= o.core:
			has |= o.has
		case o.has&C.CVK_HAS_CORES != 0: // only properties, which can be read without
		case o.extension == extCooperativeMatrix && !d.Features.CooperativeMatrix:
		case o.extension == extExecutables && !d.Features.Executables:
		default:
			has |= o.has
			enable(o.extension)
		}
	}
	names.WriteByte(0)
	list := C.CString(names.String())
	defer C.free(unsafe.Pointer(list))

	// Not through the binding, for the same reason as in New.
	table := p.instance.table
	var handle C.uintptr_t
	r := C.cvk_create_device(table, C.uintptr_t(p.handle), C.uint32_t(family),
		C.uint32_t(d.Features.bits()), C.uint32_t(has), list, &handle)
	if r != 0 {
		return nil, fmt.Errorf("%s: %w", p.Name, check("vkCreateDevice", int32(r)))
	}
	d.handle = to[binding.Device](uintptr(handle))
	fail := func(missing string) (*Device, error) {
		d.Close()
		return nil, fmt.Errorf("%w: the driver of %s lacks %s", ErrNoDevice, p.Name, missing)
	}
	for _, name := range bindingCalls {
		s := C.CString(name)
		ok := C.cvk_device_has(table, handle, s) != 0
		C.free(unsafe.Pointer(s))
		if !ok {
			return fail(name)
		}
	}
	var queue binding.Queue
	binding.GetDeviceQueue(d.handle, uint32(family), 0, &queue)
	var missing *C.char
	d.table = C.cvk_load_device(table, handle, C.uintptr_t(to[uintptr](queue)), &missing)
	if d.table == 0 {
		return fail(C.GoString(missing))
	}
	return d, nil
}

// Close destroys the device. It must be idle, and all its objects must be
// destroyed before. A second Close does nothing; other calls after Close crash.
func (d *Device) Close() {
	if d.handle != nil {
		binding.DestroyDevice(d.handle, nil)
		d.handle = nil
	}
	C.free(*(*unsafe.Pointer)(unsafe.Pointer(&d.table)))
	d.table = 0
}
