//go:build cgo

package vulkan

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"caldera/backend"
	"caldera/backend/vulkan/internal/vk"
	"caldera/conformance"
	"caldera/internal/commandtest"
)

// The tests run on two software drivers that differ in most limits, and fail
// where one is missing. The variables that name them come from
// scripts/testenv.sh, which make test calls.
func TestMain(m *testing.M) {
	if os.Getenv(childVariable) != "" {
		os.Exit(child())
	}
	if os.Getenv(benchDevice) == "" && os.Getenv(playedCard) == "" && os.Getenv(testDevice) == "" {
		useDrivers()
	}
	cache, err := os.MkdirTemp("", "caldera-vulkan-test")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Setenv("XDG_CACHE_HOME", cache)
	code := m.Run()
	os.RemoveAll(cache)
	os.Exit(code)
}

func useDrivers() {
	var files []string
	for _, name := range []string{"CALDERA_LAVAPIPE_ICD", "CALDERA_SWIFTSHADER_ICD"} {
		file := os.Getenv(name)
		if _, err := os.Stat(file); err != nil {
			fmt.Fprintf(os.Stderr, "%s must name a driver's manifest: run make test, or eval \"$(scripts/testenv.sh)\" first (%v)\n", name, err)
			os.Exit(1)
		}
		files = append(files, file)
	}
	os.Setenv("VK_DRIVER_FILES", strings.Join(files, string(os.PathListSeparator)))
}

// What devices of the two drivers have in their names.
const (
	lavapipe    = "llvmpipe"
	swiftshader = "SwiftShader"
)

// index finds a driver's device.
func index(tb testing.TB, driver string) int {
	tb.Helper()
	devices, err := Devices()
	if err != nil {
		tb.Fatal(err)
	}
	for _, d := range devices {
		if strings.Contains(d.Name, driver) {
			return d.Index
		}
	}
	tb.Fatalf("no device is named like %s: %+v", driver, devices)
	return 0
}

// openTest opens a driver's device under validation. Any message of it fails
// the test.
func openTest(tb testing.TB, driver string, clamp func(*Limits)) *Backend {
	tb.Helper()
	b, err := Open(Options{
		Device:     index(tb, driver),
		Validation: true,
		OnMessage:  func(text string) { tb.Errorf("validation: %s", text) },
		Limits:     clamp,
		timeout:    commandtest.Patience,
	})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := b.Close(); err != nil {
			tb.Errorf("Close: %v", err)
		}
	})
	return b
}

// staged simulates a device whose memory the host cannot map.
func staged(l *Limits) { l.Unified = false }

// testDevices are the devices that the tests run on: two drivers, and simulated ones.
var testDevices = []conforming{
	{name: "lavapipe", driver: lavapipe},
	{name: "swiftshader", driver: swiftshader},
	{name: "lavapipe-staged", driver: lavapipe, clamp: staged, groups: []string{"memory", "program", "copy", "model", "lifetime"}},
	{name: "lavapipe-small", driver: lavapipe, clamp: small, part: later},
}

// conforming is a device that goes through the conformance suite, or through the groups that may show what other devices
// do not; no groups are all of them. TestLeftOut says why that is enough.
type conforming struct {
	name, driver string
	clamp        func(*Limits)
	incoherent   bool // its memory
	part         share
	groups       []string
}

// share is which cases a device takes. Simulated devices that differ little from others take a quarter: the kernels of GPUs
// go through the whole suite on the four of them together. In TestLong each device takes all.
type share int

const (
	whole share = iota
	first
	second
	third
	fourth
	later // none but in TestLong
)

func (c conforming) conform(t *testing.T) {
	open := func(tb testing.TB) backend.Backend {
		if !c.incoherent {
			return openTest(tb, c.driver, c.clamp)
		}
		b, err := openWithHooks(tb, c.driver, func(l *Limits) { c.clamp(l); l.Coherent = false }, &vk.Hooks{Incoherent: true})
		if err != nil {
			tb.Fatal(err)
		}
		return b
	}
	switch c.part {
	case whole:
		conformance.TestGroups(t, open, c.groups...)
	case later:
		t.Skip("it is for TestLong")
	default:
		conformance.TestPart(t, open, int(c.part-first), int(later-first), c.groups...)
	}
}

// small simulates a device with the lowest limits.
func small(l *Limits) {
	l.Unified = false
	l.BindingRange = 256 << 10 // a row of GPT-2's scores takes 197 KiB
	l.BindingAlign = 256
	l.TexelElements = 0
	l.Invocations = 128
	l.WorkgroupSize = [3]uint32{128, 128, 64}
	l.SharedMemory = 16 << 10
	l.SubgroupArithmetic = false
	l.Matrix = [3]uint32{}
}

// everywhere runs a test on all testDevices.
func everywhere(t *testing.T, test func(t *testing.T, b *Backend)) {
	for _, p := range testDevices {
		t.Run(p.name, func(t *testing.T) { test(t, openTest(t, p.driver, p.clamp)) })
	}
}

func TestDevices(t *testing.T) {
	devices, err := backend.Devices("vulkan")
	if err != nil {
		t.Fatal(err)
	}
	if len(devices) != 2 {
		t.Fatalf("%d devices, want both drivers': %+v", len(devices), devices)
	}
	for i, d := range devices {
		if d.Index != i || d.Kind != backend.Software || d.Driver == "" || d.Memory < 1<<30 || d.Backend != "vulkan" {
			t.Errorf("device %d: %+v", i, d)
		}
		if d.UUID != "" && len(d.UUID) != 32 {
			t.Errorf("device %d: UUID %q, want 32 digits", i, d.UUID)
		}
		b, err := d.Open()
		if err != nil {
			t.Fatal(err)
		}
		if got := backend.Describe(b); !strings.Contains(got, d.Name) || !strings.Contains(got, d.Driver) {
			t.Errorf("Describe() = %q, want %q and %q in it", got, d.Name, d.Driver)
		} else {
			t.Log(got)
		}
		if b.Name() != d.Spec() {
			t.Errorf("Name() = %q, want %q", b.Name(), d.Spec())
		}
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	}
	if _, err := Open(Options{Device: 2}); err == nil || !strings.Contains(err.Error(), "there is no device 2") {
		t.Errorf("opening device 2 of 2: %v", err)
	}
}
