package checkpoint_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"caldera/gpt"
	"caldera/gpt/checkpoint"
	"caldera/gpt/checkpoint/safetensors"
	"caldera/gpt/model"
	"caldera/internal/gpttest"
)

// published are config.json as their authors publish them, but for keys that say nothing of
// what the model computes.
var published = map[string]string{
	"TinyLlama": `"model_type": "llama", "hidden_act": "silu", "hidden_size": 2048, "intermediate_size": 5632, "max_position_embeddings": 2048, "num_attention_heads": 32,
		"num_hidden_layers": 22, "num_key_value_heads": 4, "pretraining_tp": 1, "rms_norm_eps": 1e-05, "rope_scaling": null, "tie_word_embeddings": false, "vocab_size": 32000`,
	"Mistral-7B-v0.1": `"model_type": "mistral", "hidden_act": "silu", "hidden_size": 4096, "intermediate_size": 14336, "max_position_embeddings": 32768, "num_attention_heads": 32,
		"num_hidden_layers": 32, "num_key_value_heads": 8, "rms_norm_eps": 1e-05, "rope_theta": 10000.0, "sliding_window": 4096, "tie_word_embeddings": false, "vocab_size": 32000`,
	"Mistral-7B-v0.3": `"model_type": "mistral", "hidden_act": "silu", "hidden_size": 4096, "intermediate_size": 14336, "max_position_embeddings": 32768, "num_attention_heads": 32,
		"num_hidden_layers": 32, "num_key_value_heads": 8, "rms_norm_eps": 1e-05, "rope_theta": 1000000.0, "sliding_window": null, "tie_word_embeddings": false, "vocab_size": 32768`,
	"SmolLM3-3B": `"model_type": "smollm3", "attention_bias": false, "bos_token_id": null, "eos_token_id": 128012, "hidden_act": "silu", "hidden_size": 2048, "intermediate_size": 11008,
		"layer_types": [` + strings.Repeat(`"full_attention", `, 35) + `"full_attention"], "max_position_embeddings": 65536, "max_window_layers": 28, "mlp_bias": false, "no_rope_layer_interval": 4,
		"no_rope_layers": [` + strings.Repeat("1, 1, 1, 0, ", 8) + `1, 1, 1, 0], "num_attention_heads": 16, "num_hidden_layers": 36, "num_key_value_heads": 4, "pretraining_tp": 2,
		"rms_norm_eps": 1e-06, "rope_scaling": null, "rope_theta": 5000000.0, "sliding_window": null, "use_sliding_window": false, "vocab_size": 128256`,
	"Qwen2.5-0.5B": `"model_type": "qwen2", "bos_token_id": 151643, "eos_token_id": 151643, "hidden_act": "silu", "hidden_size": 896, "intermediate_size": 4864, "max_position_embeddings": 32768,
		"max_window_layers": 24, "num_attention_heads": 14, "num_hidden_layers": 24, "num_key_value_heads": 2, "rms_norm_eps": 1e-06, "rope_theta": 1000000.0, "sliding_window": 32768,
		"tie_word_embeddings": true, "use_mrope": false, "use_sliding_window": false, "vocab_size": 151936`,
	"Qwen3-0.6B": `"model_type": "qwen3", "attention_bias": false, "bos_token_id": 151643, "eos_token_id": 151645, "head_dim": 128, "hidden_act": "silu", "hidden_size": 1024,
		"intermediate_size": 3072, "max_position_embeddings": 40960, "max_window_layers": 28, "num_attention_heads": 16, "num_hidden_layers": 28, "num_key_value_heads": 8, "rms_norm_eps": 1e-06,
		"rope_scaling": null, "rope_theta": 1000000, "sliding_window": null, "tie_word_embeddings": true, "use_sliding_window": false, "vocab_size": 151936`,
	"gemma-2-2b": `"model_type": "gemma2", "attention_bias": false, "attn_logit_softcapping": 50.0, "bos_token_id": 2, "cache_implementation": "hybrid", "eos_token_id": 1, "final_logit_softcapping": 30.0,
		"head_dim": 256, "hidden_act": "gelu_pytorch_tanh", "hidden_activation": "gelu_pytorch_tanh", "hidden_size": 2304, "intermediate_size": 9216, "max_position_embeddings": 8192,
		"num_attention_heads": 8, "num_hidden_layers": 26, "num_key_value_heads": 4, "query_pre_attn_scalar": 256, "rms_norm_eps": 1e-06, "rope_theta": 10000.0, "sliding_window": 4096, "vocab_size": 256000`,
	"gemma-3-1b": `"model_type": "gemma3_text", "attention_bias": false, "attn_logit_softcapping": null, "bos_token_id": 2, "cache_implementation": "hybrid", "eos_token_id": [1, 106],
		"final_logit_softcapping": null, "head_dim": 256, "hidden_activation": "gelu_pytorch_tanh", "hidden_size": 1152, "intermediate_size": 6912, "max_position_embeddings": 32768,
		"num_attention_heads": 4, "num_hidden_layers": 26, "num_key_value_heads": 1, "pad_token_id": 0, "query_pre_attn_scalar": 256, "rms_norm_eps": 1e-06, "rope_local_base_freq": 10000,
		"rope_scaling": null, "rope_theta": 1000000, "sliding_window": 512, "sliding_window_pattern": 6, "vocab_size": 262144`,
	"gemma-3-4b": `"architectures": ["Gemma3ForConditionalGeneration"], "model_type": "gemma3", "boi_token_index": 255999, "eos_token_id": [1, 106], "image_token_index": 262144,
		"text_config": {"hidden_size": 2560, "intermediate_size": 10240, "model_type": "gemma3_text", "num_hidden_layers": 34, "rope_scaling": {"factor": 8.0, "rope_type": "linear"}, "sliding_window": 1024},
		"vision_config": {"hidden_size": 1152, "model_type": "siglip_vision_model"}`,
	"OLMo-2-0425-1B": `"model_type": "olmo2", "attention_bias": false, "eos_token_id": 100257, "hidden_act": "silu", "hidden_size": 2048, "intermediate_size": 8192, "max_position_embeddings": 4096,
		"num_attention_heads": 16, "num_hidden_layers": 16, "num_key_value_heads": 16, "rms_norm_eps": 1e-06, "rope_scaling": null, "rope_theta": 500000, "tie_word_embeddings": false, "vocab_size": 100352`,
	"Olmo-3-1025-7B": `"model_type": "olmo3", "attention_bias": false, "eos_token_id": 100257, "hidden_act": "silu", "hidden_size": 4096, "intermediate_size": 11008,
		"layer_types": [` + strings.Repeat(`"sliding_attention", "sliding_attention", "sliding_attention", "full_attention", `, 7) + `"sliding_attention", "sliding_attention", "sliding_attention", "full_attention"],
		"max_position_embeddings": 65536, "num_attention_heads": 32, "num_hidden_layers": 32, "num_key_value_heads": 32, "rms_norm_eps": 1e-06,
		"rope_scaling": {"attention_factor": 1.2079441541679836, "beta_fast": 32, "beta_slow": 1, "factor": 8.0, "original_max_position_embeddings": 8192, "rope_type": "yarn"},
		"rope_theta": 500000, "sliding_window": 4096, "tie_word_embeddings": false, "vocab_size": 100278`,
	"Phi-3-mini-4k": `"model_type": "phi3", "bos_token_id": 1, "eos_token_id": 32000, "hidden_act": "silu", "hidden_size": 3072, "intermediate_size": 8192, "max_position_embeddings": 4096,
		"num_attention_heads": 32, "num_hidden_layers": 32, "num_key_value_heads": 32, "original_max_position_embeddings": 4096, "rms_norm_eps": 1e-05, "rope_scaling": null, "rope_theta": 10000.0,
		"sliding_window": 2047, "tie_word_embeddings": false, "vocab_size": 32064, "attention_bias": false`,
	"Phi-4-mini": `"model_type": "phi3", "bos_token_id": 199999, "eos_token_id": 199999, "full_attn_mod": 1, "hidden_act": "silu", "hidden_size": 3072, "intermediate_size": 8192, "interpolate_factor": 1,
		"lm_head_bias": false, "max_position_embeddings": 131072, "mlp_bias": false, "num_attention_heads": 24, "num_hidden_layers": 32, "num_key_value_heads": 8,
		"original_max_position_embeddings": 4096, "partial_rotary_factor": 0.75, "rms_norm_eps": 1e-05,
		"rope_scaling": {"long_factor": [` + strings.Repeat("1.5, ", 47) + `32], "short_factor": [` + strings.Repeat("1.0, ", 47) + `1.0], "type": "longrope"}, "rope_theta": 10000.0,
		"sliding_window": 262144, "tie_word_embeddings": true, "vocab_size": 200064, "attention_bias": false`,
	"pythia-70m": `"model_type": "gpt_neox", "bos_token_id": 0, "eos_token_id": 0, "hidden_act": "gelu", "hidden_size": 512, "intermediate_size": 2048, "layer_norm_eps": 1e-05,
		"max_position_embeddings": 2048, "num_attention_heads": 8, "num_hidden_layers": 6, "rotary_emb_base": 10000, "rotary_pct": 0.25, "tie_word_embeddings": false, "use_parallel_residual": true, "vocab_size": 50304`,
}

// TestPublished reads config.json of published models. A few settings of each are those that
// a reader would get wrong who takes another family for it.
func TestPublished(t *testing.T) {
	decoder := func(c model.Config) model.DecoderSettings { return *c.Settings.(*model.DecoderSettings) }
	windows := func(c model.Config) (n int) {
		for _, sliding := range decoder(c).Sliding {
			if sliding {
				n++
			}
		}
		return n
	}
	for name, want := range map[string]func(c model.Config) string{
		"TinyLlama":       func(c model.Config) string { return fmt.Sprint(c.HeadSize, c.TieEmbeddings, decoder(c).Theta) },
		"Mistral-7B-v0.1": func(c model.Config) string { return fmt.Sprint(decoder(c).Window, windows(c)) },
		"Mistral-7B-v0.3": func(c model.Config) string { return fmt.Sprint(decoder(c).Window, windows(c)) },
		"SmolLM3-3B":      func(c model.Config) string { return fmt.Sprint(c.TieEmbeddings, decoder(c).Turned[2:5], c.EOS) },
		"Qwen2.5-0.5B":    func(c model.Config) string { return fmt.Sprint(decoder(c).QKVBias, windows(c)) },
		"Qwen3-0.6B":      func(c model.Config) string { return fmt.Sprint(c.HeadSize, decoder(c).QKVBias) },
		"gemma-2-2b": func(c model.Config) string {
			s := decoder(c)
			return fmt.Sprint(s.SoftCap, s.FinalCap, windows(c), c.TieEmbeddings)
		},
		"gemma-3-1b": func(c model.Config) string {
			s := decoder(c)
			return fmt.Sprintln(s.Theta, s.Local, windows(c), s.Scaling)
		},
		"gemma-3-4b": func(c model.Config) string {
			s := decoder(c)
			return fmt.Sprintln(c.Heads, c.KVHeads, c.HeadSize, c.Vocab, s.Scaling, windows(c), c.EOS)
		},
		"OLMo-2-0425-1B": func(c model.Config) string { return fmt.Sprint(windows(c), decoder(c).Theta) },
		"Olmo-3-1025-7B": func(c model.Config) string {
			s := decoder(c)
			return fmt.Sprintln(s.Scaling, s.Attention, windows(c), s.Amplitude)
		},
		"Phi-3-mini-4k": func(c model.Config) string { return fmt.Sprint(decoder(c).Window, windows(c), decoder(c).Rotary) },
		"Phi-4-mini": func(c model.Config) string {
			s := decoder(c)
			return fmt.Sprintf("%d %d %.6f", s.Rotary, s.Original, s.Attention)
		},
		"pythia-70m": func(c model.Config) string {
			s := c.Settings.(*model.NeoXSettings)
			return fmt.Sprint(s.Rotary, s.Sequential, c.TieEmbeddings)
		},
	} {
		c, err := checkpoint.ReadConfig(fstest.MapFS{"config.json": {Data: []byte("{" + published[name] + "}")}})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got, want := want(c), map[string]string{
			"TinyLlama": "64 false 10000", "Mistral-7B-v0.1": "4096 32", "Mistral-7B-v0.3": "0 0", "SmolLM3-3B": "true [true false true] [128012]", "Qwen2.5-0.5B": "true 0", "Qwen3-0.6B": "128 false",
			"gemma-2-2b": "50 30 13 true", "gemma-3-1b": "1e+06 10000 22 \n", "gemma-3-4b": "8 4 256 262208 linear 29 [1 106]\n", "OLMo-2-0425-1B": "0 500000", "Olmo-3-1025-7B": "yarn 1.2079441541679836 24 0\n",
			"Phi-3-mini-4k": "2047 32 96", "Phi-4-mini": "96 4096 1.190238", "pythia-70m": "16 false false",
		}[name]; got != want {
			t.Errorf("%s: %q, expected %q", name, got, want)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(published)) { // what is not computed is refused by name
		for more, part := range map[string]string{
			`"use_sliding_window": 3`:                    "use_sliding_window: found 3, expected true or false",
			`"max_window_layers": -1`:                    "max_window_layers: found -1, expected 1 or more",
			`"use_bidirectional_attention": true`:        "use_bidirectional_attention: found true",
			`"quantization_config": {"bits": 4}`:         "quantization_config: found",
			`"rope_scaling": {"rope_type": "dynamic"}`:   `rope_type: found "dynamic", which is not supported`,
			`"layer_types": ["full_attention"]`:          "layer_types: found a list of 1, expected one for each of the",
			`"attention_bias": false`:                    "attention_bias: found false, which is not supported",
			`"no_rope_layers": [1, 2]`:                   "no_rope_layers: found a list of 2",
			`"partial_rotary_factor": 0.3`:               "partial_rotary_factor: found 0.3",
			`"sliding_window_pattern": 0`:                "sliding_window_pattern: found 0, expected 1 or more",
			`"query_pre_attn_scalar": -3`:                "query_pre_attn_scalar: found -3, expected more than 0",
			`"layer_types": [["sliding_attention"], {}]`: "layer_types: found a list of 2",
		} {
			key, _, _ := strings.Cut(strings.TrimPrefix(more, `"`), `"`)
			knows := map[string][]string{
				"use_sliding_window": {"SmolLM3-3B", "Qwen2.5-0.5B", "Qwen3-0.6B"}, "use_bidirectional_attention": {"gemma-2-2b", "gemma-3-1b"}, "attention_bias": {"pythia-70m"},
				"max_window_layers": {"Qwen2.5-0.5B", "Qwen3-0.6B"},
				"layer_types":       {"SmolLM3-3B", "Qwen2.5-0.5B", "Qwen3-0.6B", "gemma-2-2b", "gemma-3-1b", "Olmo-3-1025-7B"}, "no_rope_layers": {"SmolLM3-3B"}, "sliding_window_pattern": {"gemma-2-2b", "gemma-3-1b"},
				"query_pre_attn_scalar": {"gemma-2-2b", "gemma-3-1b"}, "partial_rotary_factor": {"TinyLlama", "Qwen3-0.6B", "gemma-3-1b", "Olmo-3-1025-7B"},
			}[key]
			if name == "gemma-3-4b" || knows != nil && !slices.Contains(knows, name) {
				continue
			}
			config := published[name]
			if at := strings.Index(config, `"`+key+`":`); at >= 0 { // a key that stands there twice is another error
				config = strings.Replace(config, `"`+key+`":`, `"_`+key+`_":`, 1)
			}
			_, err := checkpoint.ReadConfig(fstest.MapFS{"config.json": {Data: []byte("{" + config + ", " + more + "}")}})
			if err == nil || !strings.Contains(err.Error(), part) {
				t.Errorf("%s with %s: %v, expected an error with %q", name, more, err, part)
			}
		}
	}
}

// TestGemmaThatSees loads the part that speaks of a model that sees, by both names that its
// tensors have had.
func TestGemmaThatSees(t *testing.T) {
	b := gpttest.OpenCPU(t)
	want := gpttest.Logits(t, b, "../testdata/gemma3", gpt.LoadOptions{})
	for _, names := range [][3]string{
		{"language_model.model.", "vision_tower.", "multi_modal_projector."},
		{"model.language_model.", "model.vision_tower.", "model.multi_modal_projector."},
	} {
		c := gpttest.ReadDirectory(t, "../testdata/gemma3")
		c.Config = map[string]any{"model_type": "gemma3", "architectures": []string{"Gemma3ForConditionalGeneration"}, "text_config": c.Config, "vision_config": map[string]any{"hidden_size": 8}}
		for i := range c.Tensors {
			c.Tensors[i].Name = names[0] + strings.TrimPrefix(c.Tensors[i].Name, "model.")
		}
		c.Add(names[1]+"vision_model.encoder.layers.0.self_attn.q_proj.weight", safetensors.F32, 8, 8)
		c.Add(names[2]+"mm_input_projection_weight", safetensors.F32, 8, 8)
		dir := c.Write(t)
		if got := gpttest.Logits(t, b, dir, gpt.LoadOptions{}); !slices.Equal(got, want) {
			t.Errorf("%s: other scores", names[0])
		}
		if got := gpttest.OpenCheckpoint(t, dir).Ignored(); len(got) != 2 {
			t.Errorf("ignored %q, expected the two tensors of the part that sees", got)
		}
	}
}
