//go:build cgo

package vulkan

import (
	"slices"
	"testing"

	"caldera/backend"
	"caldera/shaders"
)

// everyKernel are the dtypes of weights for which all kernels have variants, f32 first.
func everyKernel() []backend.DType {
	return slices.DeleteFunc(backend.DTypes(backend.Weights), func(d backend.DType) bool { return d.Quantized() && !takesEights(d) })
}

// blocksOfEights are those of blocks.
func blocksOfEights() []backend.DType {
	return slices.DeleteFunc(everyKernel(), func(d backend.DType) bool { return !d.Quantized() })
}

// blocksOfRuns are those of blocks that are read in runs.
func blocksOfRuns() []backend.DType {
	return slices.DeleteFunc(backend.QuantizedDTypes(), func(d backend.DType) bool { return !takesRuns(d) })
}

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
