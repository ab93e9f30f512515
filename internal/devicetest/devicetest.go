// Package devicetest opens every backend that results are held to: the CPU
// backend, and the Vulkan backend on two drivers that need no GPU and are
// independent of each other, Mesa's lavapipe and Google's SwiftShader.
package devicetest

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"caldera/backend"
	_ "caldera/backend/cpu"
	_ "caldera/backend/vulkan"
)

// devices are what each test runs on: a name for the subtest, and the spec
// that backend.Open takes once both drivers are in view of the loader.
var devices = []struct{ name, spec string }{
	{"cpu", "cpu"},
	{"lavapipe", "vulkan:llvmpipe"},
	{"swiftshader", "vulkan:SwiftShader"},
}

// drivers are the places of the drivers' manifests: an environment variable,
// which `make test` sets, or else where they are usually found.
var drivers = []struct {
	env   string
	usual []string
}{
	{"CALDERA_LAVAPIPE_ICD", []string{"/usr/share/vulkan/icd.d/lvp_icd.*.json"}},
	{"CALDERA_SWIFTSHADER_ICD", []string{
		"/usr/lib/chromium/vk_swiftshader_icd.json",
		filepath.Join(cacheDir(), "caldera", "swiftshader", "vk_swiftshader_icd.json"),
	}},
}

func cacheDir() string {
	dir, _ := os.UserCacheDir() // where there is none, the pattern matches nothing
	return dir
}

// UseTestDrivers makes the Vulkan loader see the test drivers and no others,
// in this process and those it starts. A driver that is missing fails the test.
func UseTestDrivers(tb testing.TB) {
	tb.Helper()
	var found []string
	for _, d := range drivers {
		path := os.Getenv(d.env)
		for _, pattern := range d.usual {
			if matches, _ := filepath.Glob(pattern); path == "" && len(matches) > 0 {
				path = matches[0]
			}
		}
		if path == "" {
			tb.Fatalf("no driver: %s is not set and there is none at %s; run: make test", d.env, strings.Join(d.usual, ", "))
		}
		found = append(found, path)
	}
	// Not tb.Setenv: the loader must see the same drivers for as long as an
	// instance lives, and tests may run in parallel.
	os.Setenv("VK_DRIVER_FILES", strings.Join(found, string(os.PathListSeparator)))
}

// open are the devices that Each has opened, by spec. A driver compiles its
// shaders for each open device again, which takes longer than most tests.
var open = map[string]backend.Backend{}

// inMain tells that Main runs, which closes what is open.
var inMain bool

// Main runs the tests of a package that calls Each, closes the devices and
// returns the exit code. It belongs in TestMain.
func Main(m *testing.M) int {
	inMain = true
	code := m.Run()
	for _, d := range devices {
		if err := closeDevice(d.spec); err != nil {
			fmt.Fprintf(os.Stderr, "closing %s after the tests: %v\n", d.spec, err)
			code = max(code, 1)
		}
	}
	return code
}

// Each runs a test on every device, with Vulkan's validation on: a message
// from the validation layers fails the test. Tests of a package share the
// open devices, one test after the other. After one that failed the device is
// closed, and the next test gets a new one.
func Each(t *testing.T, test func(t *testing.T, b backend.Backend)) {
	t.Helper()
	if !inMain {
		t.Fatal("nobody closes the devices: TestMain must call devicetest.Main")
	}
	UseTestDrivers(t)
	os.Setenv("CALDERA_VULKAN_VALIDATION", "1")
	for _, d := range devices {
		t.Run(d.name, func(t *testing.T) {
			b := open[d.spec]
			if b == nil {
				var err error
				if b, err = backend.Open(d.spec); err != nil {
					t.Fatal(err)
				}
				open[d.spec] = b
			}
			// The first cleanup runs last, after those that free what the test made.
			t.Cleanup(func() {
				if err := works(b); err != nil {
					t.Errorf("%s after the test: %v", d.spec, err)
				}
				if t.Failed() {
					if err := closeDevice(d.spec); err != nil {
						t.Errorf("closing %s: %v", d.spec, err)
					}
				}
			})
			test(t, b)
		})
	}
}

// works reports what the validation layers said of the test, or that the test
// left the device unusable.
func works(b backend.Backend) error {
	buf, err := b.Alloc(4)
	if err != nil {
		return err
	}
	defer buf.Free()
	return b.Read(make([]byte, 4), buf, 0)
}

func closeDevice(spec string) error {
	b := open[spec]
	if b == nil {
		return nil
	}
	delete(open, spec)
	return b.Close()
}
