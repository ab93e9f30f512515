//go:build cgo

package vulkan

import (
	"os"
	"testing"

	"caldera/backend"
	"caldera/conformance"
)

// testDevice is an environment variable: a part of the name of a device that is not one of the
// tests' own, or "best" for the first of Devices. TestDeviceConforms runs the suite on it, also
// where nothing else of the tests is there (scripts/gpukit.sh).
const testDevice = "CALDERA_TEST_DEVICE"

func TestDeviceConforms(t *testing.T) {
	name := os.Getenv(testDevice)
	if name == "" {
		t.Skip(testDevice + " names no device")
	}
	i := 0
	if name != "best" {
		i = index(t, name)
	}
	conformance.Test(t, func(tb testing.TB) backend.Backend {
		b, err := Open(Options{Device: i})
		if err != nil {
			tb.Fatal(err)
		}
		tb.Log(b.Describe())
		return b
	})
}
