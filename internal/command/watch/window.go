//go:build watch && cgo

package watch

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"log"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"time"
	"unsafe"

	"github.com/go-gl/glfw/v3.3/glfw"

	"caldera/backend"
	"caldera/backend/vulkan"
	"caldera/gpt"
)

// The window library wants all calls on the thread on which main runs: see
// cli.Command.MainThread.
func init() { runtime.LockOSThread() }

// window is a window of the desktop.
type window struct{ *glfw.Window }

// openWindow opens a window of a size, in the units of the screen.
func openWindow(width, height int) (*window, error) {
	if os.Getenv("CALDERA_VULKAN_LOADER") != "" {
		return nil, errors.New("the window's library opens the system's Vulkan loader, and CALDERA_VULKAN_LOADER names another one: unset it")
	}
	// Without a display Init prints why, and returns no error.
	var said bytes.Buffer
	log.SetOutput(&said)
	err := glfw.Init()
	log.SetOutput(os.Stderr)
	if why := strings.TrimSpace(said.String()); err == nil && why != "" {
		if at := strings.Index(why, "PlatformError: "); at >= 0 {
			why = why[at+len("PlatformError: "):]
		}
		err = errors.New(why)
	}
	if err != nil {
		return nil, fmt.Errorf("no window can be opened: %w; run it on a desktop, or set DISPLAY to an X server (ssh -X, Xvfb)", err)
	}
	if !glfw.VulkanSupported() {
		glfw.Terminate()
		return nil, errors.New("no window can be opened for Vulkan: the Vulkan loader is missing (apt install libvulkan1, dnf install vulkan-loader)")
	}
	glfw.WindowHint(glfw.ClientAPI, glfw.NoAPI)
	glfw.WindowHint(glfw.ScaleToMonitor, glfw.True)
	glfw.WindowHint(glfw.Visible, glfw.False) // until there is something to show
	w, err := glfw.CreateWindow(width, height, "watch", nil, nil)
	if err != nil {
		glfw.Terminate()
		return nil, fmt.Errorf("opening a window: %w", err)
	}
	return &window{w}, nil
}

func (w *window) close() {
	w.Destroy()
	glfw.Terminate()
}

// surface is what the backend needs of the window.
func (w *window) surface() *vulkan.Surface {
	return &vulkan.Surface{
		Extensions: w.GetRequiredInstanceExtensions(),
		Create: func(instance uintptr) (uintptr, error) {
			// The library returns the address of the surface's handle in memory that
			// nothing refers to any more. So nothing must be collected before it is read.
			percent := debug.SetGCPercent(-1)
			runtime.GC() // ends a collection that runs
			defer debug.SetGCPercent(percent)
			at, err := w.CreateWindowSurface(*(**struct{})(unsafe.Pointer(&instance)), nil)
			if err != nil {
				return 0, err
			}
			return **(**uintptr)(unsafe.Pointer(&at)), nil
		},
	}
}

// app is what the window shows and what its keys change.
type app struct {
	*window
	backend *vulkan.Backend
	story   *story
	values  *values
	texts   texts
	name    string // of the model and the device

	rate        float64 // tokens a second, at most; 0: as many as the device can
	running     bool
	layer, head int
	helping     bool

	steps int  // that were asked for
	dirty bool // the picture must be drawn anew

	colors  *colors
	font    *alphabet
	density float64        // of the screen for which font was made
	pixels  backend.Tensor // i32 [height, width]: the picture
	layout  layout         // of the last picture
}

// maxRate bounds the tokens a second that can be asked for.
const maxRate = 1024

func (a *app) close() {
	if a.font != nil {
		a.font.close()
	}
	if a.colors != nil && a.colors.cells.Buf != nil {
		a.colors.cells.Buf.Free()
	}
	if a.pixels.Buf != nil {
		a.pixels.Buf.Free()
	}
}

// run shows the model at work until the window is closed.
func (a *app) run(ctx context.Context) (err error) {
	if a.colors, err = newColors(a.backend); err != nil {
		return err
	}
	a.listen()
	a.Show()
	a.dirty = true
	var next, drawn time.Time // when a token may be written, and when the last picture was drawn
	for !a.ShouldClose() {
		if err := ctx.Err(); err != nil {
			return err
		}
		if a.due(next) {
			if !a.story.reading() {
				a.steps = max(a.steps-1, 0)
				next = time.Now()
				if a.rate > 0 {
					next = next.Add(time.Duration(float64(time.Second) / a.rate))
				}
			}
			if err := a.advance(ctx); err != nil {
				return err
			}
		}
		// More pictures than the screen shows would hold up the model.
		if a.dirty && (!a.due(next) || time.Since(drawn) >= time.Second/60) {
			drawn = time.Now()
			if err := a.show(); err != nil {
				return err
			}
		}
		a.wait(next)
	}
	return nil
}

// due reports whether the model is to read something now: parts of the prompt it reads
// in any case. next is when a token may be written while it runs.
func (a *app) due(next time.Time) bool {
	return a.story.over == "" && (a.story.reading() || a.steps > 0 || a.running && !time.Now().Before(next))
}

// wait hears keys, and returns when something is to be done. It returns now and then
// without, so that Ctrl-C in the terminal is heard.
func (a *app) wait(next time.Time) {
	const most = 0.1 // seconds
	switch {
	case a.due(next):
		glfw.PollEvents()
	case a.story.over == "" && a.running:
		glfw.WaitEventsTimeout(min(max(time.Until(next).Seconds(), 0.001), most))
	default:
		glfw.WaitEventsTimeout(most)
	}
}

// advance lets the model read and write a token, and prepares what it computed for
// drawing.
func (a *app) advance(ctx context.Context) error {
	r, err := a.story.advance(ctx)
	if err != nil {
		return err
	}
	a.dirty = true
	var top []gpt.TokenProb
	if a.story.drawn != nil {
		top = a.story.drawn.Top
	}
	return a.values.take(r, top)
}

// show draws the picture and shows it. If the window cannot show it now, the next call
// draws it again.
func (a *app) show() error {
	width, height := a.GetFramebufferSize()
	size, err := a.backend.WindowSize(image.Pt(width, height))
	if err != nil || size.X == 0 || size.Y == 0 { // minimised
		return err
	}
	if err := a.prepare(size); err != nil {
		return err
	}
	a.layout = newLayout(contents{
		size: size, glyph: image.Pt(a.font.Width, a.font.Height), first: a.values.first, end: a.values.end,
		heads: a.values.model.Heads, layers: a.values.model.Layers, layer: a.layer, likeliest: likeliest,
	})
	if err := a.backend.Draw(a.pixels, a.drawings(a.layout)...); err != nil {
		return err
	}
	shown, err := a.backend.Present(a.pixels)
	a.dirty = !shown
	return err
}

// prepare makes what a picture of a size needs, if that has changed.
func (a *app) prepare(size image.Point) (err error) {
	x, y := a.GetContentScale()
	if density := min(max(float64(max(x, y)), 1), 4); density != a.density {
		if a.font != nil {
			a.font.close()
		}
		if a.font, err = newAlphabet(a.backend, density, a.values.model.Vocab, a.texts); err != nil {
			return err
		}
		a.density = density
	}
	if a.pixels.Absent() || a.pixels.Dim(-1) != size.X || a.pixels.Dim(-2) != size.Y {
		if a.pixels.Buf != nil {
			a.pixels.Buf.Free()
		}
		if a.pixels, err = backend.New(a.backend, backend.I32, size.Y, size.X); err != nil {
			return fmt.Errorf("memory for a picture of %d × %d pixels: %w", size.X, size.Y, err)
		}
	}
	return nil
}

// listen makes keys and the mouse do what the help says.
func (a *app) listen() {
	a.retitle()
	again := func() { a.dirty = true }
	a.SetRefreshCallback(func(*glfw.Window) { again() })
	a.SetFramebufferSizeCallback(func(*glfw.Window, int, int) { again() })
	a.SetContentScaleCallback(func(*glfw.Window, float32, float32) { again() })
	a.SetIconifyCallback(func(*glfw.Window, bool) { again() })
	a.SetKeyCallback(func(_ *glfw.Window, key glfw.Key, _ int, action glfw.Action, _ glfw.ModifierKey) {
		if action != glfw.Release {
			a.key(key)
		}
	})
	a.SetCharCallback(func(_ *glfw.Window, r rune) { a.char(r) })
	a.SetMouseButtonCallback(func(_ *glfw.Window, button glfw.MouseButton, action glfw.Action, _ glfw.ModifierKey) {
		if button == glfw.MouseButtonLeft && action == glfw.Press {
			a.click()
		}
	})
}

// key is for keys that write no character.
func (a *app) key(key glfw.Key) {
	switch key {
	case glfw.KeyRight:
		a.step()
	case glfw.KeyUp:
		a.look(a.layer-1, a.head)
	case glfw.KeyDown:
		a.look(a.layer+1, a.head)
	case glfw.KeyEscape:
		a.SetShouldClose(true)
	}
}

// char is for keys that write a character, wherever the keyboard has it.
func (a *app) char(r rune) {
	switch r {
	case ' ':
		a.running = !a.running
	case 'n', 'N':
		a.step()
	case 'h':
		a.look(a.layer, a.head+1)
	case 'H':
		a.look(a.layer, a.head-1)
	case '+', '=':
		a.speed(2)
	case '-', '_':
		a.speed(0.5)
	case '?':
		a.helping = !a.helping
	case 'q', 'Q':
		a.SetShouldClose(true)
	}
	a.dirty = true
}

// step asks for one token. Running ends.
func (a *app) step() {
	a.running = false
	a.steps++
	a.dirty = true
}

// speed changes the rate. Above the largest there is no limit.
func (a *app) speed(factor float64) {
	switch rate := a.rate * factor; {
	case a.rate == 0 && factor < 1:
		a.rate = maxRate
	case rate > maxRate:
		a.rate = 0
	case a.rate > 0:
		a.rate = max(rate, 1.0/16)
	}
}

// look shows another block or head. Behind the last one comes the first.
func (a *app) look(layer, head int) {
	layers, heads := a.values.model.Layers, a.values.model.Heads
	a.layer, a.head = (layer+layers)%layers, (head+heads)%heads
	a.dirty = true
	a.retitle()
}

func (a *app) retitle() {
	a.SetTitle(fmt.Sprintf("%s, block %d, head %d", a.name, a.layer, a.head))
}

// click chooses the head or the block under the pointer.
func (a *app) click() {
	x, y := a.GetCursorPos()
	width, height := a.GetSize() // in which the pointer's place is given
	if width == 0 || height == 0 {
		return
	}
	at := image.Pt(int(x*float64(a.layout.size.X)/float64(width)), int(y*float64(a.layout.size.Y)/float64(height)))
	if head := a.layout.headAt(at); head >= 0 {
		a.look(a.layer, head)
	} else if block := a.layout.blockAt(at); block >= 0 {
		a.look(block, a.head)
	}
}
