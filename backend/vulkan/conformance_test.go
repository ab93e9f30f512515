//go:build cgo

package vulkan

import (
	"testing"

	"caldera/backend"
	"caldera/conformance"
)

func TestConformance(t *testing.T) {
	for _, p := range players {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			conformance.Test(t, func(tb testing.TB) backend.Backend { return openTest(tb, p.driver, p.clamp) })
		})
	}
}
