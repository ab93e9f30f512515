package gpttest

import (
	"encoding/binary"
	"path/filepath"
	"testing"

	"caldera/gpt/checkpoint/safetensors"
)

// References are checkpoints of gpt/testdata with the figures that PyTorch computed
// for them in float64; the README there tells how they are made.
var References = []string{
	"gpt2-tiny", "gpt2-odd", "gpt2-one", "gpt2-batch", "llama-grouped", "llama-odd", "llama-three", "llama-linear",
}

// FamilyReferences are of the families beside GPT-2 and Llama. They have no figures of
// what inspect shows, and none of mixed precision.
var FamilyReferences = []string{
	"mistral", "smollm3", "qwen2", "qwen3", "qwen2-window", "qwen3-window", "smollm3-window", "gemma2", "gemma3", "gemma3-layers", "olmo2", "olmo3", "phi3", "phi3-short", "phi3-long", "neox", "neox-sequential", "gpt-oss", "gpt-oss-mxfp4",
}

// Figures are the tensors of a file that scripts/reference.py wrote: its head says
// what they are.
type Figures struct {
	*safetensors.File
	path string
}

// Expected opens expected.safetensors of a reference checkpoint: what the model
// computes.
func Expected(t *testing.T, dir string) Figures { return openFigures(t, dir, "expected.safetensors") }

// Inspected opens inspect.safetensors of a reference checkpoint: what can be seen
// inside the model.
func Inspected(t *testing.T, dir string) Figures { return openFigures(t, dir, "inspect.safetensors") }

func openFigures(t *testing.T, dir, name string) Figures {
	t.Helper()
	path := filepath.Join(dir, name)
	f, err := safetensors.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return Figures{f, path}
}

func (f Figures) get(t *testing.T, name string, d safetensors.DType) safetensors.Tensor {
	t.Helper()
	x, ok := f.Tensor(name)
	if !ok || x.DType != d {
		t.Fatalf("%s has no %s of type %s", f.path, name, d)
	}
	return x
}

// Shape is that of a tensor; it is nil if there is none of that name.
func (f Figures) Shape(name string) []int {
	x, _ := f.Tensor(name)
	return x.Shape
}

// Floats reads a tensor of float32s.
func (f Figures) Floats(t *testing.T, name string) []float32 {
	t.Helper()
	return Decode(f.get(t, name, safetensors.F32).Data)
}

// Ints reads a tensor of int64s that fit an int32.
func (f Figures) Ints(t *testing.T, name string) []int32 {
	t.Helper()
	x := f.get(t, name, safetensors.I64)
	out := make([]int32, len(x.Data)/8)
	for i := range out {
		out[i] = int32(binary.LittleEndian.Uint64(x.Data[8*i:]))
	}
	return out
}
