package checkpoint_test

import (
	"errors"
	"math"
	"path/filepath"
	"slices"
	"testing"

	"caldera/backend"
	"caldera/gpt"
	"caldera/gpt/checkpoint"
	"caldera/gpt/model"
	"caldera/gpt/tokenizer"
	"caldera/internal/gpttest"
)

var randomConfig = model.Config{
	Family: "gpt2", Layers: 8, Heads: 4, Width: 64, Inner: 256, Context: 100, Vocab: 300, Epsilon: 1e-5, TieEmbeddings: false,
}

func random(t *testing.T, b backend.Backend, o gpt.LoadOptions, seed uint64) *model.Model {
	t.Helper()
	m, err := gpt.Random(t.Context(), b, randomConfig, o, seed)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

// TestRandomDistribution holds each kind of weight to the standard deviation
// that it should have; an estimate from n numbers is off by 1/√(2n).
func TestRandomDistribution(t *testing.T) {
	b := gpttest.OpenCPU(t)
	m := random(t, b, gpt.LoadOptions{}, 1)
	residual := 0.02 / math.Sqrt(2*8)
	x := gpttest.GPT2(m).Blocks[3]
	for _, c := range []struct {
		name    string
		weights backend.Tensor
		mean    float64
		std     float64
	}{
		{"tokens", gpttest.GPT2(m).Tokens, 0, 0.02},
		{"positions", gpttest.GPT2(m).Positions, 0, 0.02},
		{"head", model.Head(m).W, 0, 0.02},
		{"query, key and value", x.QKV.W, 0, 0.02},
		{"attention's output", x.Out.W, 0, residual},
		{"up", x.Up.W, 0, 0.02},
		{"down", x.Down.W, 0, residual},
		{"a bias", x.Down.Bias, 0, 0},
		{"a norm's scale", x.Norm2.Gamma, 1, 0},
		{"a norm's shift", x.Norm2.Beta, 0, 0},
		{"the last norm's scale", gpttest.GPT2(m).Norm.Gamma, 1, 0},
	} {
		values := gpttest.Floats(t, b, gpttest.Compact(t, b, c.weights))
		n := float64(len(values))
		mean, std := 0.0, 0.0
		for _, v := range values {
			mean += float64(v) / n
		}
		for _, v := range values {
			std += (float64(v) - mean) * (float64(v) - mean) / n
		}
		std = math.Sqrt(std)
		if math.Abs(mean-c.mean) > 5*c.std/math.Sqrt(n) || math.Abs(std-c.std) > 5*c.std/math.Sqrt(2*n) {
			t.Errorf("%s: mean %.5f, standard deviation %.5f; expected %v and %.5f", c.name, mean, std, c.mean, c.std)
		}
	}
}

func TestRandomSeeds(t *testing.T) {
	b := gpttest.OpenCPU(t)
	values := func(b backend.Backend, o gpt.LoadOptions, seed uint64) (all []float32) {
		for _, x := range weights(random(t, b, o, seed)) {
			all = append(all, gpttest.Floats(t, b, gpttest.Compact(t, b, x))...)
		}
		return all
	}
	one := values(b, gpt.LoadOptions{}, 1)
	if !slices.Equal(one, values(b, gpt.LoadOptions{}, 1)) {
		t.Error("seed 1 gave other weights the second time")
	}
	if !slices.Equal(one, values(gpttest.DeviceOf(b), gpt.LoadOptions{}, 1)) {
		t.Error("seed 1 gives other weights on a device")
	}
	if slices.Equal(one, values(b, gpt.LoadOptions{}, 2)) {
		t.Error("seeds 1 and 2 gave the same weights")
	}
	gpttest.CheckNear(t, "the same weights in f16", values(b, gpt.LoadOptions{DType: backend.F16}, 1), one, 1e-3)

	// No two matrices of a model are alike.
	m := random(t, b, gpt.LoadOptions{}, 1)
	a := gpttest.Floats(t, b, gpttest.Compact(t, b, gpttest.GPT2(m).Blocks[0].Up.W))
	if slices.Equal(a, gpttest.Floats(t, b, gpttest.Compact(t, b, gpttest.GPT2(m).Blocks[1].Up.W))) {
		t.Error("two layers have the same weights")
	}
}

func TestRandomErrors(t *testing.T) {
	b := gpttest.OpenCPU(t)
	config := randomConfig
	config.Heads = 5
	_, err := gpt.Random(t.Context(), b, config, gpt.LoadOptions{}, 1)
	gpttest.WantError(t, err, "n_embd", "multiple of n_head")
	if _, err := gpt.Random(t.Context(), gpttest.DeviceOf(gpttest.FullAfter(b, 3)), randomConfig, gpt.LoadOptions{}, 1); err == nil {
		t.Error("there was memory for three tensors, and no error")
	} else {
		gpttest.WantError(t, err, "tensor \"h.0.ln_1.bias\"", "out of memory")
	}
	if n := b.InUse(); n != 0 {
		t.Errorf("%d buffers were left behind", n)
	}
}

// TestRandomCheckpoint sees that what is saved is what Random makes.
func TestRandomCheckpoint(t *testing.T) {
	b := gpttest.OpenCPU(t)
	c, err := checkpoint.Random(randomConfig, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Tokenizer(); !errors.Is(err, tokenizer.ErrNone) {
		t.Errorf("its tokenizer: %v, expected that there is none", err)
	}
	tok, err := tokenizer.New(tokenizer.Vocabulary{Tokens: []string{"a", "b"}})
	if err != nil {
		t.Fatal(err)
	}
	c.SetTokenizer(tok)
	path := filepath.Join(t.TempDir(), "random.gguf")
	if err := c.SaveGGUF(t.Context(), path, checkpoint.SaveOptions{DType: backend.F32}); err != nil {
		t.Fatal(err)
	}
	saved, err := checkpoint.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if tok, err := saved.Tokenizer(); err != nil || tok.VocabSize() != 2 {
		t.Errorf("the tokenizer that was set is not in the file: %v", err)
	}
	m, err := gpt.LoadCheckpoint(t.Context(), b, saved, gpt.LoadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	want, got := weights(random(t, b, gpt.LoadOptions{}, 1)), weights(m)
	for i := range want {
		if !slices.Equal(gpttest.Floats(t, b, gpttest.Compact(t, b, want[i])), gpttest.Floats(t, b, gpttest.Compact(t, b, got[i]))) {
			t.Errorf("weights %d are not those of Random", i)
		}
	}
	bad := randomConfig
	bad.Heads = 5
	if _, err := checkpoint.Random(bad, 1); err == nil {
		t.Error("a shape that no model can have made no error")
	}
}
