//go:build watch && cgo

package watch

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jezek/xgb"
	"github.com/jezek/xgb/xproto"

	"caldera/backend/vulkan"
	"caldera/internal/cli"
	"caldera/internal/commandtest"
)

const (
	prompt = "It is a truth universally acknowledged"
	seed   = 7
)

// childVariable makes this program the command, so that a test of a changed command is
// another program, which Go's cache of results does not know.
const childVariable = "CALDERA_WATCH_TEST_CHILD"

func TestMain(m *testing.M) {
	if os.Getenv(childVariable) != "" {
		os.Exit(cli.Main(Command()))
	}
	xgb.Logger.SetOutput(io.Discard) // it tells of servers that end
	if icd := os.Getenv("CALDERA_LAVAPIPE_ICD"); icd != "" {
		os.Setenv("VK_DRIVER_FILES", icd)
	}
	os.Setenv("CALDERA_VULKAN_VALIDATION", "1")
	os.Exit(m.Run())
}

// command is one call of the command.
func command(d *display, args ...string) *exec.Cmd {
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), childVariable+"=1", "DISPLAY="+d.name)
	return cmd
}

// shown is the program at work in a window.
type shown struct {
	*display
	w      xproto.Window
	cmd    *exec.Cmd
	out    lockedBuffer
	stderr lockedBuffer
}

// lockedBuffer may be read while a program writes to it.
type lockedBuffer struct {
	sync.Mutex
	b bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.Lock()
	defer l.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.Lock()
	defer l.Unlock()
	return l.b.String()
}

func start(t *testing.T, prompt string, args ...string) *shown {
	t.Helper()
	s := &shown{display: newDisplay(t)}
	args = append(args, fmt.Sprintf("--seed=%d", seed))
	if prompt != "" {
		args = append(args, prompt)
	}
	s.cmd = command(s.display, args...)
	s.cmd.Stdout, s.cmd.Stderr = &s.out, &s.stderr
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if s.cmd.ProcessState == nil {
			_ = s.cmd.Process.Kill()
			_ = s.cmd.Wait()
		}
		if t.Failed() {
			t.Logf("the program wrote %q, and on standard error:\n%s", s.out.String(), s.stderr.String())
		}
	})
	s.w = s.window()
	return s
}

// see waits until the window shows the values of the reference.
func (s *shown) see(r *reference, layer, head int) *image.RGBA {
	s.t.Helper()
	var shot *image.RGBA
	s.until(fmt.Sprintf("block %d, head %d after %q", layer, head, r.text.String()), func() (err error) {
		if s.cmd.ProcessState != nil {
			return errors.New("the program has ended")
		}
		if shot, err = s.screenshot(s.w); err != nil {
			return err
		}
		if err = r.check(shot, layer, head); err != nil {
			return err
		}
		// What is written and the title come here by other ways, perhaps later.
		if text := r.text.String(); s.out.String() != text {
			return fmt.Errorf("the program wrote %q, expected %q", s.out.String(), text)
		}
		want := fmt.Sprintf(", block %d, head %d", layer, head)
		if title := s.title(s.w); !strings.HasSuffix(title, want) || !strings.HasPrefix(title, "austen on vulkan:0 llvmpipe") {
			return fmt.Errorf("the title is %q, expected model, device and %q", title, want)
		}
		return nil
	})
	s.keep(shot)
	return shot
}

// keep writes a picture to the folder that CALDERA_WATCH_PICTURES names, for people.
func (s *shown) keep(shot image.Image) {
	dir := os.Getenv("CALDERA_WATCH_PICTURES")
	if dir == "" {
		return
	}
	f, err := os.Create(filepath.Join(dir, time.Now().Format("150405.000")+".png"))
	if err == nil {
		err = errors.Join(png.Encode(f, shot), f.Close())
	}
	if err != nil {
		s.t.Error(err)
	}
}

// quit presses a key that ends the program, and expects that it ends well and that the
// validation layer has said nothing.
func (s *shown) quit(key xproto.Keysym) {
	s.t.Helper()
	s.press(key)
	if code := s.ends(); code != 0 {
		s.t.Errorf("the program ended with code %d", code)
	}
}

// ends waits for the end of the program, and returns its exit code.
func (s *shown) ends() int {
	s.t.Helper()
	done := make(chan error, 1)
	go func() { done <- s.cmd.Wait() }()
	select {
	case <-done: // its error is in the exit code
	case <-time.After(commandtest.Patience):
		s.t.Fatal("the program does not end")
	}
	if said := s.stderr.String(); strings.Contains(said, "VUID") || strings.Contains(said, "alidation") {
		s.t.Errorf("validation: %s", said)
	}
	return s.cmd.ProcessState.ExitCode()
}

// TestWindow goes through what a person can do, and holds every picture to the values
// that the host reads from the device in another process.
func TestWindow(t *testing.T) {
	s := start(t, prompt, "--paused", "-n", "9", "--layer=1", "--head=2")
	r := newReference(t, prompt, 256, 9)
	r.step(t) // the prompt
	s.see(r, 1, 2)

	s.press('n')
	r.step(t)
	s.see(r, 1, 2)
	s.press(keyRight)
	r.step(t)
	before := s.see(r, 1, 2)
	time.Sleep(300 * time.Millisecond)
	if after, err := s.screenshot(s.w); err != nil || !bytes.Equal(before.Pix, after.Pix) {
		t.Errorf("while it is paused the picture changes (%v)", err)
	}

	s.press(keyDown)
	s.see(r, 2, 2)
	s.press('h')
	s.see(r, 2, 3)
	s.press('H')
	s.press('H')
	s.see(r, 2, 1)

	// The keys' help lies over the picture, and goes away again.
	s.press('?')
	s.until("help", func() error {
		shot, err := s.screenshot(s.w)
		if err == nil {
			if err = r.check(shot, 2, 1); err == nil {
				return errors.New("the picture is as without help")
			}
			s.keep(shot)
			return nil
		}
		return err
	})
	s.press('?')
	s.see(r, 2, 1)

	for _, size := range []image.Point{{X: 1000, Y: 640}, {X: 1555, Y: 971}} {
		err := xproto.ConfigureWindowChecked(s.conn, s.w, xproto.ConfigWindowWidth|xproto.ConfigWindowHeight, []uint32{uint32(size.X), uint32(size.Y)}).Check()
		if err != nil {
			t.Fatal(err)
		}
		if shot := s.see(r, 2, 1); shot.Bounds().Size() != size {
			t.Errorf("the window has %v, expected %v", shot.Bounds(), size)
		}
	}

	// A click on a head's row, and on a row of the lens.
	l := newLayout(contents{size: image.Pt(1555, 971), glyph: r.glyph, end: r.v.end, heads: 6, layers: 6, layer: 2, likeliest: likeliest})
	s.click(l.heads.Min.Add(image.Pt(5, 4*l.headHeight+l.headHeight/2)))
	s.see(r, 2, 4)
	s.click(image.Pt(l.lens.name+5, l.lens.at.Y+6*l.lens.pitch+5))
	s.see(r, 5, 4)

	s.press(' ') // the rest
	for range 7 {
		r.step(t)
	}
	s.see(r, 5, 4)
	s.press('n') // nothing follows
	time.Sleep(200 * time.Millisecond)
	s.see(r, 5, 4)
	s.quit('q')
	if want := r.text.String() + "\n"; s.out.String() != want || !strings.HasPrefix(want, prompt) || len(want) < len(prompt)+9 {
		t.Errorf("the program wrote %q, expected %q", s.out.String(), want)
	}
}

// TestFullContext reads a prompt that takes several steps, and writes more than the
// context holds, as fast as it can.
func TestFullContext(t *testing.T) {
	long := strings.Repeat("My dear Mr. Bennet, said his lady to him one day, have you heard? ", 7)
	s := start(t, long, "-c", "132", "-n", "12", "--rate=0", "--paused", "--size=1500x960")
	r := newReference(t, long, 132, 12)
	if n := len(r.ids); n <= mapRows+20 || n >= 132 || r.model.Layers*r.model.Heads*132*4*64 > chunkMemory {
		t.Fatalf("the prompt has %d tokens: this test shows nothing", n)
	}
	r.step(t)
	s.see(r, 0, 0)
	s.press(' ')
	for range 12 {
		r.step(t)
	}
	if len(r.rows[0][0]) == r.known {
		t.Fatal("the context never got full: this test shows nothing")
	}
	s.see(r, 0, 0)
	s.quit(keyEscape)
}

// TestTiny shows that a window of any size is drawn without an error.
func TestTiny(t *testing.T) {
	s := start(t, prompt, "-n", "3", "--rate=0", "--size=1x1")
	for _, size := range [][]uint32{{40, 30}, {1600, 20}, {20, 900}, {320, 240}} {
		if err := xproto.ConfigureWindowChecked(s.conn, s.w, xproto.ConfigWindowWidth|xproto.ConfigWindowHeight, size).Check(); err != nil {
			t.Fatal(err)
		}
		s.until("the window's ground", func() error {
			shot, err := s.screenshot(s.w)
			if err != nil {
				return err
			}
			at := shot.Bounds().Max.Sub(image.Pt(1, 1))
			if at.X != int(size[0])-1 || !near(shot.RGBAAt(at.X, at.Y), color.RGBA{18, 20, 26, 255}, 1) {
				return fmt.Errorf("the pixel at %v is %v", at, shot.RGBAAt(at.X, at.Y))
			}
			return nil
		})
	}
	s.quit('q')
}

// TestEnd ends the program while it computes: by the window's button, and by a signal.
func TestEnd(t *testing.T) {
	for code, end := range map[int]func(*shown){
		0:                   func(s *shown) { s.close(s.w) },
		cli.ExitInterrupted: func(s *shown) { _ = s.cmd.Process.Signal(syscall.SIGTERM) },
	} {
		s := start(t, prompt, "--rate=0", "--ignore-eos", "-c", "64")
		s.until("some text", func() error {
			if len(s.out.String()) < len(prompt)+20 {
				return errors.New("there is little")
			}
			return nil
		})
		end(s)
		if got := s.ends(); got != code || !strings.HasSuffix(s.out.String(), "\n") {
			t.Errorf("exit code %d and %.300q, expected %d", got, s.out.String(), code)
		}
	}
}

// TestNaN shows a model with a weight that is no number: what it made NaN is to be seen,
// and the program says in the end that no token could be drawn.
func TestNaN(t *testing.T) {
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("../../../gpt/testdata/gpt2-tiny")); err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(dir, "model.safetensors")
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	length := binary.LittleEndian.Uint64(data)
	var tensors map[string]struct {
		At []int `json:"data_offsets"`
	}
	if err := json.Unmarshal(data[8:8+length], &tensors); err != nil {
		t.Fatal(err)
	}
	at := tensors["h.1.attn.c_attn.bias"].At
	if len(at) != 2 {
		t.Fatalf("the checkpoint has no such bias: %v", tensors)
	}
	binary.LittleEndian.PutUint32(data[8+int(length)+at[0]:], math.Float32bits(float32(math.NaN())))
	if err := os.WriteFile(name, data, 0o666); err != nil {
		t.Fatal(err)
	}
	s := start(t, "", "-m", dir, "--tokens=1,2,3", "--layer=1")
	nan := cellColors()[vulkan.CellColors-1]
	s.until("cells of NaN", func() error {
		shot, err := s.screenshot(s.w)
		if err != nil {
			return err
		}
		n := 0
		for i := 0; i < len(shot.Pix); i += 4 {
			if near(color.RGBA{shot.Pix[i], shot.Pix[i+1], shot.Pix[i+2], 255}, nan, 1) {
				n++
			}
		}
		if n < 100 {
			return fmt.Errorf("%d pixels have the colour of NaN", n)
		}
		s.keep(shot)
		return nil
	})
	s.press('q')
	if code := s.ends(); code != 1 || !strings.Contains(s.stderr.String(), "is NaN, expected a finite number") || s.out.String() != "1 2 3 \n" {
		t.Errorf("exit code %d, %q, %q", code, s.out.String(), s.stderr.String())
	}
}

// TestRefused shows what is said, in one line, where there is no window.
func TestRefused(t *testing.T) {
	d := newDisplay(t)
	for _, c := range []struct {
		name string
		code int
		env  []string
		args []string
		want []string
	}{
		{"no display", 1, []string{"DISPLAY="}, nil, []string{"no window can be opened", "DISPLAY"}},
		{"unknown display", 1, []string{"DISPLAY=:9876"}, nil, []string{"no window can be opened", ":9876"}},
		{"no driver", 1, []string{"VK_DRIVER_FILES=/nonexistent.json"}, nil, []string{"no Vulkan driver"}},
		{"another loader", 1, []string{"CALDERA_VULKAN_LOADER=/lib/x.so"}, nil, []string{"CALDERA_VULKAN_LOADER"}},
		{"CPU", 2, nil, []string{"--backend=cpu"}, []string{"--backend=cpu", "Vulkan"}},
		{"no such layer", 2, nil, []string{"--layer=6"}, []string{"--layer=6", "0 to 5"}},
		{"no such head", 2, nil, []string{"--head=-1"}, []string{"--head=-1", "0 to 5"}},
		{"size", 2, nil, []string{"--size=12"}, []string{"--size=12", "1280x800"}},
		{"rate", 2, nil, []string{"--rate=-3"}, []string{"--rate=-3"}},
		{"context", 2, nil, []string{"-c", "9999"}, []string{"--ctx-size=9999", "256"}},
		{"full disk", 1, nil, nil, []string{"cannot write /dev/stdout: no space left on device\n"}},
		{"no model", 1, nil, []string{"-m", "/nonexistent"}, []string{"/nonexistent"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			cmd := command(d, append(c.args, prompt)...)
			cmd.Env = append(cmd.Env, c.env...)
			cmd.Stdout = io.Discard
			if c.name == "full disk" {
				full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
				if err != nil {
					t.Skip(err)
				}
				defer full.Close()
				cmd.Stdout = full
			}
			r := commandtest.Run(t, cmd)
			var lines []string
			for line := range strings.Lines(r.Stderr) {
				if !strings.HasPrefix(line, "warning: vulkan:0") && !strings.HasPrefix(line, "seed: ") { // which are told in any case
					lines = append(lines, line)
				}
			}
			if r.Code != c.code || len(lines) != 1 {
				t.Errorf("exit code %d and %q, expected code %d and one line", r.Code, lines, c.code)
			}
			for _, want := range c.want {
				if !strings.Contains(r.Stderr, want) {
					t.Errorf("%q does not say %q", r.Stderr, want)
				}
			}
		})
	}
}
