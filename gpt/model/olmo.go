package model

// OLMo 2 (OLMo Team 2024, arXiv:2501.00656): norms after attention and MLP and none before,
// and norms of all queries and of all keys. OLMo 3 (2025) gives three of four layers a
// window, and scales positions in the others alone.

import "caldera/backend"

func init() {
	keys := func(own ...[]Setting) []Setting {
		return join(append([][]Setting{{headSize, hiddenAct, wholeRope(ropeObjects), qkvBias, outBias}}, own...)...)
	}
	usual := func(s DecoderSettings) Config {
		s.Activation, s.Theta = backend.SiLU, 10000
		return Config{Epsilon: 1e-5, Settings: &s}
	}
	// A GGUF file says olmo2 of both.
	Register(decoder(Family{
		Name: "olmo3", Title: "OLMo 3", GGUF: "olmo2", Mark: "attention.sliding_window", Classes: classes("Olmo3"), Heads: OwnHead,
		Keys: keys(ropeKeys(layeredRopeObjects, "linear", "yarn"), []Setting{
			only(Setting{JSON: []string{"rope_parameters.sliding_attention.rope_type"}}, `"default"`, "null"),
			{Field: "Local", JSON: []string{"rope_parameters.sliding_attention.rope_theta"}, GGUF: []string{"rope.freq_base_swa"}, Needed: Nowhere, ReadOnly: true},
			{Field: "Window", JSON: []string{"sliding_window"}, GGUF: []string{"attention.sliding_window"}, Needed: Nowhere, None: true},
			{Field: "Sliding", JSON: []string{"layer_types"}, Each: layerTypes, Needed: Nowhere},
			gemmaLayers[2],
		}),
		Shapes: []NamedShape{
			// https://huggingface.co/allenai/Olmo-3-1025-7B
			{"olmo-3-7b", Config{
				Layers: 32, Heads: 32, Width: 4096, Inner: 11008, Context: 65536, Vocab: 100278, Epsilon: 1e-6, EOS: []int{100257}, Settings: &DecoderSettings{
					Activation: backend.SiLU, Window: 4096, Period: 4,
					Rope: Rope{Theta: 500000, Scaling: "yarn", Factor: 8, Original: 8192, Fast: 32, Slow: 1},
				},
			}},
		},
	}, switches{norms: normAfter, queryNorm: wholeNorm, local: true}, usual(DecoderSettings{Window: 4096, Period: 4})))

	Register(decoder(Family{
		Name: "olmo2", Title: "OLMo 2", GGUF: "olmo2", Classes: classes("Olmo2"), Heads: OwnHead,
		Keys: keys(ropeKeys(ropeObjects, "linear", "yarn"), flatLayers),
		Shapes: []NamedShape{
			// https://huggingface.co/allenai/OLMo-2-0425-1B
			{"olmo-2-1b", Config{
				Layers: 16, Heads: 16, Width: 2048, Inner: 8192, Context: 4096, Vocab: 100352, Epsilon: 1e-6,
				EOS: []int{100257}, Settings: &DecoderSettings{Activation: backend.SiLU, Rope: Rope{Theta: 500000}},
			}},
		},
	}, switches{norms: normAfter, queryNorm: wholeNorm}, usual(DecoderSettings{})))
}
