package model

// Llama (Touvron et al. 2023, arXiv:2302.13971; Grattafiori et al. 2024,
// arXiv:2407.21783), Mistral (Jiang et al. 2023, arXiv:2310.06825), which gives queries a
// window, and SmolLM3, in which every fourth layer does without positions.

import "caldera/backend"

func init() {
	mlpBias := Setting{Field: "MLPBias", JSON: []string{"mlp_bias"}, Needed: Nowhere}
	outBiasToo, mlpBiasToo := outBias, mlpBias
	outBiasToo.Tensor, mlpBiasToo.Tensor = "blk.0.attn_output.bias", "blk.0.ffn_up.bias"
	rows := func(own ...[]Setting) []Setting {
		return join(append([][]Setting{{headSize, hiddenAct, wholeRope(ropeObjects), only(Setting{GGUF: []string{"expert_count"}}, "0")}, flatLayers}, own...)...)
	}
	usual := func(s DecoderSettings) Config {
		s.Activation = backend.SiLU
		return Config{Epsilon: 1e-6, Settings: &s}
	}
	// A GGUF file says llama of Mistral too, and has the window where there is one.
	Register(decoder(Family{
		Name: "mistral", Title: "Mistral", GGUF: "llama", Mark: "attention.sliding_window", Classes: classes("Mistral"),
		Keys: rows(ropeKeys(ropeObjects, "linear", "llama3", "yarn"), []Setting{
			{Field: "Window", JSON: []string{"sliding_window"}, GGUF: []string{"attention.sliding_window"}, Needed: Nowhere, None: true, Unread: true, Silent: 0},
		}),
		Shapes: []NamedShape{
			// https://huggingface.co/mistralai/Mistral-7B-v0.1
			{"mistral-7b", Config{
				Layers: 32, Heads: 32, KVHeads: 8, Width: 4096, Inner: 14336, Context: 32768, Vocab: 32000, Epsilon: 1e-5,
				BOS: []int{1}, EOS: []int{2}, Settings: &DecoderSettings{Activation: backend.SiLU, Rope: Rope{Theta: 10000}, Window: 4096},
			}},
		},
	}, switches{neighbours: true}, usual(DecoderSettings{Rope: Rope{Theta: 10000}, Window: 4096})))

	Register(decoder(Family{
		Name: "llama", Title: "Llama", GGUF: "llama", Classes: classes("Llama"),
		Keys: rows([]Setting{qkvBias, outBiasToo, mlpBiasToo}, ropeKeys(ropeObjects, "linear", "llama3", "yarn")),
		Shapes: []NamedShape{
			// https://huggingface.co/meta-llama/Llama-3.2-1B
			{"llama-3.2-1b", Config{
				Layers: 16, Heads: 32, KVHeads: 8, Width: 2048, Inner: 8192, Context: 131072, Vocab: 128256, Epsilon: 1e-5, TieEmbeddings: true,
				BOS: []int{128000}, EOS: []int{128001},
				Settings: &DecoderSettings{Activation: backend.SiLU, Rope: Rope{Theta: 500000, Scaling: "llama3", Factor: 32, Low: 1, High: 4, Original: 8192}},
			}},
			// https://huggingface.co/HuggingFaceTB/SmolLM2-135M and SmolLM2-360M
			{"smollm2-135m", Config{
				Layers: 30, Heads: 9, KVHeads: 3, Width: 576, Inner: 1536, Context: 8192, Vocab: 49152, Epsilon: 1e-5, TieEmbeddings: true,
				BOS: []int{0}, EOS: []int{0}, Settings: &DecoderSettings{Activation: backend.SiLU, Rope: Rope{Theta: 100000}},
			}},
			{"smollm2-360m", Config{
				Layers: 32, Heads: 15, KVHeads: 5, Width: 960, Inner: 2560, Context: 8192, Vocab: 49152, Epsilon: 1e-5, TieEmbeddings: true,
				BOS: []int{0}, EOS: []int{0}, Settings: &DecoderSettings{Activation: backend.SiLU, Rope: Rope{Theta: 100000}},
			}},
			{"llama-tiny", Config{Layers: 4, Heads: 4, KVHeads: 2, Width: 128, Context: 64, Vocab: 65, TieEmbeddings: true}}, // of characters, as nanogpt
		},
	}, switches{neighbours: true}, usual(DecoderSettings{Rope: Rope{Theta: 10000}})))

	smollm := usual(DecoderSettings{Rope: Rope{Theta: 2e6}, Interval: 4})
	smollm.TieEmbeddings = true
	Register(decoder(Family{
		Name: "smollm3", Title: "SmolLM3", GGUF: "smollm3", Classes: classes("SmolLM3"),
		Keys: rows([]Setting{qkvBias, outBias, mlpBias}, ropeKeys(ropeObjects, "linear", "yarn"), []Setting{
			{Field: "Interval", JSON: []string{"no_rope_layer_interval"}, Follows: true, Needed: Nowhere}, // which layers these are is compared
			{Field: "Turned", JSON: []string{"no_rope_layers"}, Each: []Choice{{"1", true}, {"0", false}}, Needed: Nowhere},
		}, askedWindow),
		Shapes: []NamedShape{
			// https://huggingface.co/HuggingFaceTB/SmolLM3-3B
			{"smollm3-3b", Config{
				Layers: 36, Heads: 16, KVHeads: 4, Width: 2048, Inner: 11008, Context: 65536, Vocab: 128256, Epsilon: 1e-6, TieEmbeddings: true,
				EOS: []int{128012}, Settings: &DecoderSettings{Activation: backend.SiLU, Rope: Rope{Theta: 5e6}, Interval: 4},
			}},
		},
	}, switches{neighbours: true, asked: func(s *DecoderSettings, i int) bool { return !s.turned(i) }}, smollm))
}

// Settings as most families have them.
var (
	headSize  = Setting{Field: "HeadSize", JSON: []string{"head_dim"}, GGUF: []string{"attention.key_length", "attention.value_length", "rope.dimension_count"}, Needed: Nowhere, Silent: 0}
	hiddenAct = Setting{Field: "Activation", JSON: []string{"hidden_act"}, Values: Activations, Needed: Nowhere}
	qkvBias   = Setting{Field: "QKVBias", JSON: []string{"attention_bias"}, Tensor: "blk.0.attn_q.bias", Needed: Nowhere}
	outBias   = Setting{Field: "OutBias", JSON: []string{"attention_bias"}, Needed: Nowhere} // of which llama.cpp reads none, but of Llama

	// askedWindow are those of families in which use_sliding_window says whether the window
	// counts. llama.cpp reads none of these.
	askedWindow = []Setting{
		{Field: "Asked", JSON: []string{"use_sliding_window"}, Needed: Nowhere},
		{Field: "Window", JSON: []string{"sliding_window"}, Needed: Nowhere, None: true},
		{Field: "Sliding", JSON: []string{"layer_types"}, Each: layerTypes, Needed: Nowhere},
	}

	// flatLayers refuses layers of two kinds, which turn heads by angles of their own.
	flatLayers = []Setting{
		only(Setting{JSON: []string{"rope_parameters.full_attention"}}, "null"), only(Setting{JSON: []string{"rope_parameters.sliding_attention"}}, "null"),
	}
)

// classes are Transformers' classes of a family that is called name there.
func classes(name string) []string {
	return []string{name + "ForCausalLM", name + "Model", name + "ForSequenceClassification", name + "ForTokenClassification", name + "ForQuestionAnswering"}
}

// join is one list of several.
func join(lists ...[]Setting) (all []Setting) {
	for _, l := range lists {
		all = append(all, l...)
	}
	return all
}
