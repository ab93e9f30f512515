package gpt_test

import (
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"

	"caldera/backend"
	"caldera/gpt"
	"caldera/gpt/checkpoint"
	"caldera/internal/gpttest"
)

// TestLoRAOverflow: finite numbers whose product or multiple is none are refused, by their name, and nothing is written.
func TestLoRAOverflow(t *testing.T) {
	const base, q = "testdata/llama-grouped", "model.layers.0.self_attn.q_proj"
	large := func(a, b float32) string {
		return writeAdapter(t, map[string]any{"r": 1, "lora_alpha": 1}, map[string][][]float32{q + ".lora_A": matrix(48, a), q + ".lora_B": matrix(1, slices.Repeat([]float32{b}, 48)...)})
	}
	path := large(3e30, 3e30)
	c := gpttest.OpenCheckpoint(t, base)
	for _, d := range []backend.DType{backend.F32, backend.F16, backend.BF16, backend.Q8_0} {
		o := checkpoint.SaveOptions{DType: d, Warn: func(string) {}, Adapters: []*checkpoint.Adapter{openAdapter(t, path, 1)}}
		dir, file := filepath.Join(t.TempDir(), "merged"), filepath.Join(t.TempDir(), "merged.gguf")
		if !d.Quantized() {
			gpttest.WantError(t, c.SaveDir(t.Context(), dir, o), q+".weight", path, "[0 0]", "+Inf", "expected a finite number")
		}
		gpttest.WantError(t, c.SaveGGUF(t.Context(), file, o), q+".weight", path, "[0 0]", "+Inf", "expected a finite number")
		for _, written := range []string{dir, file} {
			if _, err := os.Stat(written); err == nil {
				t.Errorf("%v: %s was written", d, written)
			}
		}
	}
	b := gpttest.OpenCPU(t)
	path = large(1e30, 1)
	_, err := gpt.Load(t.Context(), b, base, gpt.LoadOptions{Adapters: []*checkpoint.Adapter{openAdapter(t, path, 1e20)}})
	gpttest.WantError(t, err, path, q+".lora_A.weight", "[0 0]", "scale", "1e+20")
	loadAdapted(t, b, base, gpt.LoadOptions{Adapters: []*checkpoint.Adapter{openAdapter(t, path, 1e8)}})
}

// watched is a backend that notes the most memory of the program that was in use at a read.
type watched struct {
	backend.Backend
	most uint64
}

func (b *watched) Read(dst []byte, from backend.Buffer, at int) error {
	b.most = max(b.most, heap())
	return b.Backend.Read(dst, from, at)
}

func heap() uint64 {
	var s runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&s)
	return s.HeapAlloc
}

// TestSaveAdapterMemory: saving has a tensor in memory at a time, however many there are.
func TestSaveAdapterMemory(t *testing.T) {
	const base = "testdata/llama-grouped"
	l := checkpoint.LoRA{Rank: 2048, Alpha: 8, Targets: []string{checkpoint.AllLinear}}
	a, err := checkpoint.NewAdapter(gpttest.OpenCheckpoint(t, base).Config, l, 7)
	if err != nil {
		t.Fatal(err)
	}
	m := loadAdapted(t, gpttest.OpenCPU(t), base, gpt.LoadOptions{Train: true, Adapters: []*checkpoint.Adapter{a}})
	total, largest := 0, 0
	for _, w := range m.Trained() {
		total += w.Tensor.Size()
		largest = max(largest, w.Tensor.Size())
	}
	b := &watched{Backend: m.Backend}
	m.Backend = b
	before := heap()
	dir := t.TempDir()
	err = checkpoint.SaveAdapter(dir, m, l)
	m.Backend = b.Backend
	if err != nil {
		t.Fatal(err)
	}
	if took := int64(b.most) - int64(before); b.most == 0 || took > int64(3*largest) || total < 10*largest {
		t.Errorf("saving took %d bytes, expected at most %d, thrice the largest tensor of %d bytes in all", took, 3*largest, total)
	}
}
