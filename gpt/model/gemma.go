package model

// Gemma 2 (Gemma Team 2024, arXiv:2408.00118) and Gemma 3 (2025, arXiv:2503.19786): norms
// before and after attention and MLP, and windows in most layers. Gemma 2 bounds scores;
// Gemma 3 normalises queries and keys instead, and its layers with a window turn heads by
// angles of their own. Of a Gemma 3 that sees, this is the part that speaks.

import "caldera/backend"

// gemmaLayers says which layers have a window. A GGUF file has a number in place of the
// list, or is silent.
var gemmaLayers = []Setting{
	{Field: "Period", JSON: []string{"sliding_window_pattern"}, Others: []string{"_sliding_window_pattern", "sliding_window_pattern"}, Follows: true, Needed: Nowhere},
	{Field: "Sliding", JSON: []string{"layer_types"}, Each: layerTypes, Needed: Nowhere},
	{Field: "Sliding", GGUF: []string{"attention.sliding_window_pattern"}, Each: []Choice{{"true", true}, {"false", false}, {"1", true}, {"0", false}}, Number: "Period", Needed: Nowhere},
}

// layerTypes are the names of layers with a window and without.
var layerTypes = []Choice{{`"sliding_attention"`, true}, {`"full_attention"`, false}}

func init() {
	keys := func(own ...[]Setting) []Setting {
		act := Setting{Field: "Activation", JSON: []string{"hidden_activation"}, Values: Activations, Needed: Nowhere}
		return join(append([][]Setting{{headSize, act, wholeRope(layeredRopeObjects), qkvBias, outBias,
			{Field: "ScaleBy", JSON: []string{"query_pre_attn_scalar"}, Needed: Nowhere, Silent: 0.0},
			{Field: "FinalCap", JSON: []string{"final_logit_softcapping"}, GGUF: []string{"final_logit_softcapping"}, Needed: Nowhere, None: true},
			only(Setting{JSON: []string{"use_bidirectional_attention"}}, "false", "null"),
		}, gemmaLayers}, own...)...)
	}
	// Scores are divided by the root of the size of heads, but in files that are silent.
	fresh := func(c *Config) { decoderSettings(c).ScaleBy = 0 }
	// The largest ones divide scores otherwise, which llama.cpp knows by the number of layers.
	large := func(layers int) func(Config) bool { return func(c Config) bool { return c.Layers == layers } }

	Register(decoder(Family{
		Name: "gemma2", Title: "Gemma 2", GGUF: "gemma2", Classes: classes("Gemma2"), Heads: NoHead, Fresh: fresh,
		Keys: keys(ropeKeys(ropeObjects, "linear", "yarn"), flatLayers, []Setting{
			{Field: "Window", JSON: []string{"sliding_window"}, GGUF: []string{"attention.sliding_window"}, Needed: Nowhere, None: true},
			{Field: "SoftCap", JSON: []string{"attn_logit_softcapping"}, GGUF: []string{"attn_logit_softcapping"}, Needed: Nowhere, None: true},
		}),
		Shapes: []NamedShape{
			// https://huggingface.co/google/gemma-2-2b
			{"gemma-2-2b", Config{
				Layers: 26, Heads: 8, KVHeads: 4, HeadSize: 256, Width: 2304, Inner: 9216, Context: 8192, Vocab: 256000, Epsilon: 1e-6, TieEmbeddings: true,
				BOS: []int{2}, EOS: []int{1}, Settings: &DecoderSettings{Activation: backend.GELUTanh, Rope: Rope{Theta: 10000}, Window: 4096, Period: 2, ScaleBy: 256, SoftCap: 50, FinalCap: 30},
			}},
		},
	}, switches{norms: normAround, less: 1, scaled: true, large: large(46)}, Config{
		Layers: 26, Heads: 8, KVHeads: 4, HeadSize: 256, Width: 2304, Inner: 9216, Context: 8192, Vocab: 256000, Epsilon: 1e-6, TieEmbeddings: true,
		BOS: []int{2}, EOS: []int{1}, Settings: &DecoderSettings{
			Activation: backend.GELUTanh, Rope: Rope{Theta: 10000}, Window: 4096, Period: 2, ScaleBy: 256, SoftCap: 50, FinalCap: 30},
	}))

	local := ropeKey([]string{"rope_parameters.sliding_attention."}, "Local", "rope_theta")
	local.JSON, local.GGUF, local.Silent, local.Follows = []string{"rope_local_base_freq"}, []string{"rope.freq_base_swa"}, 10000.0, false
	Register(decoder(Family{
		Name: "gemma3_text", Title: "Gemma 3", GGUF: "gemma3", Whole: "gemma3", Fresh: fresh, Beside: []string{"vision_tower.", "multi_modal_projector."},
		Classes: append(classes("Gemma3"), "Gemma3TextModel", "Gemma3ForConditionalGeneration"),
		Keys: keys(ropeKeys(layeredRopeObjects, "linear", "yarn"), []Setting{
			local, only(Setting{JSON: []string{"rope_parameters.sliding_attention.rope_type"}}, `"default"`, "null"),
			{Field: "Window", JSON: []string{"sliding_window"}, GGUF: []string{"attention.sliding_window"}, Needed: Nowhere, None: true, Silent: 0},
			only(Setting{JSON: []string{"attn_logit_softcapping"}}, "null"),
		}),
		Shapes: []NamedShape{
			// https://huggingface.co/google/gemma-3-1b-pt
			{"gemma-3-1b", Config{
				Layers: 26, Heads: 4, KVHeads: 1, HeadSize: 256, Width: 1152, Inner: 6912, Context: 32768, Vocab: 262144, Epsilon: 1e-6, TieEmbeddings: true,
				BOS: []int{2}, EOS: []int{1}, Settings: &DecoderSettings{Activation: backend.GELUTanh, Rope: Rope{Theta: 1e6, Local: 10000}, Window: 512, Period: 6, ScaleBy: 256},
			}},
		},
	}, switches{norms: normAround, queryNorm: eachHead, less: 1, scaled: true, local: true, large: large(62)}, Config{
		Layers: 26, Heads: 8, KVHeads: 4, HeadSize: 256, Width: 2304, Inner: 9216, Context: 131072, Vocab: 262208, Epsilon: 1e-6, TieEmbeddings: true,
		BOS: []int{2}, EOS: []int{1}, Settings: &DecoderSettings{
			Activation: backend.GELUTanh, Rope: Rope{Theta: 1e6, Local: 10000}, Window: 4096, Period: 6, ScaleBy: 256},
	}))
}
