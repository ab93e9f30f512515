package gpt_test

import (
	"encoding/json"
	"maps"
	"math"
	"os"
	"path/filepath"
	"testing"

	"caldera/backend"
	"caldera/gpt"
	"caldera/gpt/model"
	"caldera/internal/devicetest"
	"caldera/internal/gpttest"
)

// unscaled is a reference in a directory of its own, whose config.json has other settings; nil removes one.
func unscaled(t *testing.T, reference string, settings map[string]any) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(filepath.Join("testdata", reference))); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "config.json")
	text, err := os.ReadFile(path)
	config := map[string]any{}
	if err == nil {
		err = json.Unmarshal(text, &config)
	}
	maps.Copy(config, settings)
	if err == nil {
		text, err = json.Marshal(config)
	}
	if err == nil {
		err = os.WriteFile(path, text, 0o666)
	}
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestScaled takes the scaling out of references' config.json, says it in its place, and holds what the
// models compute to PyTorch's figures.
func TestScaled(t *testing.T) {
	devicetest.Each(t, func(t *testing.T, b backend.Backend) {
		load := func(t *testing.T, dir, scaling string, factor float64) *model.Model {
			c := gpttest.OpenCheckpoint(t, dir)
			var err error
			if c.Config, err = c.Config.Scaled(scaling, factor); err != nil {
				t.Fatal(err)
			}
			m, err := gpt.LoadCheckpoint(t.Context(), b, c, gpt.LoadOptions{DType: backend.F32})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { m.Close() })
			return m
		}
		t.Run("yarn", func(t *testing.T) {
			dir := unscaled(t, "qwen2", map[string]any{"rope_parameters": map[string]any{"rope_theta": 10000}, "max_position_embeddings": 16})
			m := load(t, dir, "yarn", 3)
			if m.Context != 48 {
				t.Errorf("a context of %d, expected 3 times 16", m.Context)
			}
			testFamily(t, b, "qwen2", m, tolerances[backend.F32])
		})
		t.Run("linear", func(t *testing.T) {
			dir := unscaled(t, "llama-linear", map[string]any{"rope_scaling": nil, "max_position_embeddings": 6})
			testForward(t, b, "testdata/llama-linear", load(t, dir, "linear", 4), tolerances[backend.F32])
		})
	})
	refused := func(reference, scaling string, factor float64, part string) {
		c := gpttest.OpenCheckpoint(t, filepath.Join("testdata", reference))
		_, err := c.Config.Scaled(scaling, factor)
		gpttest.WantError(t, err, part)
	}
	refused("gpt2-tiny", "yarn", 2, "positions of GPT-2 are learned")
	refused("qwen2", "linear", 2, "the model's files have a scaling of positions, yarn, for its context of 48")
	refused("llama-three", "yarn", 2, "a scaling of positions, llama3")
	refused("phi3-long", "yarn", 2, "a scaling of positions, longrope")
	refused("neox", "dynamic", 2, "rope-scaling=dynamic: expected linear or yarn")
	for _, factor := range []float64{1, 0, -2, math.NaN(), math.Inf(1), 1e30} {
		refused("mistral", "yarn", factor, "expected more than 1, and at most")
	}
	for factor, context := range map[float64]int{1.15: 46, 1.1: 44, 2.3: 92, 2.49: 99, 26214.4: 1 << 20} { // of 40
		if s, err := gpttest.OpenCheckpoint(t, "testdata/mistral").Config.Scaled("linear", factor); err != nil || s.Context != context {
			t.Errorf("%v times 40 are %d positions, expected %d; %v", factor, s.Context, context, err)
		}
	}
	long := model.Config{Family: "llama", Layers: 1, Heads: 1, Width: 8, Context: 100, Vocab: 10, Epsilon: 1e-5}
	if s, err := long.Complete().Scaled("yarn", 1.15); err != nil || s.Context != 115 {
		t.Errorf("1.15 times 100 are %d positions, %v", s.Context, err)
	}
	for _, reference := range []string{"mistral", "neox", "gemma2", "qwen3", "smollm3"} {
		c := gpttest.OpenCheckpoint(t, filepath.Join("testdata", reference)).Config
		if s, err := c.Scaled("yarn", 1.5); err != nil || s.Context != c.Context*3/2 {
			t.Errorf("%s: %d positions, %v", reference, s.Context, err)
		}
	}
}
