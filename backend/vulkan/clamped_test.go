//go:build cgo

package vulkan

import (
	"testing"

	"caldera/backend"
	"caldera/conformance"
)

// fewGroups plays a device that takes few workgroups along each axis, so that
// shaders go several rounds where other devices take one. Heads that share keys
// go in one dispatch: Vulkan promises 65,535.
func fewGroups(l *Limits) { l.Groups = [3]uint32{3, 8, 3} }

// largeTiles takes large tiles for all products with many rows.
func largeTiles(l *Limits) { l.LargeTileEdge, l.LargeTileSize = 1, 1 }

// TestClamped holds what no usual size of op reaches to the conformance suite:
// the rounds of shaders over more than a device takes at once, and large tiles.
func TestClamped(t *testing.T) {
	for name, clamp := range map[string]func(*Limits){
		"gpu":   func(l *Limits) { gpu(l); fewGroups(l); largeTiles(l) },
		"texel": fewGroups,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conformance.Test(t, func(tb testing.TB) backend.Backend { return openTest(tb, lavapipe, clamp) })
		})
	}
}
