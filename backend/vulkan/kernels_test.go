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
// Real GPUs are simulated by a software driver that does not say what it is. SwiftShader compiles a
// kernel sooner than lavapipe.
var families = []conforming{
	// Shared memory, subgroups, integer dot products, conversions of integers.
	{name: "gpu", driver: swiftshader, clamp: func(l *Limits) { gpu(l); dots(l) }, part: first},
	// And loops over workgroups, large tiles, and memory of which the host must flush what it writes.
	{name: "played-gpu", driver: swiftshader, clamp: func(l *Limits) { gpu(l); fewGroups(l); largeTiles(l); l.Vendor = nvidia }, incoherent: true, part: second},
	// Shared memory alone.
	{name: "gpu-plain", driver: swiftshader, clamp: func(l *Limits) { gpu(l); noSubgroups(l) }, part: third},
	// All ops in pieces, 128 invocations.
	{name: "small-gpu", driver: swiftshader, clamp: func(l *Limits) { small(l); gpu(l) }, part: fourth},
	// Subgroups of 8.
	{name: "gpu-lavapipe", driver: lavapipe, clamp: gpu, groups: []string{"model"}},
	// Texels, no subgroups.
	{name: "texel-plain", driver: swiftshader, clamp: noSubgroups, part: first, groups: products},
	// The kernels of lavapipe, with loops over workgroups, and staging buffers that must be flushed.
	{name: "played-texel", driver: lavapipe, clamp: func(l *Limits) { staged(l); fewGroups(l) }, incoherent: true, part: first},
	// Pieces with texels.
	{name: "small-texel", driver: swiftshader, clamp: func(l *Limits) { l.BindingRange, l.BindingAlign = 256<<10, 256 }, part: second,
		groups: append(slices.Clone(products), "linear_backward", "attention", "attention_backward", "layernorm")},
}

// products are the groups in which linear.go chooses kernels.
var products = []string{"linear", "model"}

// TestLeftOut holds groups that devices leave out to what it rests on: that only
// kernels of those that they have differ from the kernels of other devices.
func TestLeftOut(t *testing.T) {
	for _, v := range shaders.Variants {
		if slices.Contains(v.Defines, "SUBGROUP") && !slices.Contains([]string{"linear_vec", "linear_one", "linear_lanes", "linear_rows", "linear_spread"}, v.Source) && !strings.HasPrefix(v.Source, "attention_") {
			t.Errorf("%s: with subgroups there are more kernels than linear's, and attention's on GPUs: add its op to the groups of texel-plain", v.Name())
		}
		if slices.Contains(v.Defines, "TEXEL") && !strings.HasPrefix(v.Source, "linear") && !strings.HasPrefix(v.Source, "attention") && v.Source != "layernorm" {
			t.Errorf("%s: texels are read by more kernels than linear's, attention's and layernorm's: add its op to the groups of small-texel", v.Name())
		}
	}
	files, err := filepath.Glob("*.go")
	if err != nil || len(files) < 20 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for what, allowed := range map[string][]string{
		// The families gpu and small-gpu run attention's kernels with subgroups. A software driver without them runs
		// attention.comp, as drivers with them do where attention_spread.comp does not fit.
		".SubgroupShuffle": {"attention_wide.go", "choice.go", "limits.go", "linear_one.go"},
		// A device with staging memory runs the kernels of others. Every device runs proof.go when it is opened.
		".Unified":            {"buffer.go", "devicememory.go", "proof.go", "transfer.go", "vulkan.go"},
		".sumSubgroups()":     {"attention_wide.go", "choice.go", "linear_one.go"},
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
func TestKernels(t *testing.T) { conformAll(t, families) }
