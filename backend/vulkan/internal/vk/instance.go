//go:build cgo

// Instances: connections to the Vulkan loader, with or without validation.

package vk

/*
#cgo CFLAGS: -Wall -Wno-unused-function
#include <stdlib.h>
#include "calls.h"
*/
import "C"

import (
	"fmt"
	"os"
	"runtime/cgo"
	"slices"
	"strings"
	"unsafe"

	binding "github.com/vulkan-go/vulkan"
)

// Severity of a message of the validation layer.
type Severity uint32

// Severities.
const (
	Warning Severity = 0x100
	Error   Severity = 0x1000
)

func (s Severity) String() string {
	if s >= Error {
		return "error"
	}
	return "warning"
}

// Options say how to make an Instance. The zero value has no validation.
type Options struct {
	// Validation loads the Khronos validation layer, which checks every call,
	// with synchronization validation. With a software driver it costs little
	// time: use it in every test.
	Validation bool

	// Message is called with each warning and error of the validation layer: its
	// identifier, such as "VUID-vkCmdDispatch-None-02697", and its text. It may be
	// called on any goroutine, also on several at the same time. It must not call
	// Vulkan. nil: messages are printed to standard error.
	Message func(severity Severity, id, text string)

	// Extensions are more extensions of the instance, such as those that a window
	// library needs for its surfaces: at most 8.
	Extensions []string
}

// Instance is a connection to the Vulkan loader and through it to its drivers.
type Instance struct {
	handle    uintptr
	table     C.uintptr_t // cvk_instance
	getProc   C.uintptr_t
	messenger C.uint64_t
	user      cgo.Handle

	// Version is the Vulkan version of the loader. A device may have another one.
	Version Version
}

const validationLayer = "VK_LAYER_KHRONOS_validation"

// bindingInstanceCalls are the functions of an instance that are called through
// the binding. New checks that the loader has them, because the binding does not.
var bindingInstanceCalls = []string{
	"vkDestroyInstance", "vkEnumeratePhysicalDevices", "vkGetPhysicalDeviceProperties",
	"vkGetPhysicalDeviceMemoryProperties", "vkGetPhysicalDeviceFormatProperties",
}

//export cvkMessage
func cvkMessage(user C.uintptr_t, severity C.uint32_t, id, text *C.char) {
	cgo.Handle(user).Value().(func(Severity, string, string))(
		Severity(severity), C.GoString(id), C.GoString(text))
}

func printMessage(s Severity, id, text string) {
	fmt.Fprintf(os.Stderr, "vulkan %s %s: %s\n", s, id, text)
}

// New opens the loader and makes an Instance. If there is no loader or no driver,
// the error is ErrNoLoader or ErrNoDriver and says what to install.
func New(o Options) (*Instance, error) {
	global.Lock()
	defer global.Unlock()
	if err := load(); err != nil {
		return nil, err
	}
	if err := crashes(); err != nil {
		return nil, err
	}
	i := &Instance{getProc: C.uintptr_t(global.getProc)}
	i.Version = Version(C.cvk_instance_version(i.getProc))
	if i.Version < MakeVersion(1, 1, 0) {
		return nil, fmt.Errorf("%w that is new enough: this one has Vulkan 1.0, at least 1.1 is needed; %s",
			ErrNoLoader, installLoader())
	}
	api := min(i.Version, MakeVersion(1, 3, 0))

	var flags C.uint32_t
	if i.extension("", "VK_KHR_portability_enumeration") {
		flags |= C.CVK_PORTABILITY // without it the loader does not list MoltenVK
	}
	if o.Validation {
		if !i.layer(validationLayer) {
			return nil, fmt.Errorf("validation was asked for, but the layer %s is not installed: "+
				"apt install vulkan-validationlayers", validationLayer)
		}
		flags |= C.CVK_VALIDATION
		if i.extension(validationLayer, "VK_EXT_validation_features") {
			flags |= C.CVK_VALIDATION_FEATURES
		}
		if o.Message == nil {
			o.Message = printMessage
		}
		i.user = cgo.NewHandle(o.Message)
	}

	for _, name := range o.Extensions {
		if !i.extension("", name) {
			i.close()
			return nil, fmt.Errorf("the Vulkan loader and its drivers lack %s, which the window needs", name)
		}
	}
	more := C.CString(strings.Join(append(slices.Clone(o.Extensions), ""), "\x00"))
	defer C.free(unsafe.Pointer(more))

	// Not through the binding: it may free the C copies of the layer and extension
	// names before the call, if the garbage collector runs in between. It also has
	// no structs for validation.
	var handle C.uintptr_t
	r := Result(C.cvk_create_instance(i.getProc, C.uint32_t(api), flags, C.uintptr_t(i.user), more, &handle))
	if r != success {
		i.close()
		// A loader that cannot read a manifest may return VK_ERROR_OUT_OF_HOST_MEMORY.
		if r == incompatibleDriver || r == outOfHostMemory && faults() != "" {
			return nil, noDriver("vkCreateInstance: " + r.Name())
		}
		return nil, check("vkCreateInstance", r)
	}
	i.handle = uintptr(handle)
	for _, name := range bindingInstanceCalls {
		s := C.CString(name)
		there := C.cvk_instance_has(i.getProc, handle, s) != 0
		C.free(unsafe.Pointer(s))
		if !there {
			i.close()
			return nil, fmt.Errorf("the Vulkan loader lacks %s", name)
		}
	}
	if err := binding.InitInstance(to[binding.Instance](i.handle)); err != nil {
		i.close()
		return nil, err
	}
	var missing *C.char
	if i.table = C.cvk_load_instance(i.getProc, handle, &missing); i.table == 0 {
		i.close()
		return nil, fmt.Errorf("the Vulkan loader lacks %s", C.GoString(missing))
	}
	if o.Validation {
		r := C.cvk_create_messenger(i.getProc, handle, C.uintptr_t(i.user), &i.messenger)
		if r != 0 {
			i.close()
			return nil, check("vkCreateDebugUtilsMessengerEXT", int32(r))
		}
	}
	return i, nil
}

// Close destroys the instance. Every Device of it must be closed before. A second
// Close does nothing.
func (i *Instance) Close() {
	global.Lock()
	defer global.Unlock()
	i.close()
}

func (i *Instance) close() {
	if i.messenger != 0 {
		C.cvk_destroy_messenger(i.getProc, C.uintptr_t(i.handle), i.messenger)
		i.messenger = 0
	}
	if i.handle != 0 {
		binding.DestroyInstance(to[binding.Instance](i.handle), nil)
		i.handle = 0
	}
	if i.user != 0 { // last, because destroying the instance may send messages
		i.user.Delete()
		i.user = 0
	}
	C.free(*(*unsafe.Pointer)(unsafe.Pointer(&i.table)))
	i.table = 0
}

func (i *Instance) layer(name string) bool {
	s := C.CString(name)
	defer C.free(unsafe.Pointer(s))
	return C.cvk_layer_present(i.getProc, s) != 0
}

func (i *Instance) extension(layer, name string) bool {
	s := C.CString(name)
	defer C.free(unsafe.Pointer(s))
	var l *C.char
	if layer != "" {
		l = C.CString(layer)
		defer C.free(unsafe.Pointer(l))
	}
	return C.cvk_instance_extension_present(i.getProc, l, s) != 0
}

// Devices lists the physical devices in the loader's order. If there is none, the
// error is ErrNoDriver.
func (i *Instance) Devices() ([]*PhysicalDevice, error) {
	var n uint32
	r := binding.EnumeratePhysicalDevices(to[binding.Instance](i.handle), &n, nil)
	// A driver whose hardware is absent may return VK_ERROR_INITIALIZATION_FAILED.
	if n == 0 && (r == binding.Success || Result(r) == initializationFail) {
		return nil, noDriver("the loader found no device")
	}
	if r != binding.Success {
		return nil, check("vkEnumeratePhysicalDevices", r)
	}
	handles := make([]binding.PhysicalDevice, n)
	if r := binding.EnumeratePhysicalDevices(to[binding.Instance](i.handle), &n, handles); r < 0 {
		return nil, check("vkEnumeratePhysicalDevices", r)
	}
	var list []*PhysicalDevice
	for index, h := range handles[:n] {
		p, err := i.describe(h)
		if err != nil {
			return nil, fmt.Errorf("device %d %s: %w", index, strings.TrimSpace(p.Name), err)
		}
		list = append(list, p)
	}
	return list, nil
}
