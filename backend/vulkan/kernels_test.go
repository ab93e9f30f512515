//go:build cgo

package vulkan

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"caldera/shaders"
)

// families are devices of which each takes other shaders than the testDevices do.
// Real GPUs are simulated by a software driver that does not say what it is.
var families = []struct {
	name, driver string
	clamp        func(*Limits)
	groups       []string // of the suite, as testDevices have them
}{
	// Shared memory, subgroups.
	{"gpu", lavapipe, func(l *Limits) { l.Software = false }, nil},
	// Shared memory alone.
	{"gpu-plain", swiftshader, func(l *Limits) { l.Software = false; noSubgroups(l) }, nil},
	// Texels, no subgroups.
	{"texel-plain", lavapipe, noSubgroups, products},
	// All ops in pieces, 128 invocations.
	{"small-gpu", lavapipe, func(l *Limits) { small(l); l.Software = false }, nil},
	// Pieces with texels.
	{"small-texel", lavapipe, func(l *Limits) { l.BindingRange, l.BindingAlign = 256<<10, 256 },
		append(slices.Clone(products), "linear_backward", "attention", "attention_backward")},
}

// products are the groups in which linear.go chooses kernels.
var products = []string{"linear", "model"}

// TestLeftOut holds groups that devices leave out to what it rests on: that only
// kernels of those that they have differ from the kernels of other devices.
func TestLeftOut(t *testing.T) {
	for _, v := range shaders.Variants {
		if slices.Contains(v.Defines, "SUBGROUP") && v.Source != "linear_vec" && v.Source != "linear_one" {
			t.Errorf("%s: with subgroups there are more kernels than linear's: add its op to the groups of texel-plain", v.Name())
		}
		if slices.Contains(v.Defines, "TEXEL") && !strings.HasPrefix(v.Source, "linear") && !strings.HasPrefix(v.Source, "attention") {
			t.Errorf("%s: texels are read by more kernels than linear's and attention's: add its op to the groups of small-texel", v.Name())
		}
	}
	files, err := filepath.Glob("*.go")
	if err != nil || len(files) < 20 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for what, allowed := range map[string][]string{
		// A device with staging memory runs the kernels of others. Every device runs proof.go when it is opened.
		".Unified":            {"buffer.go", "devicememory.go", "proof.go", "transfer.go", "vulkan.go"},
		".sumSubgroups()":     {"choice.go", "linear_one.go"},
		".SubgroupArithmetic": {"choice.go", "limits.go"},
	} {
		for _, name := range files {
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(string(text), what) && !strings.HasSuffix(name, "_test.go") && !slices.Contains(allowed, name) {
				t.Errorf("%s asks for %s, as only %v did: which devices must run its op now?", name, what, allowed)
			}
		}
	}
}

func noSubgroups(l *Limits) { l.SubgroupArithmetic = false }

// TestKernels holds every family of shaders to the conformance suite.
func TestKernels(t *testing.T) {
	t.Parallel()
	for _, f := range families {
		t.Run(f.name, func(t *testing.T) { conform(t, f.driver, f.clamp, f.groups) })
	}
}
