//go:build cgo

package vulkan

import (
	"slices"
	"testing"

	"caldera/backend"
	"caldera/shaders"
)

// TestDTypes holds the shaders' list of storage types to the table of dtypes, which
// package shaders does not know.
func TestDTypes(t *testing.T) {
	var want []string
	for _, d := range backend.DTypes(backend.Weights | backend.Caches | backend.Activations) {
		if d != backend.F32 {
			want = append(want, d.FileName())
		}
	}
	have := shaders.DTypes()
	slices.Sort(want)
	slices.Sort(have)
	if !slices.Equal(have, want) {
		t.Errorf("shaders have the types %v, package backend %v: a dtype has a file in both", have, want)
	}
}
