//go:build cgo

package vulkan

import (
	"fmt"
	"image"
	"image/color"

	"caldera/backend"
	"caldera/backend/vulkan/internal/vk"
)

// Surface is what [Open] needs from a window library, so that [Backend.Present] can
// show pictures in a window. The window must stay until the backend is closed.
type Surface struct {
	// Extensions are the instance extensions that the library names.
	Extensions []string

	// Create makes the window's VkSurfaceKHR for a VkInstance. The backend destroys
	// it when it closes.
	Create func(instance uintptr) (uintptr, error)
}

// window is the surface that a backend presents to, and its swapchain. All its
// images are written by copies from a buffer, on the one queue that also computes.
type window struct {
	b       *Backend
	surface vk.Surface
	dev     *vk.Device
	format  vk.SurfaceFormat
	bgra    bool

	swapchain     vk.Swapchain // 0: none yet
	width, height uint32       // of its images
	stale         bool         // the swapchain no longer fits the window: another one must be made
	again         bool         // one of this size was suboptimal, and is or will be replaced
	images        []vk.Image
	shown         []vk.Semaphore // by image: it holds the picture. The display waits for it

	// Two frames may be in flight. Each has a semaphore that is signalled when its
	// image may be written.
	frames [2]struct {
		acquired vk.Semaphore
		lastUse  uint64 // serial of the submit that waits for acquired
	}
	frame int // the next one
}

// openWindow opens the device for a surface.
func (b *Backend) openWindow(s *Surface, features vk.Features) (*vk.Device, error) {
	handle, err := s.Create(b.inst.Handle())
	if err != nil {
		return nil, fmt.Errorf("a surface for the window: %w", err)
	}
	w := &window{b: b, surface: vk.Surface(handle)}
	b.window = w
	if w.dev, err = b.phys.OpenFor(w.surface, features); err != nil {
		return nil, err
	}
	if w.format, w.bgra, err = w.dev.PixelFormat(w.surface); err != nil {
		return w.dev, err
	}
	for i := range w.frames {
		if w.frames[i].acquired, err = w.dev.CreateSemaphore(); err != nil {
			return w.dev, err
		}
	}
	return w.dev, nil
}

// Pixel returns the 32-bit word of an opaque pixel in pictures for [Backend.Present].
// The order of its bytes is that of the window.
func (b *Backend) Pixel(c color.RGBA) uint32 {
	if b.window != nil && !b.window.bgra {
		c.R, c.B = c.B, c.R
	}
	return 0xff<<24 | uint32(c.R)<<16 | uint32(c.G)<<8 | uint32(c.B)
}

// WindowSize returns the size of pictures that [Backend.Present] can show now, in
// pixels. It is 0×0 while the window is minimised. framebuffer is the size that the
// window library reports. It decides where the window system leaves the size to the
// program, as Wayland does.
func (b *Backend) WindowSize(framebuffer image.Point) (image.Point, error) {
	if err := b.presents(); err != nil {
		return image.Point{}, err
	}
	c, err := b.window.dev.SurfaceCapabilities(b.window.surface)
	if err != nil {
		return image.Point{}, wrapError("the size of the window: %w", err)
	}
	if c.Width != vk.Undefined {
		return image.Pt(int(c.Width), int(c.Height)), nil
	}
	if framebuffer.X <= 0 || framebuffer.Y <= 0 {
		return image.Point{}, nil
	}
	return image.Pt(
		min(max(framebuffer.X, int(c.MinWidth)), int(c.MaxWidth)),
		min(max(framebuffer.Y, int(c.MinHeight)), int(c.MaxHeight))), nil
}

// presents returns an error if the backend cannot present.
func (b *Backend) presents() error {
	if err := b.ready(); err != nil {
		return err
	}
	if b.window == nil {
		return wrapError("the device was opened without a window: see Options.Surface")
	}
	return nil
}

// acquireTimeout is how long Present waits for a free image, in nanoseconds. A window
// system may keep all images of a window that nobody sees.
const acquireTimeout = 100_000_000

// Present shows a picture in the window: pixels, i32 [height, width], contiguous, each
// a word as [Backend.Pixel] returns it. It waits for the display if two earlier
// pictures are not shown yet. The copy to the screen stays on the device.
//
// shown is false if the picture could not be shown: the window has another size by
// now (see [Backend.WindowSize]), is minimised, or had no free image for 0.1 s. Then
// draw again, and call Present again.
func (b *Backend) Present(pixels backend.Tensor) (shown bool, err error) {
	if err := b.presents(); err != nil {
		return false, err
	}
	if pixels.DType != backend.I32 || pixels.Dim(0)*pixels.Dim(1) != 1 || !pixels.Contiguous() {
		return false, wrapError("Present of %v: expected contiguous i32 [height, width]", pixels)
	}
	if shown, err = b.window.present(pixels); err == nil {
		err = b.validationError()
	}
	if err != nil {
		return false, wrapError("Present: %w", err)
	}
	return shown, nil
}

func (w *window) present(pixels backend.Tensor) (shown bool, err error) {
	b := w.b
	buf, err := b.own(pixels.Buf)
	if err != nil {
		return false, err
	}
	if err := b.flush(); err != nil {
		return false, err
	}
	index, ok, err := w.acquire(uint32(pixels.Dim(-1)), uint32(pixels.Dim(-2)))
	if !ok || err != nil {
		return false, err
	}
	f := &w.frames[w.frame]
	rec, err := b.newRecording(vk.OneTime)
	if err != nil {
		return false, err
	}
	rec.note(0, "present")
	from, to := pixels.Span()
	first, end := buf.offset+uint64(from), buf.offset+uint64(to)
	rec.wait(transfer, touch{uint64(buf.block.Buffer), first, end, false})
	b.window.dev.CmdCopyToImage(rec.cmd, buf.block.Buffer, first, w.images[index], w.width, w.height)
	rec.use(buf)
	if err = rec.end(); err == nil {
		err = b.queue.submitBy(rec.what(), func(fence vk.Fence) error {
			return b.window.dev.SubmitBetween(rec.cmd, f.acquired, w.shown[index], fence)
		})
	}
	if err != nil {
		b.release(rec)
		return false, err
	}
	f.lastUse, w.frame = b.queue.last, (w.frame+1)%len(w.frames)
	b.queue.after(b.queue.last, func() { b.release(rec) })
	status, err := b.window.dev.Present(w.swapchain, index, w.shown[index])
	if err != nil {
		return false, b.queue.failed(err, rec.what())
	}
	// Some drivers call every swapchain suboptimal: one more of a size is enough.
	w.stale = status == vk.OutOfDate || status == vk.Suboptimal && !w.again
	w.again = w.again || w.stale && status == vk.Suboptimal
	return status != vk.OutOfDate, nil
}

// acquire returns the index of an image of width × height pixels that may be written
// when the next frame's semaphore is signalled. It makes a new swapchain where that
// is necessary. ok is false if there is no such image now.
func (w *window) acquire(width, height uint32) (index int, ok bool, err error) {
	for range 2 { // a swapchain may be out of date as soon as it is made
		if w.swapchain == 0 || w.stale || w.width != width || w.height != height {
			if ok, err := w.remake(width, height); !ok || err != nil {
				return 0, false, err
			}
		}
		f := &w.frames[w.frame]
		if err := w.b.queue.wait(f.lastUse); err != nil {
			return 0, false, err
		}
		index, status, err := w.dev.AcquireImage(w.swapchain, acquireTimeout, f.acquired)
		if err != nil {
			return 0, false, w.b.queue.failed(err, "the acquisition of an image")
		}
		switch status {
		case vk.Fits, vk.Suboptimal: // a suboptimal one is used, and Present says so again
			return index, true, nil
		case vk.Busy:
			return 0, false, nil
		}
		w.stale = true
	}
	return 0, false, nil
}

// remake replaces the swapchain by one of width × height pixels. ok is false if the
// window cannot have that size now.
func (w *window) remake(width, height uint32) (ok bool, err error) {
	// The size is asked for after the waiting, in which the window may get another one.
	if err := w.idle(); err != nil {
		return false, err
	}
	b := w.b
	c, err := b.window.dev.SurfaceCapabilities(w.surface)
	if err != nil {
		return false, err
	}
	if width < max(c.MinWidth, 1) || width > c.MaxWidth || height < max(c.MinHeight, 1) || height > c.MaxHeight ||
		c.Width != vk.Undefined && (c.Width != width || c.Height != height) {
		return false, nil
	}
	made, err := b.window.dev.CreateSwapchain(w.surface, c, w.format, width, height, w.swapchain)
	w.drop()
	if err != nil {
		return false, b.queue.failed(err, "a swapchain")
	}
	w.again = w.again && w.width == width && w.height == height
	w.swapchain, w.width, w.height, w.stale = made, width, height, false
	if w.images, err = b.window.dev.SwapchainImages(made); err != nil {
		return false, err
	}
	for range w.images {
		s, err := b.window.dev.CreateSemaphore()
		if err != nil {
			return false, err
		}
		w.shown = append(w.shown, s)
	}
	return true, nil
}

// idle waits until nothing uses the swapchain and its semaphores.
func (w *window) idle() error {
	err := w.b.waitAll()
	// Presenting has no fence. A lost device does not wait here.
	if e := w.dev.WaitIdle(); err == nil && e != nil {
		err = w.b.queue.failed(e, "pictures")
	}
	return err
}

// drop destroys the swapchain and what belongs to its images.
func (w *window) drop() {
	for _, s := range w.shown {
		w.dev.DestroySemaphore(s)
	}
	if w.swapchain != 0 {
		w.dev.DestroySwapchain(w.swapchain)
	}
	w.swapchain, w.images, w.shown = 0, nil, nil
}

// closeOnDevice destroys what belongs to the device, which must be there, before that is closed.
func (w *window) closeOnDevice() error {
	err := w.idle()
	w.drop()
	for _, f := range w.frames {
		if f.acquired != 0 {
			w.dev.DestroySemaphore(f.acquired)
		}
	}
	return err
}
