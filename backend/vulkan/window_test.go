//go:build cgo && !windows

package vulkan

import (
	"errors"
	"fmt"
	"image"
	"image/color"
	"runtime"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"github.com/ebitengine/purego"

	"caldera/backend"
	"caldera/backend/vulkan/internal/vk"
	"caldera/internal/commandtest"
)

// headless is a surface that no display shows (VK_EXT_headless_surface). SwiftShader has
// such surfaces, of a size that does not change.
func headless(tb testing.TB) *Surface {
	tb.Helper()
	lib, err := purego.Dlopen("libvulkan.so.1", purego.RTLD_NOW|purego.RTLD_LOCAL)
	if err != nil {
		tb.Fatal(err)
	}
	get, err := purego.Dlsym(lib, "vkGetInstanceProcAddr")
	if err != nil {
		tb.Fatal(err)
	}
	return &Surface{
		Extensions: []string{"VK_KHR_surface", "VK_EXT_headless_surface"},
		Create: func(instance uintptr) (uintptr, error) {
			name := append([]byte("vkCreateHeadlessSurfaceEXT"), 0)
			call, _, _ := purego.SyscallN(get, instance, uintptr(unsafe.Pointer(&name[0])))
			info := struct {
				kind  uint32
				next  unsafe.Pointer
				flags uint32
			}{kind: 1000256000}
			var surface uint64
			var pinned runtime.Pinner
			defer pinned.Unpin()
			pinned.Pin(&info)
			pinned.Pin(&surface)
			r, _, _ := purego.SyscallN(call, instance, uintptr(unsafe.Pointer(&info)), 0, uintptr(unsafe.Pointer(&surface)))
			if r != 0 {
				return 0, vk.Result(int32(r))
			}
			return uintptr(surface), nil
		},
	}
}

// Calls for a window, and results of the driver.
const (
	createCall  = "vkCreateSwapchainKHR"
	sizeCall    = "vkGetPhysicalDeviceSurfaceCapabilitiesKHR"
	acquireCall = "vkAcquireNextImageKHR"
	presentCall = "vkQueuePresentKHR"

	timeoutResult     = vk.Result(2)
	suboptimalResult  = vk.Result(1000001003)
	outOfDateResult   = vk.Result(-1000001004)
	surfaceLostResult = vk.Result(-1000000000)
	deviceLostResult  = vk.Result(-4)
)

// windowTest is a backend with a surface, under validation, and what the driver was asked.
type windowTest struct {
	*testing.T
	*Backend
	calls []string // for the window, and "wait" for a fence

	// answer, unless nil, may answer a call instead of the driver.
	answer func(call string, made func() vk.Result) vk.Result
}

// openWindowTest opens a device. broken: closing it may fail as well.
func openWindowTest(t *testing.T, broken bool) *windowTest {
	t.Helper()
	w := &windowTest{T: t}
	b, err := Open(Options{
		Device: index(t, swiftshader), Validation: true, Surface: headless(t), timeout: commandtest.Patience,
		OnMessage: func(text string) { t.Errorf("validation: %s", text) },
		hooks: &vk.Hooks{
			Wait: func(vk.Fence, uint64) { w.calls = append(w.calls, "wait") },
			Window: func(call string, made func() vk.Result) vk.Result {
				w.calls = append(w.calls, call)
				if w.answer != nil {
					return w.answer(call, made)
				}
				return made()
			},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	w.Backend = b
	t.Cleanup(func() {
		if err := b.Close(); err != nil && !broken {
			t.Errorf("Close: %v", err)
		}
	})
	return w
}

// present draws a picture of the window's size and shows it.
func (w *windowTest) present() (bool, error) {
	w.Helper()
	size, err := w.WindowSize(image.Point{})
	if err != nil {
		return false, err
	}
	pixels, err := backend.New(w.Backend, backend.I32, size.Y, size.X)
	if err != nil {
		w.Fatal(err)
	}
	defer pixels.Buf.Free()
	if err := w.Draw(pixels, Fill{image.Rectangle{Max: size}, 0xff336699}); err != nil {
		return false, err
	}
	return w.Present(pixels)
}

// shows is present where nothing goes wrong.
func (w *windowTest) shows() {
	w.Helper()
	if shown, err := w.present(); !shown || err != nil {
		w.Fatalf("a picture: shown %v, %v", shown, err)
	}
}

func (w *windowTest) made(call string) (n int) {
	for _, c := range w.calls {
		if c == call {
			n++
		}
	}
	return n
}

// TestPresent shows pictures. A swapchain is made for a size, not for a picture.
func TestPresent(t *testing.T) {
	t.Parallel()
	w := openWindowTest(t, false)
	for range 10 {
		w.shows()
	}
	other := c32(t, w.Backend, backend.I32, 48, 64)
	if shown, err := w.Present(other); shown || err != nil {
		t.Errorf("a picture that the window cannot have now: shown %v, %v", shown, err)
	}
	w.shows()
	for bgra, want := range map[bool]uint32{true: 0xff010203, false: 0xff030201} {
		w.window.bgra = bgra
		if word := w.Pixel(color.RGBA{R: 1, G: 2, B: 3}); word != want {
			t.Errorf("with blue first %v a pixel is %08x, expected %08x", bgra, word, want)
		}
	}
	if n := w.made(createCall); n != 1 {
		t.Errorf("%d swapchains for one size", n)
	}
}

// TestSwapchainSize asks for the window's size just before a swapchain is made for it.
// Waiting in between would give the window time to get another one.
func TestSwapchainSize(t *testing.T) {
	t.Parallel()
	w := openWindowTest(t, false)
	w.shows()
	w.answer = func(call string, made func() vk.Result) vk.Result {
		if r := made(); call != presentCall {
			return r
		}
		return outOfDateResult
	}
	for range 3 {
		if _, err := w.present(); err != nil {
			t.Fatal(err)
		}
	}
	for i, c := range w.calls {
		if c == createCall && w.calls[i-1] != sizeCall {
			t.Errorf("call %d makes a swapchain after %s: %q", i, w.calls[i-1], w.calls)
		}
	}
	if n := w.made(createCall); n != 3 {
		t.Errorf("%d swapchains, expected one more after each of 2 pictures: %q", n, w.calls)
	}
}

// TestSuboptimal has a driver say of each swapchain that another one would be better. One
// more is made, and then it is left at that.
func TestSuboptimal(t *testing.T) {
	t.Parallel()
	for _, call := range []string{acquireCall, presentCall} {
		w := openWindowTest(t, false)
		w.answer = func(c string, made func() vk.Result) vk.Result {
			r := made()
			if c == call && r == 0 {
				r = suboptimalResult
			}
			return r
		}
		for range 5 {
			w.shows()
		}
		if n := w.made(createCall); n > 2 {
			t.Errorf("%s: %d swapchains for 5 pictures, expected at most 2", call, n)
		}
	}
}

// TestNotShown has the driver refuse pictures for a while. What is shown later is right.
func TestNotShown(t *testing.T) {
	t.Parallel()
	w := openWindowTest(t, false)
	for _, c := range []struct {
		call   string
		result vk.Result
		made   bool // the driver is called too: it takes the picture, or waits for it
		times  int
		shown  bool
		chains int // that are made meanwhile
	}{
		{acquireCall, timeoutResult, false, 1, false, 0},
		{acquireCall, outOfDateResult, false, 1, true, 1},
		{acquireCall, outOfDateResult, false, 2, false, 1},
		{presentCall, outOfDateResult, true, 1, false, 0},
	} {
		w.answer = nil
		w.shows()
		before, left := w.made(createCall), c.times
		w.answer = func(call string, made func() vk.Result) vk.Result {
			if call != c.call || left == 0 {
				return made()
			}
			left--
			if c.made {
				made()
			}
			return c.result
		}
		shown, err := w.present()
		if n := w.made(createCall) - before; shown != c.shown || err != nil || n != c.chains {
			t.Errorf("%s says %v %d times: shown %v, %d swapchains, %v; expected %v, %d", c.call, c.result, c.times, shown, n, err, c.shown, c.chains)
		}
		for range 4 {
			w.shows()
		}
	}
}

// TestWindowLost loses the window or the device. Everything ends with an error that says so.
func TestWindowLost(t *testing.T) {
	t.Parallel()
	for _, call := range []string{sizeCall, createCall, acquireCall, presentCall} {
		for _, result := range []vk.Result{surfaceLostResult, deviceLostResult} {
			if result == deviceLostResult && call == sizeCall {
				continue // which asks no device
			}
			t.Run(fmt.Sprint(call, " ", result.Name()), func(t *testing.T) {
				w := openWindowTest(t, result == deviceLostResult)
				if call != createCall {
					w.shows()
				}
				w.answer = func(c string, made func() vk.Result) vk.Result {
					if c != call {
						return made()
					}
					if c == presentCall { // it waits for the picture in any case
						made()
					}
					return result
				}
				shown, err := w.present()
				if shown || err == nil || !strings.Contains(err.Error(), result.Name()) || strings.Contains(err.Error(), "\n") {
					t.Errorf("shown %v, %v; expected an error with %s", shown, err, result.Name())
				}
				if errors.Is(err, backend.ErrDeviceLost) != (result == deviceLostResult) {
					t.Errorf("%v: a lost device is %v", err, errors.Is(err, backend.ErrDeviceLost))
				}
				if result == deviceLostResult {
					w.answer = nil
					if _, err := w.present(); !errors.Is(err, backend.ErrDeviceLost) {
						t.Errorf("a lost device presents: %v", err)
					}
				}
			})
		}
	}
}

// TestSurfaceNeeds shows that only a device that is opened for a window takes what windows
// need.
func TestSurfaceNeeds(t *testing.T) {
	t.Parallel()
	var plain []string
	b, err := openWithHooks(t, lavapipe, nil, &vk.Hooks{Window: func(call string, made func() vk.Result) vk.Result {
		plain = append(plain, call)
		return made()
	}})
	if err != nil {
		t.Fatal(err)
	}
	pixels := c32(t, b, backend.I32, 4, 4)
	if err := b.Draw(pixels, Fill{image.Rect(0, 0, 4, 4), 1}); err != nil {
		t.Fatal(err)
	}
	if got := make([]int32, 16); backend.GetI32(b, pixels, got) != nil || slices.Min(got) != 1 {
		t.Errorf("drawn without a window: %v", got)
	}
	if len(plain) > 0 {
		t.Errorf("without a window the driver was asked %q", plain)
	}
}
