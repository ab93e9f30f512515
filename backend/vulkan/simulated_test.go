//go:build cgo

package vulkan

import (
	"testing"

	"caldera/backend"
	"caldera/backend/vulkan/internal/vk"
	"caldera/conformance"
)

// fewGroups simulates a device that takes few workgroups along each axis, so that
// shaders go several rounds where other devices take one. Heads that share keys
// go in one dispatch: Vulkan promises 65,535.
func fewGroups(l *Limits) { l.Groups = [3]uint32{3, 8, 3} }

// largeTiles makes all products with many rows use large tiles.
func largeTiles(l *Limits) { l.LargeTileEdge, l.LargeTileSize, l.MatrixTiles = 1, 1, 1 }

// simulated are devices for code that neither the test drivers nor the usual sizes of ops
// reach: loops over workgroups, large tiles, and incoherent memory, both mapped device memory
// and staging buffers.
var simulated = []struct {
	name  string
	clamp func(*Limits)
}{
	{"played-gpu", func(l *Limits) { gpu(l); fewGroups(l); largeTiles(l) }},
	{"played-texel", func(l *Limits) { staged(l); fewGroups(l) }},
}

// conformSimulated runs the conformance suite on them, in its short form, which found the same
// faults in an eighth of the time.
func conformSimulated(t *testing.T) {
	for _, p := range simulated {
		t.Run(p.name, func(t *testing.T) {
			conformance.TestShort(t, func(tb testing.TB) backend.Backend {
				b, err := openWithHooks(tb, lavapipe, func(l *Limits) { p.clamp(l); l.Coherent = false }, &vk.Hooks{Incoherent: true})
				if err != nil {
					tb.Fatal(err)
				}
				return b
			})
		})
	}
}
