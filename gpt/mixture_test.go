package gpt_test

import (
	"path/filepath"
	"testing"

	"caldera/backend"
	"caldera/gpt"
	"caldera/gpt/checkpoint"
	"caldera/gpt/model"
	"caldera/internal/devicetest"
	"caldera/internal/gpttest"
)

// TestBlocksOfEveryType reads GGUF files whose matrices are blocks of one type, or of several as mixtures have
// them, and wants of each device the scores of the same weights in f32, for a prompt and for one token.
func TestBlocksOfEveryType(t *testing.T) {
	family, err := model.FamilyOf("llama")
	if err != nil {
		t.Fatal(err)
	}
	config := model.Config{Family: "llama", Layers: 2, Heads: 4, KVHeads: 2, Width: 256, Inner: 256, Context: 64, Vocab: 80, TieEmbeddings: true,
		Epsilon: 1e-5, Settings: family.Defaults().Settings}
	source, err := checkpoint.Random(config, 5)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range append(backend.QuantizedDTypes(), backend.Q4_K_M) {
		if d == backend.Q8_0 || d == backend.Q4_0 {
			continue // other tests have them
		}
		path := filepath.Join(t.TempDir(), d.String()+".gguf")
		if err := source.SaveGGUF(t.Context(), path, checkpoint.SaveOptions{DType: d}); err != nil {
			t.Fatal(err)
		}
		load := func(b backend.Backend, o gpt.LoadOptions) *model.Model {
			o.Activations = backend.F32
			m, err := gpt.Load(t.Context(), b, path, o)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { m.Close() })
			return m
		}
		ids := manyIDs(20, config.Vocab)
		wide := load(gpttest.OpenCPU(t), gpt.LoadOptions{DType: backend.F32})
		want, one := gpttest.Feed(t, wide, ids...), gpttest.Feed(t, wide, ids[:1]...)
		each := devicetest.Each
		if d != backend.Q4_K_M && d != backend.MXFP4 { // for each type a device compiles its kernels anew
			each = func(t *testing.T, test func(t *testing.T, b backend.Backend)) { test(t, gpttest.OpenCPU(t)) }
		}
		each(t, func(t *testing.T, b backend.Backend) {
			m := load(b, gpt.LoadOptions{})
			if most, _ := d.Mixture(); m.DType() != most {
				t.Errorf("%v: matrices are kept as %v", d, m.DType())
			}
			// Keys and values are f16 beside blocks.
			if far := max(distance(gpttest.Feed(t, m, ids...), want), distance(gpttest.Feed(t, m, ids[:1]...), one)); far > 5e-3 {
				t.Errorf("%v: scores are off by %.2g", d, far)
			}
		})
	}
}
