//go:build cgo

package vulkan

import (
	"os"
	"os/exec"
	"testing"

	"caldera/backend"
	"caldera/backend/vulkan/internal/vk"
	"caldera/conformance"
)

// fewGroups plays a device that takes few workgroups along each axis, so that
// shaders go several rounds where other devices take one. Heads that share keys
// go in one dispatch: Vulkan promises 65,535.
func fewGroups(l *Limits) { l.Groups = [3]uint32{3, 8, 3} }

// largeTiles takes large tiles for all products with many rows.
func largeTiles(l *Limits) { l.LargeTileEdge, l.LargeTileSize = 1, 1 }

// TestPlayed holds to the conformance suite what neither the drivers at hand
// nor the usual sizes of ops reach: shaders that go several rounds, large tiles, and memory
// that is not coherent, which the host maps and of which it copies to staging memory.
func TestPlayed(t *testing.T) {
	if !testing.Short() { // the suite's short form finds the same in an eighth of the time, and is a flag of the process
		t.Parallel()
		cmd := exec.Command(os.Args[0], "-test.short", "-test.run=^TestPlayed$", "-test.timeout=90m")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	for name, clamp := range map[string]func(*Limits){
		"gpu":   func(l *Limits) { gpu(l); fewGroups(l); largeTiles(l) },
		"texel": func(l *Limits) { staged(l); fewGroups(l) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conformance.Test(t, func(tb testing.TB) backend.Backend {
				b, err := openPlayed(tb, lavapipe, func(l *Limits) { clamp(l); l.Coherent = false }, &vk.Play{Incoherent: true})
				if err != nil {
					tb.Fatal(err)
				}
				return b
			})
		})
	}
}
