package model

// Qwen 2 and 2.5 (Yang et al. 2024, arXiv:2407.10671 and arXiv:2412.15115), whose queries,
// keys and values have biases, and Qwen 3 (Yang et al. 2025, arXiv:2505.09388), which
// normalises each head of queries and keys instead. Those with experts are others.

import "caldera/backend"

func init() {
	for _, f := range []struct {
		Family
		switches
		bias bool
	}{
		{Family{Name: "qwen2", Title: "Qwen 2", Shapes: []NamedShape{
			// https://huggingface.co/Qwen/Qwen2.5-0.5B
			{"qwen2.5-0.5b", Config{
				Layers: 24, Heads: 14, KVHeads: 2, Width: 896, Inner: 4864, Context: 32768, Vocab: 151936, Epsilon: 1e-6, TieEmbeddings: true,
				BOS: []int{151643}, EOS: []int{151643}, Settings: &DecoderSettings{Activation: backend.SiLU, QKVBias: true, Rope: Rope{Theta: 1e6}},
			}},
		}}, switches{}, true},
		{Family{Name: "qwen3", Title: "Qwen 3", Shapes: []NamedShape{
			// https://huggingface.co/Qwen/Qwen3-0.6B
			{"qwen3-0.6b", Config{
				Layers: 28, Heads: 16, KVHeads: 8, HeadSize: 128, Width: 1024, Inner: 3072, Context: 40960, Vocab: 151936, Epsilon: 1e-6, TieEmbeddings: true,
				BOS: []int{151643}, EOS: []int{151645}, Settings: &DecoderSettings{Activation: backend.SiLU, Rope: Rope{Theta: 1e6}},
			}},
		}}, switches{queryNorm: eachHead}, false},
	} {
		name := map[string]string{"qwen2": "Qwen2", "qwen3": "Qwen3"}[f.Name]
		f.GGUF = f.Name
		f.Classes = classes(name)
		f.Keys = join([]Setting{headSize, hiddenAct, wholeRope(ropeObjects)}, ropeKeys(ropeObjects, "linear", "yarn"), flatLayers, askedWindow, []Setting{
			{Field: "Full", JSON: []string{"max_window_layers"}, Needed: Nowhere, None: true, ReadOnly: true}, // layer_types is written
		})
		if !f.bias { // Qwen 2 has them whatever config.json says
			f.Keys = append(f.Keys, qkvBias, outBias)
		}
		usual := Config{Epsilon: 1e-6, Settings: &DecoderSettings{Activation: backend.SiLU, QKVBias: f.bias, Rope: Rope{Theta: 10000}, Window: 4096, Full: 28}}
		f.asked = func(s *DecoderSettings, i int) bool { return i >= s.Full }
		if f.Name == "qwen3" {
			usual.HeadSize = 128 // where config.json has no head_dim
		}
		Register(decoder(f.Family, f.switches, usual))
	}
}
