//go:build watch && cgo

package watch

import (
	"bufio"
	"errors"
	"image"
	"image/color"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/jezek/xgb"
	"github.com/jezek/xgb/xproto"
	"github.com/jezek/xgb/xtest"

	"caldera/internal/commandtest"
)

// display is an X server without a screen, and a client that presses its keys.
type display struct {
	t    *testing.T
	name string // :99
	conn *xgb.Conn
	root xproto.Window
	keys map[xproto.Keysym]key
}

type key struct {
	code  xproto.Keycode
	shift bool
}

// newDisplay starts Xvfb.
func newDisplay(t *testing.T) *display {
	t.Helper()
	if _, err := exec.LookPath("Xvfb"); err != nil {
		if os.Getenv("CALDERA_REQUIRE_DRIVERS") == "" {
			t.Skip("Xvfb is not installed: scripts/setup.sh test")
		}
		t.Fatal(err)
	}
	from, to, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("Xvfb", "-displayfd", "3", "-screen", "0", "1600x1000x24", "-nolisten", "tcp")
	cmd.ExtraFiles = []*os.File{to}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	to.Close()
	number, err := bufio.NewReader(from).ReadString('\n')
	if err != nil {
		t.Fatalf("Xvfb did not start: %v", err)
	}
	d := &display{t: t, name: ":" + strings.TrimSpace(number), keys: map[xproto.Keysym]key{}}
	if d.conn, err = xgb.NewConnDisplay(d.name); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.conn.Close)
	if err := xtest.Init(d.conn); err != nil {
		t.Fatal(err)
	}
	setup := xproto.Setup(d.conn)
	d.root = setup.DefaultScreen(d.conn).Root
	codes, err := xproto.GetKeyboardMapping(d.conn, setup.MinKeycode, byte(setup.MaxKeycode-setup.MinKeycode+1)).Reply()
	if err != nil {
		t.Fatal(err)
	}
	for i, symbol := range codes.Keysyms {
		n := int(codes.KeysymsPerKeycode)
		if _, ok := d.keys[symbol]; !ok && i%n < 2 {
			d.keys[symbol] = key{setup.MinKeycode + xproto.Keycode(i/n), i%n == 1}
		}
	}
	return d
}

// Symbols of keys that write no character; others have the character's number.
const (
	keyDown   = 0xff54
	keyEscape = 0xff1b
	keyRight  = 0xff53
	keyShift  = 0xffe1
)

// press presses and releases a key as a keyboard does.
func (d *display) press(symbol xproto.Keysym) {
	d.t.Helper()
	k, ok := d.keys[symbol]
	if !ok {
		d.t.Fatalf("the keyboard has no key %#x", symbol)
	}
	fake := func(kind byte, code xproto.Keycode) {
		if err := xtest.FakeInputChecked(d.conn, kind, byte(code), 0, d.root, 0, 0, 0).Check(); err != nil {
			d.t.Fatal(err)
		}
	}
	if k.shift {
		fake(xproto.KeyPress, d.keys[keyShift].code)
	}
	fake(xproto.KeyPress, k.code)
	fake(xproto.KeyRelease, k.code)
	if k.shift {
		fake(xproto.KeyRelease, d.keys[keyShift].code)
	}
}

// close asks the program to close a window, as its button in a desktop does.
func (d *display) close(w xproto.Window) {
	d.t.Helper()
	atom := func(name string) xproto.Atom {
		a, err := xproto.InternAtom(d.conn, false, uint16(len(name)), name).Reply()
		if err != nil {
			d.t.Fatal(err)
		}
		return a.Atom
	}
	e := xproto.ClientMessageEvent{Format: 32, Window: w, Type: atom("WM_PROTOCOLS"),
		Data: xproto.ClientMessageDataUnionData32New([]uint32{uint32(atom("WM_DELETE_WINDOW")), 0, 0, 0, 0})}
	if err := xproto.SendEventChecked(d.conn, false, w, 0, string(e.Bytes())).Check(); err != nil {
		d.t.Fatal(err)
	}
}

// click moves the pointer to a point of the screen, and presses its left button.
func (d *display) click(at image.Point) {
	d.t.Helper()
	for _, e := range []struct{ kind, detail byte }{{xproto.MotionNotify, 0}, {xproto.ButtonPress, 1}, {xproto.ButtonRelease, 1}} {
		if err := xtest.FakeInputChecked(d.conn, e.kind, e.detail, 0, d.root, int16(at.X), int16(at.Y), 0).Check(); err != nil {
			d.t.Fatal(err)
		}
	}
}

// window waits for the program's window, and gives it the keyboard.
func (d *display) window() xproto.Window {
	d.t.Helper()
	var found xproto.Window
	d.until("a window", func() error {
		tree, err := xproto.QueryTree(d.conn, d.root).Reply()
		if err != nil {
			return err
		}
		for _, w := range tree.Children {
			a, err := xproto.GetWindowAttributes(d.conn, w).Reply()
			if err == nil && a.MapState == xproto.MapStateViewable && d.title(w) != "" {
				found = w
				return xproto.SetInputFocusChecked(d.conn, xproto.InputFocusParent, w, xproto.TimeCurrentTime).Check()
			}
		}
		return errors.New("there is none")
	})
	return found
}

func (d *display) title(w xproto.Window) string {
	p, err := xproto.GetProperty(d.conn, false, w, xproto.AtomWmName, xproto.GetPropertyTypeAny, 0, 256).Reply()
	if err != nil {
		return ""
	}
	return string(p.Value)
}

// until waits until check returns nil.
func (d *display) until(what string, check func() error) {
	d.t.Helper()
	end := time.Now().Add(commandtest.Patience)
	if deadline, ok := d.t.Deadline(); ok {
		end = deadline.Add(-time.Minute)
	}
	for {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(end) {
			d.t.Fatalf("%s: %v", what, err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// screenshot is what a window shows.
func (d *display) screenshot(w xproto.Window) (*image.RGBA, error) {
	g, err := xproto.GetGeometry(d.conn, xproto.Drawable(w)).Reply()
	if err != nil {
		return nil, err
	}
	shot, err := xproto.GetImage(d.conn, xproto.ImageFormatZPixmap, xproto.Drawable(w), 0, 0, g.Width, g.Height, ^uint32(0)).Reply()
	if err != nil {
		return nil, err
	}
	bits, pad := 0, 0
	for _, f := range xproto.Setup(d.conn).PixmapFormats {
		if f.Depth == shot.Depth {
			bits, pad = int(f.BitsPerPixel), int(f.ScanlinePad)
		}
	}
	if bits < 24 {
		return nil, errors.New("the screen has fewer than 24 bits a pixel")
	}
	width, height := int(g.Width), int(g.Height)
	row := (width*bits + pad - 1) / pad * pad / 8
	out := image.NewRGBA(image.Rect(0, 0, width, height))
	for y := range height {
		for x := range width {
			p := shot.Data[y*row+x*bits/8:]
			out.SetRGBA(x, y, color.RGBA{p[2], p[1], p[0], 255})
		}
	}
	return out, nil
}
