//go:build cgo

// Windows: surfaces, swapchains and semaphores. Only a Device that was opened with a
// surface has them.

package vk

// #include "calls.h"
import "C"

import (
	"errors"
	"fmt"
	"slices"
)

// ErrNoPresent: the device cannot show pictures in the window.
var ErrNoPresent = errors.New("the device cannot show pictures in this window")

const extSwapchain = "VK_KHR_swapchain"

// Handle returns the VkInstance, from which a window library makes a surface.
func (i *Instance) Handle() uintptr { return i.handle }

// DestroySurface destroys a surface of this instance. Its swapchains must be
// destroyed before.
func (i *Instance) DestroySurface(s Surface) {
	C.cvk_destroy_surface(i.table, C.uintptr_t(i.handle), C.uint64_t(s))
}

// presentQueue is computeQueue among the queue families that can present to a
// surface.
func (p *PhysicalDevice) presentQueue(s Surface) (int, error) {
	if missing := C.cvk_surface_missing(p.instance.table); missing != nil {
		return -1, fmt.Errorf("%w: the Vulkan loader lacks %s", ErrNoPresent, C.GoString(missing))
	}
	if !p.HasExtension(extSwapchain) {
		return -1, fmt.Errorf("%w: %s lacks %s", ErrNoPresent, p.Name, extSwapchain)
	}
	able := make([]bool, len(p.Queues))
	for family := range p.Queues {
		var yes C.uint32_t
		r := C.cvk_surface_support(p.instance.table, C.uintptr_t(p.handle), C.uint32_t(family), C.uint64_t(s), &yes)
		if r != 0 {
			return -1, check("vkGetPhysicalDeviceSurfaceSupportKHR", int32(r))
		}
		able[family] = yes != 0
	}
	best := p.bestQueue(func(family int) bool { return able[family] })
	if best < 0 {
		return -1, fmt.Errorf("%w: no queue of %s both computes and presents to it", ErrNoPresent, p.Name)
	}
	return best, nil
}

// OpenFor is Open with a queue that can also present to a surface.
func (p *PhysicalDevice) OpenFor(s Surface, want Features) (*Device, error) {
	family, err := p.presentQueue(s)
	if err != nil {
		return nil, err
	}
	d, err := p.open(family, want, extSwapchain)
	if err != nil {
		return nil, err
	}
	if missing := C.cvk_swapchain_missing(d.table); missing != nil {
		d.Close()
		return nil, fmt.Errorf("%w: the driver of %s lacks %s", ErrNoPresent, p.Name, C.GoString(missing))
	}
	return d, nil
}

// SurfaceCapabilities say which swapchains a surface can have.
type SurfaceCapabilities struct {
	MinImages, MaxImages int // MaxImages 0: no limit

	// Width and Height are the window's size in pixels. Both are 0 while it is
	// minimised, and Undefined if the swapchain decides.
	Width, Height                                uint32
	MinWidth, MinHeight, MaxWidth, MaxHeight     uint32
	transforms, currentTransform, alphas, usages uint32
}

// Undefined is the size of a window that the size of its swapchain decides.
const Undefined = 1<<32 - 1

// SurfaceCapabilities asks what the surface can have now.
func (d *Device) SurfaceCapabilities(s Surface) (SurfaceCapabilities, error) {
	c := new(C.cvk_surface)
	p := d.Physical
	const call = "vkGetPhysicalDeviceSurfaceCapabilitiesKHR"
	r := d.window(call, func() Result {
		return Result(C.cvk_surface_capabilities(p.instance.table, C.uintptr_t(p.handle), C.uint64_t(s), c))
	})
	if r != success {
		return SurfaceCapabilities{}, check(call, r)
	}
	return SurfaceCapabilities{
		MinImages: int(c.min_images), MaxImages: int(c.max_images),
		Width: uint32(c.width), Height: uint32(c.height),
		MinWidth: uint32(c.min_width), MinHeight: uint32(c.min_height),
		MaxWidth: uint32(c.max_width), MaxHeight: uint32(c.max_height),
		transforms: uint32(c.transforms), currentTransform: uint32(c.current_transform),
		alphas: uint32(c.alphas), usages: uint32(c.usages),
	}, nil
}

// SurfaceFormat is the format and the colour space of a swapchain's images.
type SurfaceFormat struct {
	Format     Format
	ColorSpace uint32 // 0: sRGB
}

// SurfaceFormats lists the formats that the surface can have, in the driver's order.
func (d *Device) SurfaceFormats(s Surface) ([]SurfaceFormat, error) {
	all := make([]C.cvk_surface_format, 256)
	n := C.uint32_t(len(all))
	p := d.Physical
	r := C.cvk_surface_formats(p.instance.table, C.uintptr_t(p.handle), C.uint64_t(s), &all[0], &n)
	if r != 0 && Result(r) != incomplete {
		return nil, check("vkGetPhysicalDeviceSurfaceFormatsKHR", int32(r))
	}
	var list []SurfaceFormat
	for _, f := range all[:n] {
		list = append(list, SurfaceFormat{Format(f.format), uint32(f.color_space)})
	}
	return list, nil
}

// CreateSwapchain makes a swapchain whose images can be copied to. It presents in
// the order of the submits, at the display's rate. old, unless 0, is the surface's
// swapchain before; it must still be destroyed.
func (d *Device) CreateSwapchain(s Surface, c SurfaceCapabilities, f SurfaceFormat, width, height uint32, old Swapchain) (Swapchain, error) {
	const transferDst = 0x2
	if c.usages&transferDst == 0 {
		return 0, fmt.Errorf("%w: its images cannot be copied to", ErrNoPresent)
	}
	images := c.MinImages + 1 // one more than the display holds, so that none is waited for
	if c.MaxImages > 0 {
		images = min(images, c.MaxImages)
	}
	transform := c.currentTransform
	if c.transforms&1 != 0 {
		transform = 1 // identity
	}
	alpha := uint32(1) // opaque
	if c.alphas&1 == 0 {
		alpha = c.alphas & -c.alphas // the lowest bit
	}
	var out C.uint64_t
	const call = "vkCreateSwapchainKHR"
	r := d.window(call, func() Result {
		return Result(C.cvk_create_swapchain(d.table, C.uint64_t(s), C.uint32_t(images),
			C.cvk_surface_format{C.uint32_t(f.Format), C.uint32_t(f.ColorSpace)}, C.uint32_t(width), C.uint32_t(height),
			C.uint32_t(transform), C.uint32_t(alpha), C.uint64_t(old), &out))
	})
	return Swapchain(out), check(call, r)
}

// DestroySwapchain destroys a swapchain whose images are not in use.
func (d *Device) DestroySwapchain(s Swapchain) { C.cvk_destroy_swapchain(d.table, C.uint64_t(s)) }

// SwapchainImages lists the images of a swapchain, which owns them.
func (d *Device) SwapchainImages(s Swapchain) ([]Image, error) {
	all := make([]C.uint64_t, 64)
	n := C.uint32_t(len(all))
	if r := C.cvk_swapchain_images(d.table, C.uint64_t(s), &all[0], &n); r != 0 {
		return nil, check("vkGetSwapchainImagesKHR", int32(r))
	}
	images := make([]Image, n)
	for i := range images {
		images[i] = Image(all[i])
	}
	return images, nil
}

// SwapchainStatus says how a swapchain fits its surface.
type SwapchainStatus uint8

// Statuses of a swapchain.
const (
	Fits       SwapchainStatus = iota
	Suboptimal                 // it was used, but another one would be better
	OutOfDate                  // it was not used: another one must be made
	Busy                       // no image was free in time
)

// status makes a call, and returns what its result says about a swapchain, or the error
// that it is.
func (d *Device) status(call string, made func() Result) (SwapchainStatus, error) {
	r := d.window(call, made)
	switch r {
	case suboptimal:
		return Suboptimal, nil
	case outOfDate:
		return OutOfDate, nil
	case timeout, notReady:
		return Busy, nil
	}
	return Fits, check(call, r)
}

// AcquireImage asks for the next image of a swapchain, for at most the given number
// of nanoseconds, and returns its index. If the status is Fits or Suboptimal the
// semaphore is signalled when the image may be written.
func (d *Device) AcquireImage(s Swapchain, nanoseconds uint64, signal Semaphore) (index int, _ SwapchainStatus, _ error) {
	var i C.uint32_t
	st, err := d.status("vkAcquireNextImageKHR", func() Result {
		return Result(C.cvk_acquire_image(d.table, C.uint64_t(s), C.uint64_t(nanoseconds), C.uint64_t(signal), &i))
	})
	return int(i), st, err
}

// SubmitBetween submits one command buffer, whose transfers wait for a semaphore, and
// which signals another one and the fence when it has finished.
func (d *Device) SubmitBetween(cb CommandBuffer, wait, signal Semaphore, fence Fence) error {
	return check("vkQueueSubmit", int32(C.cvk_submit_between(d.table, C.uintptr_t(cb), C.uint64_t(wait),
		C.uint32_t(Transfer), C.uint64_t(signal), C.uint64_t(fence))))
}

// Present shows an image when the semaphore is signalled.
func (d *Device) Present(s Swapchain, index int, wait Semaphore) (SwapchainStatus, error) {
	return d.status("vkQueuePresentKHR", func() Result {
		return Result(C.cvk_present(d.table, C.uint64_t(s), C.uint32_t(index), C.uint64_t(wait)))
	})
}

// WaitIdle waits for everything that was submitted and presented.
func (d *Device) WaitIdle() error {
	const call = "vkQueueWaitIdle"
	return check(call, d.window(call, func() Result { return Result(C.cvk_wait_idle(d.table)) }))
}

// CreateSemaphore makes a semaphore that is not signalled.
func (d *Device) CreateSemaphore() (Semaphore, error) {
	var out C.uint64_t
	r := C.cvk_create_semaphore(d.table, &out)
	return Semaphore(out), check("vkCreateSemaphore", int32(r))
}

// DestroySemaphore destroys a semaphore that nothing waits for or will signal.
func (d *Device) DestroySemaphore(s Semaphore) { C.cvk_destroy_semaphore(d.table, C.uint64_t(s)) }

// CmdCopyToImage fills an image of a swapchain, width × height pixels, with rows of
// 32-bit pixels that follow one another in a buffer, and prepares it to be presented.
// The image is written by transfers alone.
func (d *Device) CmdCopyToImage(cb CommandBuffer, src Buffer, offset uint64, dst Image, width, height uint32) {
	C.cvk_copy_to_image(d.table, C.uintptr_t(cb), C.uint64_t(src), C.uint64_t(offset),
		C.uint64_t(dst), C.uint32_t(width), C.uint32_t(height))
}

// PixelFormats are the formats with four bytes a pixel, of which a swapchain must have
// one. BGRA says that blue comes first in memory.
var PixelFormats = []struct {
	Format Format
	BGRA   bool
}{{44, true}, {37, false}, {50, true}, {43, false}} // B8G8R8A8_UNORM, R8G8B8A8_UNORM, and both as SRGB

// PixelFormat picks the first of PixelFormats that a surface can have.
func (d *Device) PixelFormat(s Surface) (f SurfaceFormat, bgra bool, err error) {
	all, err := d.SurfaceFormats(s)
	if err != nil {
		return f, false, err
	}
	for _, want := range PixelFormats {
		f := SurfaceFormat{Format: want.Format}
		if slices.Contains(all, f) {
			return f, want.BGRA, nil
		}
	}
	return f, false, fmt.Errorf("%w: it takes no pixels of four bytes, only the formats %v", ErrNoPresent, all)
}
