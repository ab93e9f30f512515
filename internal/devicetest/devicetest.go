// Package devicetest opens the backends on which tests run: the CPU backend, and
// the Vulkan backend with two independent drivers that need no GPU, Mesa's
// lavapipe and Google's SwiftShader.
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

// device is a name for a subtest, and the spec for backend.Open.
type device struct{ name, spec string }

// devices are those that each test runs on.
var devices = []device{
	{"cpu", "cpu"},
	{"lavapipe", "vulkan:llvmpipe"},
	{"swiftshader", "vulkan:SwiftShader"},
}

// drivers says where the drivers' manifests are: in an environment variable, which
// `make test` sets, or else in the usual places.
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
	dir, _ := os.UserCacheDir() // if there is none, the pattern matches nothing
	return dir
}

// UseTestDrivers makes the Vulkan loader use the test drivers and no others, in this
// process and its child processes. The test fails if a driver is missing.
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
	// Not tb.Setenv: the drivers must stay the same while an instance exists, and
	// tests may run in parallel.
	os.Setenv("VK_DRIVER_FILES", strings.Join(found, string(os.PathListSeparator)))
}

// open has the devices that Each has opened, by spec. Tests share them, because
// compiling the shaders for a newly opened device takes longer than most tests.
var open = map[string]backend.Backend{}

// inMain is set while Main runs, which closes the devices.
var inMain bool

// Main runs the tests of a package that calls Each, closes the devices and returns
// the exit code. Call it in TestMain.
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

// Each runs a test on every device, with Vulkan's validation layer: a message from
// it fails the test. Tests of a package share the open devices, one test after the
// other. After a test that failed the device is closed, and opened anew for the next
// test.
func Each(t *testing.T, test func(t *testing.T, b backend.Backend)) {
	t.Helper()
	each(t, devices, test)
}

// EachBackend is Each on one device of each backend: the CPU, and lavapipe. It is for
// tests of what is built from ops that other tests run on all devices, because
// compiling their shaders again takes long.
func EachBackend(t *testing.T, test func(t *testing.T, b backend.Backend)) {
	t.Helper()
	each(t, devices[:2], test)
}

// OnSwiftShader is Each on SwiftShader alone, for a small case of what other tests run on both
// backends: its compiler is another one than lavapipe's.
func OnSwiftShader(t *testing.T, test func(t *testing.T, b backend.Backend)) {
	t.Helper()
	each(t, devices[2:], test)
}

func each(t *testing.T, on []device, test func(t *testing.T, b backend.Backend)) {
	t.Helper()
	if !inMain {
		t.Fatal("nobody closes the devices: TestMain must call devicetest.Main")
	}
	UseTestDrivers(t)
	os.Setenv("CALDERA_VULKAN_VALIDATION", "1")
	for _, d := range on {
		t.Run(d.name, func(t *testing.T) {
			b := open[d.spec]
			if b == nil {
				var err error
				if b, err = backend.Open(d.spec); err != nil {
					t.Fatal(err)
				}
				open[d.spec] = b
			}
			// The first cleanup runs last, after those that free the test's tensors.
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

// works returns an error if the validation layer has sent messages during the test,
// or if the device cannot be used any more.
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
