package model

// gpt-oss (OpenAI 2025, arXiv:2508.10925): a mixture of experts in place of the MLP (Shazeer et al.
// 2017, arXiv:1701.06538), of which a router chooses a few for each token; attention with a learned
// score of each head that no key has (Xiao et al. 2023, arXiv:2309.17453), and a window in every
// other layer; biases in all products.

import (
	"slices"

	"caldera/backend"
	"caldera/nn"
)

func init() {
	always := func(name string, texts ...Literal) Setting { return only(Setting{JSON: []string{name}}, texts...) }
	rope := slices.DeleteFunc(ropeKeys(ropeObjects, "linear", "yarn"), func(s Setting) bool { return slices.Contains(s.JSON, "rope_scaling.truncate") })
	for i := range rope {
		if s := &rope[i]; slices.Contains(s.JSON, "rope_scaling.rope_type") {
			s.Silent = "none" // a config.json that is silent would stand for YaRN with numbers of its own: it must say
			s.Needed = Everywhere
		}
	}
	exact := ropeKey(ropeObjects, "Exact", "truncate")
	exact.Values, exact.Follows, exact.Silent, exact.Unread = []Choice{{"false", true}, {"true", false}, {"null", false}}, false, true, true
	shape := func(layers, experts int) Config {
		s := &DecoderSettings{
			Activation: backend.SiLU, QKVBias: true, OutBias: true, Window: 128, Period: 2, Experts: experts, Chosen: 4,
			Rope: Rope{Theta: 150000, Scaling: "yarn", Factor: 32, Original: 4096, Fast: 32, Slow: 1, Exact: true},
		}
		return Config{
			Layers: layers, Heads: 64, KVHeads: 8, HeadSize: 64, Width: 2880, Inner: 2880, Context: 131072, Vocab: 201088, Epsilon: 1e-5,
			BOS: []int{199998}, EOS: []int{200002}, Settings: s,
		}
	}
	usual := shape(36, 128)
	usual.BOS, usual.EOS, decoderSettings(&usual).Rope = nil, nil, Rope{Theta: 150000}
	Register(decoder(Family{
		Name: "gpt_oss", Title: "gpt-oss", GGUF: "gpt-oss", Classes: classes("GptOss"), Heads: OwnHead, Method: "mxfp4",
		Fresh:     func(c *Config) { decoderSettings(c).Scaling = "none" },
		Untrained: "experts have no gradients here",
		Keys: join([]Setting{headSize, wholeRope(ropeObjects)}, rope, flatLayers, []Setting{
			exact,
			{Field: "Inner", GGUF: []string{"expert_feed_forward_length"}, Needed: InGGUF},
			{Field: "Experts", JSON: []string{"num_local_experts"}, GGUF: []string{"expert_count"}},
			{Field: "Chosen", JSON: []string{"num_experts_per_tok"}, Others: []string{"num_experts_per_tok", "experts_per_token"}, GGUF: []string{"expert_used_count"}},
			{Field: "Window", JSON: []string{"sliding_window"}, GGUF: []string{"attention.sliding_window"}, Needed: InGGUF},
			gemmaLayers[1], gemmaLayers[2],
			always("hidden_act", `"silu"`), always("attention_bias", "true"), always("swiglu_limit", "7", "7.0"),
		}),
		Shapes: []NamedShape{
			// https://huggingface.co/openai/gpt-oss-20b and gpt-oss-120b
			{"gpt-oss-20b", shape(24, 32)},
			{"gpt-oss-120b", shape(36, 128)},
		},
	}, switches{experts: true, sinks: true}, usual))
}

// experts are the rows of the weight table that a block of experts has.
func (m *Decoder) experts(b *DecoderBlock) (rows []Weight) {
	if !m.row.experts {
		return nil
	}
	c, s := m.config, decoderSettings(&m.config)
	add := func(role Role, name, gguf, whole string, e *nn.Experts, out, in, part, parts int) {
		hf := "model.layers.%d.mlp.experts."
		w := Weight{Role: role, HF: hf + name + ".weight", GGUF: "blk.%d." + gguf + ".weight", Tensor: &e.W, Shape: []int{s.Experts, out, in},
			Within: hf + whole, Part: part, Parts: parts, Chosen: s.Chosen}
		if role == Down {
			w.Init = Residual
		}
		bias := Weight{Role: Bias, Of: role, HF: hf + name + ".bias", GGUF: "blk.%d." + gguf + ".bias", Tensor: &e.Bias, Shape: w.Shape[:2], Init: Zeros,
			Within: w.Within + "_bias", Part: part, Parts: parts, Chosen: s.Chosen}
		rows = append(rows, w, bias)
	}
	add(Gate, "gate_proj", "ffn_gate_exps", "gate_up_proj", &b.ExpertGate, c.Inner, c.Width, 0, 2)
	add(Up, "up_proj", "ffn_up_exps", "gate_up_proj", &b.ExpertUp, c.Inner, c.Width, 1, 2)
	add(Down, "down_proj", "ffn_down_exps", "down_proj", &b.ExpertDown, c.Width, c.Inner, 0, 1)
	return rows
}

// ask has the experts that the router chooses for a vector be its MLP.
func (m *Decoder) ask(t *nn.Tape, b *DecoderBlock, x Tensor) Tensor {
	ids, weights := t.Route(t.Linear(b.Router, x), decoderSettings(&m.config).Chosen) // [batch, time, chosen]
	gate, up := t.ExpertLinear(b.ExpertGate, x, ids), t.ExpertLinear(b.ExpertUp, x, ids)
	inner := t.GatedActivation(nn.Gate{Func: backend.GELUSigmoid, Limit: 7, Shift: 1}, gate, up) // [batch, time, chosen, inner]
	return t.ExpertSum(t.ExpertLinear(b.ExpertDown, inner, ids), weights)
}
