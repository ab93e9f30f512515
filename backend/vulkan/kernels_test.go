//go:build cgo

package vulkan

import (
	"testing"

	"caldera/backend"
	"caldera/conformance"
)

// families are devices of which each takes other shaders than the players do.
// Real GPUs are played by a software driver that does not say what it is.
var families = []struct {
	name, driver string
	clamp        func(*Limits)
}{
	{"gpu", lavapipe, func(l *Limits) { l.Software = false }},                                    // shared memory, subgroups
	{"gpu-plain", swiftshader, func(l *Limits) { l.Software = false; noSubgroups(l) }},           // shared memory alone
	{"texel-plain", lavapipe, noSubgroups},                                                       // texels, no subgroups
	{"small-gpu", lavapipe, func(l *Limits) { small(l); l.Software = false }},                    // everything in windows, 128 invocations
	{"small-texel", lavapipe, func(l *Limits) { l.BindingRange, l.BindingAlign = 256<<10, 256 }}, // windows with texels
}

func noSubgroups(l *Limits) { l.SubgroupArithmetic, l.SubgroupShuffle = false, false }

// TestKernels holds every family of shaders to the conformance suite.
func TestKernels(t *testing.T) {
	t.Parallel()
	for _, f := range families {
		t.Run(f.name, func(t *testing.T) {
			conformance.Test(t, func(tb testing.TB) backend.Backend { return openTest(tb, f.driver, f.clamp) })
		})
	}
}
