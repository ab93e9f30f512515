//go:build cgo

// Result codes by name, and the errors that callers test for.

package vk

import (
	"errors"
	"fmt"
)

// Errors to test with errors.Is. The errors that wrap them say what is missing and
// what to do.
var (
	// ErrNoLoader: the Vulkan loader library is not on this machine.
	ErrNoLoader = errors.New("no Vulkan loader")
	// ErrNoDriver: the loader finds no driver that works.
	ErrNoDriver = errors.New("no Vulkan driver")
	// ErrNoDevice: there is no device, or none that can be used for compute.
	ErrNoDevice = errors.New("no usable Vulkan device")
	// ErrOutOfMemory: there is not enough host or device memory, or a pool is full.
	ErrOutOfMemory = errors.New("out of memory")
	// ErrDeviceLost: the device has failed, and none of its objects can be used.
	ErrDeviceLost = errors.New("device lost")
)

// Result is a VkResult other than VK_SUCCESS, as an error.
type Result int32

// Results that are tested for.
const (
	success            Result = 0
	notReady           Result = 1
	timeout            Result = 2
	incomplete         Result = 5
	outOfHostMemory    Result = -1
	outOfDeviceMemory  Result = -2
	initializationFail Result = -3
	deviceLost         Result = -4
	incompatibleDriver Result = -9
	outOfPoolMemory    Result = -1000069000
	suboptimal         Result = 1000001003
	outOfDate          Result = -1000001004
)

// results has the name and the meaning of each VkResult of Vulkan 1.4, in short
// words of the specification.
var results = map[Result][2]string{
	0:           {"VK_SUCCESS", "it succeeded"},
	1:           {"VK_NOT_READY", "a fence or query has not completed yet"},
	2:           {"VK_TIMEOUT", "the wait did not complete in the given time"},
	3:           {"VK_EVENT_SET", "the event is signalled"},
	4:           {"VK_EVENT_RESET", "the event is not signalled"},
	5:           {"VK_INCOMPLETE", "the array was too small for the result"},
	-1:          {"VK_ERROR_OUT_OF_HOST_MEMORY", "host memory is used up"},
	-2:          {"VK_ERROR_OUT_OF_DEVICE_MEMORY", "device memory is used up"},
	-3:          {"VK_ERROR_INITIALIZATION_FAILED", "the driver could not initialise the object"},
	-4:          {"VK_ERROR_DEVICE_LOST", "the device was lost: it crashed, was reset by a watchdog or was unplugged"},
	-5:          {"VK_ERROR_MEMORY_MAP_FAILED", "the memory could not be mapped"},
	-6:          {"VK_ERROR_LAYER_NOT_PRESENT", "a requested layer is not installed"},
	-7:          {"VK_ERROR_EXTENSION_NOT_PRESENT", "a requested extension is not supported"},
	-8:          {"VK_ERROR_FEATURE_NOT_PRESENT", "a requested feature is not supported"},
	-9:          {"VK_ERROR_INCOMPATIBLE_DRIVER", "no driver supports the requested version of Vulkan"},
	-10:         {"VK_ERROR_TOO_MANY_OBJECTS", "too many objects of this type exist already"},
	-11:         {"VK_ERROR_FORMAT_NOT_SUPPORTED", "the format is not supported"},
	-12:         {"VK_ERROR_FRAGMENTED_POOL", "the pool is too fragmented"},
	-13:         {"VK_ERROR_UNKNOWN", "the driver gave no reason; invalid SPIR-V is a usual one"},
	-1000011001: {"VK_ERROR_VALIDATION_FAILED_EXT", "a validation layer refused the call"},
	-1000012000: {"VK_ERROR_INVALID_SHADER_NV", "the shader did not compile or link"},
	-1000069000: {"VK_ERROR_OUT_OF_POOL_MEMORY", "the pool is used up"},
	-1000072003: {"VK_ERROR_INVALID_EXTERNAL_HANDLE", "an external handle is not valid"},
	-1000161000: {"VK_ERROR_FRAGMENTATION", "the descriptor pool is too fragmented"},
	-1000174001: {"VK_ERROR_NOT_PERMITTED", "the process lacks the privilege"},
	-1000257000: {"VK_ERROR_INVALID_OPAQUE_CAPTURE_ADDRESS", "the address is not available"},
	-1000338000: {"VK_ERROR_COMPRESSION_EXHAUSTED_EXT", "compression resources are used up"},
	-1000483000: {"VK_PIPELINE_BINARY_MISSING_KHR", "the pipeline binary is not there"},
	-1000483001: {"VK_ERROR_NOT_ENOUGH_SPACE_KHR", "the given space is too small"},
	1000297000:  {"VK_PIPELINE_COMPILE_REQUIRED", "the pipeline is not in the cache"},
	1000268000:  {"VK_THREAD_IDLE_KHR", "a deferred operation has no work for this thread"},
	1000268001:  {"VK_THREAD_DONE_KHR", "a deferred operation has no work left"},
	1000268002:  {"VK_OPERATION_DEFERRED_KHR", "the operation was deferred"},
	1000268003:  {"VK_OPERATION_NOT_DEFERRED_KHR", "the operation was not deferred"},
	1000482000:  {"VK_INCOMPATIBLE_SHADER_BINARY_EXT", "the shader binary is of another device"},
	-1000000000: {"VK_ERROR_SURFACE_LOST_KHR", "the surface is gone"},
	-1000000001: {"VK_ERROR_NATIVE_WINDOW_IN_USE_KHR", "the window is in use"},
	1000001003:  {"VK_SUBOPTIMAL_KHR", "the swapchain no longer matches the surface"},
	-1000001004: {"VK_ERROR_OUT_OF_DATE_KHR", "the swapchain no longer matches the surface"},
	-1000003001: {"VK_ERROR_INCOMPATIBLE_DISPLAY_KHR", "the display is incompatible"},
	-1000255000: {"VK_ERROR_FULL_SCREEN_EXCLUSIVE_MODE_LOST_EXT", "full-screen access was lost"},
	-1000158000: {"VK_ERROR_INVALID_DRM_FORMAT_MODIFIER_PLANE_LAYOUT_EXT", "the plane layout is not valid"},
	-1000299000: {"VK_ERROR_INVALID_VIDEO_STD_PARAMETERS_KHR", "the video parameters are not valid"},
}

// Name returns the code's name in the Vulkan specification.
func (r Result) Name() string {
	if n, ok := results[r]; ok {
		return n[0]
	}
	return "VkResult"
}

// Error returns name, number and meaning: "VK_ERROR_DEVICE_LOST (-4): the device …".
func (r Result) Error() string {
	if n, ok := results[r]; ok {
		return fmt.Sprintf("%s (%d): %s", n[0], int32(r), n[1])
	}
	return fmt.Sprintf("VkResult (%d): a code newer than this program", int32(r))
}

// Is makes errors.Is find ErrOutOfMemory, ErrDeviceLost and ErrNoDriver.
func (r Result) Is(target error) bool {
	switch r {
	case outOfHostMemory, outOfDeviceMemory, outOfPoolMemory:
		return target == ErrOutOfMemory
	case deviceLost:
		return target == ErrDeviceLost
	case incompatibleDriver:
		return target == ErrNoDriver
	}
	return false
}

// CallError is the error of a Vulkan call that failed.
type CallError struct {
	Call   string // "vkAllocateMemory"
	Args   string // the request, or empty: "4096 bytes of memory type 1"
	Result Result
}

func (e *CallError) Error() string {
	if e.Args == "" {
		return e.Call + ": " + e.Result.Error()
	}
	return e.Call + " (" + e.Args + "): " + e.Result.Error()
}

// Unwrap returns the Result.
func (e *CallError) Unwrap() error { return e.Result }

// check converts the result of a call to an error: nil for VK_SUCCESS.
func check[R ~int32](call string, r R) error {
	if r == 0 {
		return nil
	}
	return &CallError{Call: call, Result: Result(r)}
}
