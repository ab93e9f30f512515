package model

// GPT-NeoX (Black et al. 2022, arXiv:2204.06745) and Pythia (Biderman et al. 2023,
// arXiv:2304.01373): GPT-2 with rotary positions, of a part of each head, whose attention
// and MLP read the same vectors.

import (
	"fmt"

	"caldera/backend"
	"caldera/nn"
)

func init() {
	base := ropeKey(ropeObjects, "Theta", "rope_theta")
	base.JSON, base.GGUF, base.Follows, base.Silent = []string{"rotary_emb_base"}, []string{"rope.freq_base"}, false, 10000.0
	share := ropeKey(ropeObjects, "Partial", "partial_rotary_factor")
	share.JSON = []string{"rotary_pct"}
	scaling := ropeKeys(ropeObjects, "linear")[1:] // but for theta
	Register(Family{
		Name: "gpt_neox", Title: "GPT-NeoX", GGUF: "gptneox", Body: "gpt_neox.", Heads: OwnHead,
		Classes: classes("GPTNeoX"),
		Buffers: []string{".attention.bias", ".attention.masked_bias", ".attention.rotary_emb.inv_freq"}, // causal masks, and angles
		Keys: join([]Setting{
			{Field: "Context", JSON: []string{"max_position_embeddings"}, GGUF: []string{"context_length"}},
			{Field: "Width", JSON: []string{"hidden_size"}, GGUF: []string{"embedding_length"}},
			{Field: "Inner", JSON: []string{"intermediate_size"}, GGUF: []string{"feed_forward_length"}},
			{Field: "Layers", JSON: []string{"num_hidden_layers"}, GGUF: []string{"block_count"}},
			{Field: "Heads", JSON: []string{"num_attention_heads"}, GGUF: []string{"attention.head_count"}},
			{Field: "KVHeads", GGUF: []string{"attention.head_count_kv"}, Needed: Nowhere, ReadOnly: true},
			{Field: "Epsilon", JSON: []string{"layer_norm_eps"}, GGUF: []string{"attention.layer_norm_epsilon"}, Needed: InGGUF},
			// llama.cpp computes the approximation by tanh whatever the model has: what a GGUF
			// file is of is the exact function.
			{Field: "Activation", JSON: []string{"hidden_act"}, Values: Activations, Needed: Nowhere},
			{Field: "Sequential", JSON: []string{"use_parallel_residual"}, GGUF: []string{"use_parallel_residual"}, Values: []Choice{{"true", false}, {"false", true}}, Needed: InGGUF, Always: true},
			only(Setting{JSON: []string{"attention_bias"}}, "true", "null"),
			base, share, {Field: "Rotary", GGUF: []string{"rope.dimension_count"}, Needed: Nowhere},
		}, scaling),
		Defaults: func() Config {
			return Config{Family: "gpt_neox", Epsilon: 1e-5, Settings: &NeoXSettings{Activation: backend.GELUErf, Rope: Rope{Theta: 10000}}}
		},
		Complete: func(c *Config) {
			if c.Inner == 0 {
				c.Inner = 4 * c.Width
			}
			s := *neoxSettings(c)
			if s.Rotary == 0 && s.Partial == 0 {
				s.Partial = 0.25 // where config.json is silent
			}
			s.complete(c.HeadSize, c.Context)
			c.Settings = &s
		},
		Check: func(c Config) error {
			switch {
			case c.KVHeads != c.Heads:
				return fmt.Errorf("attention.head_count_kv: found %d, expected num_attention_heads, which is %d", c.KVHeads, c.Heads)
			case c.Width != c.Heads*c.HeadSize:
				return fmt.Errorf("hidden_size: found %d, expected a multiple of num_attention_heads, which is %d", c.Width, c.Heads)
			}
			s := neoxSettings(&c)
			return s.check(c.HeadSize, c.Context)
		},
		// The sizes of Pythia, by the first one: https://huggingface.co/EleutherAI/pythia-70m
		Shapes: []NamedShape{
			{"pythia-70m", Config{Layers: 6, Heads: 8, Width: 512, Context: 2048, Vocab: 50304, BOS: []int{0}, EOS: []int{0}}},
			{"pythia-160m", Config{Layers: 12, Heads: 12, Width: 768, Context: 2048, Vocab: 50304, BOS: []int{0}, EOS: []int{0}}},
		},
		Network: newNeoX,
	})
}

// NeoXSettings are what only GPT-NeoX has.
type NeoXSettings struct {
	Activation backend.Activation // hidden_act: of the MLP
	Sequential bool               // use_parallel_residual is false: the MLP reads what attention has added
	Rope
}

func neoxSettings(c *Config) *NeoXSettings { return c.Settings.(*NeoXSettings) }

// NeoX is a model of the family.
type NeoX struct {
	config   Config
	Tokens   Tensor // [vocab, width]
	Rotation nn.Rotation
	Blocks   []*NeoXBlock
	Norm     nn.Norm // before the head
	Head     Tensor  // [vocab, width]; absent where the embedding serves for it
}

// NeoXBlock is one round of attention and MLP.
type NeoXBlock struct {
	Norm1, Norm2 nn.Norm   // before attention, before the MLP
	QKV          nn.Linear // [3·width, width]: queries, keys and values of all heads
	Out          nn.Linear // [width, width]: what the heads found, back into the stream
	Up           nn.Linear // [inner, width]: a question a row
	Down         nn.Linear // [width, inner]: an answer a column
}

func newNeoX(c Config, _ Format) Network {
	norm := nn.Norm{Epsilon: float32(c.Epsilon)}
	m := &NeoX{config: c, Norm: norm}
	for range c.Layers {
		m.Blocks = append(m.Blocks, &NeoXBlock{Norm1: norm, Norm2: norm})
	}
	return m
}

// Weights lists the tensors.
func (m *NeoX) Weights() []Weight {
	c, s := m.config, neoxSettings(&m.config)
	return table([]Weight{
		{Role: Embedding, HF: "gpt_neox.embed_in.weight", GGUF: "token_embd.weight", Tensor: &m.Tokens, Shape: []int{c.Vocab, c.Width}},
	}, m.Blocks, func(b *NeoXBlock) []Weight {
		norm := func(hf, gguf string, n *nn.Norm) []Weight {
			hf, gguf = "gpt_neox.layers.%d."+hf, "blk.%d."+gguf
			return []Weight{
				{Role: Norm, HF: hf + ".weight", GGUF: gguf + ".weight", Tensor: &n.Gamma, Shape: []int{c.Width}, Init: Ones},
				{Role: Norm, HF: hf + ".bias", GGUF: gguf + ".bias", Tensor: &n.Beta, Shape: []int{c.Width}, Init: Zeros},
			}
		}
		linear := func(role Role, hf, gguf string, l *nn.Linear, out, in int, init Init, order Order) []Weight {
			hf, gguf = "gpt_neox.layers.%d."+hf, "blk.%d."+gguf
			return []Weight{
				{Role: role, HF: hf + ".weight", GGUF: gguf + ".weight", Tensor: &l.W, Linear: l, Shape: []int{out, in}, Init: init, Order: order},
				{Role: Bias, Of: role, HF: hf + ".bias", GGUF: gguf + ".bias", Tensor: &l.Bias, Shape: []int{out}, Init: Zeros, Order: order},
			}
		}
		var all []Weight
		for _, rows := range [][]Weight{
			norm("input_layernorm", "attn_norm", &b.Norm1),
			linear(QKV, "attention.query_key_value", "attn_qkv", &b.QKV, 3*c.Width, c.Width, Normal, ByHead),
			linear(Output, "attention.dense", "attn_output", &b.Out, c.Width, c.Width, Residual, Same),
			norm("post_attention_layernorm", "ffn_norm", &b.Norm2),
			linear(Up, "mlp.dense_h_to_4h", "ffn_up", &b.Up, c.Inner, c.Width, Normal, Same),
			linear(Down, "mlp.dense_4h_to_h", "ffn_down", &b.Down, c.Width, c.Inner, Residual, Same),
		} {
			all = append(all, rows...)
		}
		return all
	},
		Weight{Role: Norm, HF: "gpt_neox.final_layer_norm.weight", GGUF: "output_norm.weight", Tensor: &m.Norm.Gamma, Shape: []int{c.Width}, Init: Ones},
		Weight{Role: Norm, HF: "gpt_neox.final_layer_norm.bias", GGUF: "output_norm.bias", Tensor: &m.Norm.Beta, Shape: []int{c.Width}, Init: Zeros},
		Weight{Role: Unembedding, HF: "embed_out.weight", GGUF: "output.weight", Tensor: &m.Head, Shape: []int{c.Vocab, c.Width}, Absent: c.TieEmbeddings},
		Weight{Role: Angles, HF: "rotary angles", Tensor: &m.Rotation.Angles, Shape: []int{c.Context, s.Rotary},
			Make: func() []float32 { return s.angles(c.Context, scaledAngles) }})
}

// Forward is as Network has it.
func (m *NeoX) Forward(t *nn.Tape, ids Tensor, at nn.Places, cache Cache) Tensor {
	parallel := !neoxSettings(&m.config).Sequential
	x := t.Dropout(t.Pick(m.Tokens, ids)) // [batch, time, width]
	for i, b := range m.Blocks {
		x = t.Name(x, "hidden.%d", i)
		s := t.Scope("blocks.%d", i)
		middle := s.Name(t.Add(x, m.attend(s.Scope("attention"), b, t.LayerNorm(b.Norm1, x), at, cache.block(i))), "middle")
		read := middle
		if parallel {
			read = x
		}
		x = t.Add(middle, m.think(s.Scope("mlp"), b, t.LayerNorm(b.Norm2, read)))
		t.Segment()
	}
	return t.Name(x, "hidden.%d", len(m.Blocks))
}

// attend is attention, as Llama's is, but that it has biases.
func (m *NeoX) attend(t *nn.Tape, b *NeoXBlock, x Tensor, at nn.Places, cache Tensor) Tensor {
	c, width := m.config, x.Dim(-1)
	q, k, v := t.QKV(nn.Heads{
		Size: c.HeadSize, Query: b.QKV.Rows(0, width), Key: b.QKV.Rows(width, 2*width), Value: b.QKV.Rows(2*width, 3*width), Rotation: m.Rotation,
	}, x, at) // [batch, time, width] each
	t.See(q, "query")
	t.See(k, "key")
	t.See(v, "value")
	if !cache.Absent() {
		k = t.Store(cache.Slice(-1, 0, width), k, at) // all rows of the cache that are known so far
		v = t.Store(cache.Slice(-1, width, 2*width), v, at)
	}
	y := t.Name(t.Attention(nn.Attention{Heads: c.Heads}, q, k, v, at), "heads") // [batch, time, width]
	return t.Dropout(t.Name(t.Linear(b.Out, y), "output"))
}

// think is the MLP.
func (m *NeoX) think(t *nn.Tape, b *NeoXBlock, x Tensor) Tensor {
	answers := t.Name(t.Activate(neoxSettings(&m.config).Activation, t.Linear(b.Up, x)), "hidden") // [batch, time, inner]
	return t.Dropout(t.Name(t.Linear(b.Down, answers), "output"))                                  // [batch, time, width]
}

// Final is as Network has it.
func (m *NeoX) Final() nn.Norm { return m.Norm }

// SoftCap is as Network has it.
func (m *NeoX) SoftCap() float32 { return 0 }
