//go:build !cgo

// Package vulkan is absent from this program: it was built without cgo.
package vulkan

import (
	"caldera/backend"
	"caldera/internal/setting"
)

func init() {
	backend.Register("vulkan", func() ([]backend.Device, error) {
		return nil, setting.Errorf("this program was built without cgo, which Vulkan needs: " +
			"build it with CGO_ENABLED=1 and a C compiler (gcc or clang) installed, or use {backend=cpu}")
	})
}
