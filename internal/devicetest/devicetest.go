// Package devicetest opens every backend that results are held to: the CPU
// backend, and the Vulkan backend on two drivers that need no GPU and are
// independent of each other, Mesa's lavapipe and Google's SwiftShader.
package devicetest

import (
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

// Each runs a test on every device, with Vulkan's validation on: a message
// from the validation layers is an error of the backend's next call.
func Each(t *testing.T, test func(t *testing.T, b backend.Backend)) {
	t.Helper()
	UseTestDrivers(t)
	os.Setenv("CALDERA_VULKAN_VALIDATION", "1")
	for _, d := range devices {
		t.Run(d.name, func(t *testing.T) {
			b, err := backend.Open(d.spec)
			if err != nil {
				t.Fatal(err)
			}
			test(t, b)
			if err := b.Close(); err != nil {
				t.Errorf("closing %s: %v", b.Name(), err)
			}
		})
	}
}
