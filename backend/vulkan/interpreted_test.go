//go:build cgo

package vulkan

import (
	"testing"

	"caldera/backend"
	"caldera/backend/vulkan/internal/vk"
	"caldera/conformance"
)

// cards are what interpreters play. They differ in the kernels that they take, and in the lanes of a subgroup.
var cards = []played{
	{name: "4-lanes", lanes: 4, software: true, unified: true},
	{name: "32-lanes", lanes: 32, shapes: []vk.MatrixShape{{M: 16, N: 16, K: 16}}, clamp: largeTiles},
	{name: "64-lanes", lanes: 64, shapes: []vk.MatrixShape{{M: 16, N: 16, K: 16}}},
}

// TestInterpreted holds the kernels to the conformance suite on devices that forgive nothing.
func TestInterpreted(t *testing.T) {
	for _, c := range cards {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			conformance.TestShort(t, func(tb testing.TB) backend.Backend { return c.open(tb) })
		})
	}
}
