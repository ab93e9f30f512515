package model

import (
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// gpt3 is the shape of GPT-3 175B.
func gpt3() Config {
	c, err := Shape("gpt3")
	if err != nil {
		panic(err)
	}
	return c
}

func TestParameters(t *testing.T) {
	for name, want := range map[string]int{
		"gpt2":        124_439_808,
		"gpt2-medium": 354_823_168,
		"gpt2-large":  774_030_080,
		"gpt2-xl":     1_557_611_200,
		"nanogpt":     809_856,
	} {
		c, err := Shape(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Validate(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if got := c.Parameters(); got != want {
			t.Errorf("%s has %d weights, want %d", name, got, want)
		}
		c.TieEmbeddings = false
		if got, want := c.Parameters(), want+c.Vocab*c.Width; got != want {
			t.Errorf("%s with an unembedding of its own has %d weights, want %d", name, got, want)
		}
	}
	if _, err := Shape("gpt9"); err == nil || !strings.HasPrefix(err.Error(), `unknown shape: found "gpt9", expected one of gemma-2-2b, gemma-3-1b, gpt2, gpt2-medium, gpt2-large, gpt2-xl, gpt3, nanogpt`) {
		t.Errorf("Shape of an unknown model: %v", err)
	}
}

func TestMatrices(t *testing.T) {
	if err := gpt3().Validate(); err != nil {
		t.Error(err)
	}
	want := []Matrix{
		{"Embedding", 1, 12288, 50257},
		{"Key", 96 * 96, 128, 12288},
		{"Query", 96 * 96, 128, 12288},
		{"Value", 96 * 96, 128, 12288},
		{"Output", 96, 12288, 12288},
		{"Up-projection", 96, 49152, 12288},
		{"Down-projection", 96, 12288, 49152},
		{"Unembedding", 1, 50257, 12288},
	}
	if diff := cmp.Diff(want, gpt3().Matrices()); diff != "" {
		t.Errorf("GPT-3's matrices (-want +got):\n%s", diff)
	}
	count, weights := 0, 0
	for _, m := range gpt3().Matrices() {
		count += m.Count
		weights += m.Weights()
	}
	if count != 27_938 || weights != 175_181_291_520 {
		t.Errorf("GPT-3 has %d weights in %d matrices, want 175,181,291,520 in 27,938", weights, count)
	}
}

func TestValidate(t *testing.T) {
	good, err := Shape("gpt2")
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		change func(*Config)
		want   string
	}{
		{func(c *Config) { *c = Config{} }, `unknown family: found "", expected one of gemma2, gemma3_text, gpt2, gpt_neox, gpt_oss, llama, `},
		{func(c *Config) { *c = Config{Family: "gpt2"} }, "n_layer: found 0, expected 1 to 4096"},
		{func(c *Config) { c.Layers = -1 }, "n_layer: found -1"},
		{func(c *Config) { c.Heads = math.MaxInt }, "n_head: found"},
		{func(c *Config) { c.Width = 1 << 18 }, "n_embd: found 262144, expected 1 to 131072"},
		{func(c *Config) { c.Heads, c.KVHeads, c.HeadSize = 7, 0, 0; *c = c.Complete() }, "n_embd: found 768, expected a multiple of n_head, which is 7"},
		{func(c *Config) { c.Inner = 0 }, "n_inner: found 0"},
		{func(c *Config) { c.Context = 0 }, "n_positions: found 0"},
		{func(c *Config) { c.Vocab = math.MinInt }, "vocab_size: found"},
		{func(c *Config) { c.Epsilon = 0 }, "layer_norm_epsilon: found 0"},
		{func(c *Config) { c.Epsilon = math.NaN() }, "layer_norm_epsilon: found NaN"},
		{func(c *Config) { c.Epsilon = math.Inf(1) }, "layer_norm_epsilon: found +Inf"},
		{func(c *Config) {
			c.Layers, c.Width, c.Inner, c.Heads = 4096, 1<<17, 1<<20, 1
			c.KVHeads, c.HeadSize = 1, 1<<17
		}, "shape too large: found"},
		{func(c *Config) {
			c.Layers, c.Width, c.Heads, c.Context = 4096, 1024, 1, 1<<20
			c.KVHeads, c.HeadSize = 1, 1024
		}, "a KV cache of"},
		{func(c *Config) { c.BOS = []int{50257} }, "bos_token_id: found 50257, expected 0 to 50256"},
		{func(c *Config) { c.EOS = []int{1, -1} }, "eos_token_id: found -1"},
		{func(c *Config) { c.EOS = make([]int, 65) }, "eos_token_id: found 65 ids"},
	} {
		c := good
		test.change(&c)
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("error %v, want one with %q", err, test.want)
		}
	}
}
