package gpttest

import (
	"caldera/backend"
	"caldera/gpt/model"
)

// FamilyShapes are small shapes of the families beside GPT-2 and Llama, which have 2,048
// tokens as the embedded model has. Windows and contexts of training end within a text.
func FamilyShapes() map[string]model.Config {
	silu := func(s model.DecoderSettings) *model.DecoderSettings {
		s.Activation = backend.SiLU
		return &s
	}
	shape := func(family string, layers, heads, kv, size int, tied bool, s any) model.Config {
		return model.Config{Family: family, Layers: layers, Heads: heads, KVHeads: kv, HeadSize: size, Width: 64, Inner: 160, Context: 160, Vocab: 2048, TieEmbeddings: tied,
			BOS: []int{2047}, EOS: []int{2047}, Settings: s}
	}
	yarn := model.Rope{Theta: 10000, Scaling: "yarn", Factor: 4, Original: 40}
	factors := func(step float32) (list []float32) {
		for i := range 6 {
			list = append(list, 1+step*float32(i))
		}
		return list
	}
	gemma2 := &model.DecoderSettings{Activation: backend.GELUTanh, Rope: model.Rope{Theta: 10000}, Window: 24, Period: 2, SoftCap: 50, FinalCap: 30}
	gemma3 := &model.DecoderSettings{Activation: backend.GELUTanh, Rope: model.Rope{Theta: 1e6, Local: 10000, Scaling: "linear", Factor: 8}, Window: 24, Period: 6}
	// Llama.cpp rounds the pairs where YaRN changes, as gpt-oss does not: with these numbers they are whole ones.
	whole := model.Rope{Theta: 1642.565, Scaling: "yarn", Factor: 4, Original: 40, Exact: true}
	return map[string]model.Config{
		"mistral":         shape("mistral", 2, 4, 2, 16, false, silu(model.DecoderSettings{Rope: model.Rope{Theta: 1e6}})),
		"smollm3":         shape("smollm3", 5, 4, 2, 16, true, silu(model.DecoderSettings{Rope: model.Rope{Theta: 5e6}, Interval: 4})),
		"qwen2":           shape("qwen2", 3, 4, 2, 16, true, silu(model.DecoderSettings{Rope: model.Rope{Theta: 1e6}, QKVBias: true})),
		"qwen2-yarn":      shape("qwen2", 2, 4, 1, 16, false, silu(model.DecoderSettings{Rope: yarn, QKVBias: true})),
		"qwen3":           shape("qwen3", 3, 4, 2, 32, true, silu(model.DecoderSettings{Rope: model.Rope{Theta: 1e6}})),
		"gemma2":          shape("gemma2", 3, 4, 2, 32, true, gemma2),
		"gemma3":          shape("gemma3_text", 8, 4, 1, 32, true, gemma3),
		"olmo2":           shape("olmo2", 3, 4, 4, 16, false, silu(model.DecoderSettings{Rope: model.Rope{Theta: 500000}})),
		"olmo3":           shape("olmo3", 6, 4, 2, 16, false, silu(model.DecoderSettings{Rope: yarn, Window: 24, Period: 4})),
		"gpt-oss":         shape("gpt_oss", 3, 4, 2, 16, false, silu(model.DecoderSettings{Rope: whole, QKVBias: true, OutBias: true, Window: 24, Period: 2, Experts: 7, Chosen: 3})),
		"phi3":            shape("phi3", 3, 4, 2, 16, false, silu(model.DecoderSettings{Rope: model.Rope{Theta: 10000}})),
		"phi3-longrope":   shape("phi3", 3, 4, 2, 16, true, silu(model.DecoderSettings{Rope: model.Rope{Theta: 10000, Partial: 0.75, Scaling: "longrope", Original: 40, Short: factors(0.1), Long: factors(0.9)}})),
		"neox":            shape("gpt_neox", 3, 4, 4, 16, false, &model.NeoXSettings{Activation: backend.GELUErf, Rope: model.Rope{Theta: 10000, Partial: 0.25}}),
		"neox-sequential": shape("gpt_neox", 2, 4, 4, 16, false, &model.NeoXSettings{Activation: backend.GELUErf, Sequential: true, Rope: model.Rope{Theta: 10000, Partial: 0.5}}),
	}
}
