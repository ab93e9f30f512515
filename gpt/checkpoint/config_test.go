package checkpoint

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"caldera/gpt/model"
)

const small = `"n_layer": 2, "n_head": 3, "n_embd": 60, "n_positions": 40, "vocab_size": 1003`

func TestReadConfig(t *testing.T) {
	want := model.Config{Family: "gpt2", Layers: 2, Heads: 3, Width: 60, Inner: 240, Context: 40, Vocab: 1003, Epsilon: 1e-5, TieEmbeddings: true}.Complete()
	with := func(change func(*model.Config)) model.Config {
		c := want
		change(&c)
		return c
	}
	for _, test := range []struct {
		name, config, generation string
		want                     model.Config
	}{
		{"defaults", `{"model_type": "gpt2", ` + small + `}`, "", want},
		{"by class", `{"architectures": ["Other", "GPT2LMHeadModel"], ` + small + `}`, "", want},
		{"without a head", `{"architectures": ["GPT2Model"], ` + small + `}`, "", want},
		{"null", `{"model_type": "gpt2", "n_inner": null, "bos_token_id": null, "eos_token_id": null, "architectures": null, ` + small + `}`, "", want},
		{"all", `{"model_type": "gpt2", "architectures": ["GPT2LMHeadModel"], "n_inner": 100, "n_ctx": 40, "layer_norm_epsilon": 1e-6,
			"activation_function": "gelu_pytorch_tanh", "tie_word_embeddings": false, "bos_token_id": 1, "eos_token_id": [2, 3],
			"scale_attn_weights": true, "scale_attn_by_inverse_layer_idx": false, "reorder_and_upcast_attn": false, "add_cross_attention": false,
			"task_specific_params": {"text-generation": {"do_sample": true}}, ` + small + `}`, "",
			with(func(c *model.Config) {
				c.Inner, c.Epsilon, c.TieEmbeddings, c.BOS, c.EOS = 100, 1e-6, false, []int{1}, []int{2, 3}
			})},
		{"n_ctx alone", `{"model_type": "gpt2", "n_ctx": 7, "n_layer": 2, "n_head": 3, "n_embd": 60, "vocab_size": 1003}`, "",
			with(func(c *model.Config) { c.Context = 7 })},
		// https://huggingface.co/learn/nlp-course/en/chapter7/6 makes such files.
		{"another n_ctx", `{"model_type": "gpt2", "n_ctx": 512, ` + small + `}`, "", with(func(c *model.Config) {})},
		{"n_ctx that is no number", `{"model_type": "gpt2", "n_ctx": "long", ` + small + `}`, "", with(func(c *model.Config) {})},
		{"general names", `{"model_type": "gpt2", "num_hidden_layers": 2, "num_attention_heads": 3, "hidden_size": 60,
			"max_position_embeddings": 40, "vocab_size": 1003}`, "", with(func(c *model.Config) {})},
		{"general names beside others", `{"model_type": "gpt2", "max_position_embeddings": 7, ` + small + `}`, "", with(func(c *model.Config) { c.Context = 7 })},
		{"what does not bind", `{"model_type": "gpt2", "n_inner": null, "attn_pdrop": 0.5, "resid_pdrop": null, "embd_pdrop": "x", "dtype": "bfloat16",
			"torch_dtype": "float16", "summary_type": "mean", "summary_use_proj": false, "reorder_and_upcast_attn": true,
			"scale_attn_by_inverse_layer_idx": null, "add_cross_attention": null, "use_cache": false, "layer_types": [], ` + small + `}`, "",
			with(func(c *model.Config) {})},
		{"GELU by another name", `{"model_type": "gpt2", "activation_function": "gelu_fast", ` + small + `}`, "", with(func(c *model.Config) {})},
		{"another head", `{"architectures": ["GPT2DoubleHeadsModel"], ` + small + `}`, "", with(func(c *model.Config) {})},
		{"Flax", `{"architectures": ["FlaxGPT2LMHeadModel"], ` + small + `}`, "", with(func(c *model.Config) {})},
		{"ids beyond the vocabulary", `{"model_type": "gpt2", "bos_token_id": 50256, "eos_token_id": [50256, 5], ` + small + `}`, "",
			with(func(c *model.Config) { c.EOS = []int{5} })},
		{"generation_config.json", `{"model_type": "gpt2", "bos_token_id": 1, "eos_token_id": 2, ` + small + `}`,
			`{"eos_token_id": [4, 5], "bos_token_id": null, "temperature": 0.7}`,
			with(func(c *model.Config) { c.BOS, c.EOS = []int{1}, []int{4, 5} })},
		{"generation_config.json of another vocabulary", `{"model_type": "gpt2", "bos_token_id": 1, "eos_token_id": 2, ` + small + `}`,
			`{"bos_token_id": 50256, "eos_token_id": [50256, 50257]}`,
			with(func(c *model.Config) { c.BOS, c.EOS = []int{1}, []int{2} })},
	} {
		t.Run(test.name, func(t *testing.T) {
			fsys := fstest.MapFS{"config.json": {Data: []byte(test.config)}}
			if test.generation != "" {
				fsys["generation_config.json"] = &fstest.MapFile{Data: []byte(test.generation)}
			}
			got, err := ReadConfig(fsys)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestReadConfigReference(t *testing.T) {
	got, err := ReadConfig(os.DirFS("../testdata/gpt2-tiny"))
	if err != nil {
		t.Fatal(err)
	}
	want := model.Config{Family: "gpt2", Layers: 3, Heads: 4, Width: 64, Inner: 256, Context: 64, Vocab: 257, Epsilon: 1e-5, TieEmbeddings: true, BOS: []int{256}, EOS: []int{256}}.Complete()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// badConfigs are what stands in config.json, and what the error must contain.
var badConfigs = []struct{ name, text, want string }{
	{"empty", "", "invalid JSON"},
	{"array", "[]", "found a JSON array, expected an object"},
	{"not UTF-8", "{\"\xff\": 1}", "not UTF-8"},
	{"deep", `{"a":` + strings.Repeat("[", 100), "deeper than 32 levels"},
	{"twice", `{"model_type": "gpt2", "model_type": "gpt2", ` + small + `}`, `key "model_type" stands there twice`},
	{"long", "{" + strings.Repeat(" ", maxConfigSize) + "}", "found more than 4194304 bytes"},
	{"no architecture", `{` + small + `}`, "unknown architecture: found neither model_type nor architectures, expected"},
	{"another type", `{"model_type": "bert", "architectures": ["GPT2Model"], ` + small + `}`, `unknown architecture: found model_type "bert", expected one of model_type "gemma2", "gemma3_text", "gpt2"`},
	{"another class", `{"architectures": ["BertModel"], ` + small + `}`, `unknown architecture: found architectures ["BertModel"], expected`},
	{"type is a number", `{"model_type": 2, ` + small + `}`, "model_type: found 2, expected a string"},
	{"classes are a string", `{"architectures": "GPT2Model", ` + small + `}`, "architectures: found"},
	{"letter case", `{"model_type": "gpt2", "N_LAYER": 2, "n_head": 3, "n_embd": 60, "n_positions": 40, "vocab_size": 1003}`, "n_layer: missing"},
	{"null", `{"model_type": "gpt2", "n_layer": null, "n_head": 3, "n_embd": 60, "n_positions": 40, "vocab_size": 1003}`, "n_layer: missing"},
	{"no context", `{"model_type": "gpt2", "n_layer": 2, "n_head": 3, "n_embd": 60, "vocab_size": 1003}`, "n_positions: missing, expected a whole number"},
	{"fraction", `{"model_type": "gpt2", "n_inner": 1.5, ` + small + `}`, "n_inner: found 1.5, expected a whole number"},
	{"zero", `{"model_type": "gpt2", "n_inner": 0, ` + small + `}`, "n_inner: found 0, expected 1 or more"},
	{"overflow", `{"model_type": "gpt2", "n_inner": 18446744073709551616, ` + small + `}`, "n_inner: found 18446744073709551616"},
	{"large", `{"model_type": "gpt2", "n_inner": 4611686018427387904, ` + small + `}`, "n_inner: found 4611686018427387904, expected 1 to 1048576"},
	{"large width", `{"model_type": "gpt2", "n_layer": 2, "n_head": 1, "n_embd": 4611686018427387904, "n_positions": 40, "vocab_size": 1003}`, "n_embd: found 4611686018427387904, expected 1 to 131072"},
	{"string", `{"model_type": "gpt2", "n_inner": "8", ` + small + `}`, `n_inner: found "8", expected a whole number`},
	{"epsilon", `{"model_type": "gpt2", "layer_norm_epsilon": 0, ` + small + `}`, "layer_norm_epsilon: found 0"},
	{"epsilon overflows", `{"model_type": "gpt2", "layer_norm_epsilon": 1e999, ` + small + `}`, "layer_norm_epsilon: found 1e999, expected a number"},
	{"not causal", `{"model_type": "gpt2", "is_causal": false, ` + small + `}`, "is_causal: found false, which is not supported, expected true"},
	{"tie", `{"model_type": "gpt2", "tie_word_embeddings": 1, ` + small + `}`, "tie_word_embeddings: found 1, expected true or false"},
	{"tanh", `{"model_type": "gpt2", "activation_function": "tanh", ` + small + `}`, `activation_function: found "tanh", which is not supported, expected "gelu_new" or "gelu_pytorch_tanh" or`},
	{"control characters", `{"model_type": "gpt2", "activation_function": "` + "\u009b31m" + `", ` + small + `}`, `activation_function: found "\u009b31m"`},
	{"a general name that is no number", `{"model_type": "gpt2", "hidden_size": "x", ` + small + `}`, `hidden_size: found "x", expected a whole number`},
	{"clipped GELU", `{"model_type": "gpt2", "activation_function": "gelu_10", ` + small + `}`, `activation_function: found "gelu_10"`},
	{"a scale", `{"model_type": "gpt2", "scale_attn_weights": 0.5, ` + small + `}`, "scale_attn_weights: found 0.5, which is not supported, expected false or true"},
	{"scale by layer", `{"model_type": "gpt2", "scale_attn_by_inverse_layer_idx": "yes", ` + small + `}`, `scale_attn_by_inverse_layer_idx: found "yes", expected true or false`},
	{"cross attention", `{"model_type": "gpt2", "add_cross_attention": true, ` + small + `}`, "add_cross_attention: found true"},
	{"negative id", `{"model_type": "gpt2", "eos_token_id": -1, ` + small + `}`, "eos_token_id: found -1, expected a token id"},
	{"fractional id", `{"model_type": "gpt2", "bos_token_id": 1.5, ` + small + `}`, "bos_token_id: found 1.5"},
	{"null among ids", `{"model_type": "gpt2", "eos_token_id": [1, null], ` + small + `}`, "eos_token_id: found null"},
	{"many ids", `{"model_type": "gpt2", "eos_token_id": [` + strings.Repeat("1,", 64) + `1], ` + small + `}`, "eos_token_id: found 65 ids, expected at most 64"},
}

func TestReadConfigRejects(t *testing.T) {
	for _, test := range badConfigs {
		t.Run(test.name, func(t *testing.T) {
			_, err := ReadConfig(fstest.MapFS{"config.json": {Data: []byte(test.text)}})
			if err == nil || !strings.HasPrefix(err.Error(), "config.json: ") || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want one that begins with config.json and has %q", err, test.want)
			}
		})
	}
	if _, err := ReadConfig(fstest.MapFS{}); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "config.json") {
		t.Errorf("no config.json: %v", err)
	}
	for _, text := range []string{"", "{", `{"eos_token_id": "x"}`} {
		_, err := ReadConfig(fstest.MapFS{
			"config.json":            {Data: []byte(`{"model_type": "gpt2", ` + small + `}`)},
			"generation_config.json": {Data: []byte(text)},
		})
		if err == nil || !strings.HasPrefix(err.Error(), "generation_config.json: ") {
			t.Errorf("generation_config.json of %q: %v", text, err)
		}
	}
}

// Whatever is accepted is a shape that can be computed with.
func FuzzReadConfig(f *testing.F) {
	for _, bad := range badConfigs {
		if len(bad.text) < 10_000 {
			f.Add([]byte(bad.text), []byte(`{}`))
		}
	}
	if families, err := filepath.Glob("../testdata/*/config.json"); err != nil || len(families) == 0 {
		f.Fatal(families, err)
	} else {
		for _, path := range families {
			text, err := os.ReadFile(path)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(text, []byte(`{}`))
		}
	}
	f.Add([]byte(`{"model_type": "gpt2", "eos_token_id": [2, 3], `+small+`}`), []byte(`{"eos_token_id": 7, "bos_token_id": [1, 2000]}`))
	f.Fuzz(func(t *testing.T, config, generation []byte) {
		c, err := ReadConfig(fstest.MapFS{"config.json": {Data: config}, "generation_config.json": {Data: generation}})
		if err != nil {
			return
		}
		if err := c.Validate(); err != nil {
			t.Fatalf("accepted %+v, which is invalid: %v", c, err)
		}
		weights := c.Parameters()
		for _, m := range c.Matrices() {
			if m.Weights() < 0 || m.Weights() > weights {
				t.Fatalf("%+v: %s has %d weights of %d", c, m.Kind, m.Weights(), weights)
			}
		}
		if weights < 1 || weights > 1<<41 {
			t.Fatalf("%+v has %d weights", c, weights)
		}
		for _, id := range append(c.BOS, c.EOS...) {
			if id < 0 || id >= c.Vocab {
				t.Fatalf("token %d in a vocabulary of %d", id, c.Vocab)
			}
		}
	})
}
