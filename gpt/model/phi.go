package model

// Phi-3 (Abdin et al. 2024, arXiv:2404.14219), and Phi-4-mini (2025, arXiv:2503.01743):
// queries, keys and values are one matrix, and so are gate and up. Phi-4-mini turns a part
// of each head. For contexts longer than that of training positions turn heads by other
// angles, whatever the length of the text.

import (
	"slices"

	"caldera/backend"
)

func init() {
	size := headSize
	size.GGUF = size.GGUF[:2]
	scaling := ropeKeys(ropeObjects, "longrope")
	for i := range scaling {
		if s := &scaling[i]; s.Field == "Original" {
			s.JSON = []string{"original_max_position_embeddings"}
			s.Others, s.Silent = append(slices.Clone(s.Others), s.JSON...), 0
		}
	}
	Register(decoder(Family{
		Name: "phi3", Title: "Phi-3", GGUF: "phi3", Classes: classes("Phi3"),
		Keys: join([]Setting{size, hiddenAct}, partialRope(ropeObjects), scaling, flatLayers, []Setting{
			{Field: "Window", JSON: []string{"sliding_window"}, GGUF: []string{"attention.sliding_window"}, Needed: Nowhere, None: true, Unread: true},
			only(Setting{JSON: []string{"attention_bias"}}, "false", "null"),
		}),
		Shapes: []NamedShape{
			// https://huggingface.co/microsoft/Phi-3-mini-4k-instruct
			{"phi-3-mini", Config{
				Layers: 32, Heads: 32, Width: 3072, Inner: 8192, Context: 4096, Vocab: 32064, Epsilon: 1e-5,
				BOS: []int{1}, EOS: []int{32000}, Settings: &DecoderSettings{Activation: backend.SiLU, Rope: Rope{Theta: 10000}, Window: 2047},
			}},
		},
	}, switches{fused: true}, Config{Epsilon: 1e-5, Settings: &DecoderSettings{Activation: backend.SiLU, Rope: Rope{Theta: 10000, Original: 4096}}}))
}
