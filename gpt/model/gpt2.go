package model

// GPT-2 (Radford et al. 2019), and the models that others make of its code.

import (
	"fmt"
	"math"

	"caldera/backend"
	"caldera/nn"
)

func init() {
	Register(Family{
		Name: "gpt2", Title: "GPT-2", GGUF: "gpt2", Body: "transformer.",
		// These differ in the head, of which only that of a language model is computed.
		Classes: []string{
			"GPT2LMHeadModel", "GPT2Model", "GPT2DoubleHeadsModel", "GPT2ForSequenceClassification", "GPT2ForTokenClassification", "GPT2ForQuestionAnswering",
		},
		Buffers: []string{".attn.bias", ".attn.masked_bias"}, // causal masks
		// Other keys do not bind: dropout and summary_* count in training or for other
		// heads, and reorder_and_upcast_attn asks for attention in f32, which ours is.
		Keys: []Setting{
			// Transformers reads the general names in place of GPT-2's own, and before them.
			// n_ctx was the size of the mask. Transformers ignores it, so files are
			// published in which it differs from n_positions.
			{Field: "Context", JSON: []string{"n_positions", "n_ctx"}, Others: []string{"max_position_embeddings"}, GGUF: []string{"context_length"}},
			{Field: "Width", JSON: []string{"n_embd"}, Others: []string{"hidden_size"}, GGUF: []string{"embedding_length"}},
			{Field: "Inner", JSON: []string{"n_inner"}, GGUF: []string{"feed_forward_length"}, Needed: Nowhere},
			{Field: "Layers", JSON: []string{"n_layer"}, Others: []string{"num_hidden_layers"}, GGUF: []string{"block_count"}},
			{Field: "Heads", JSON: []string{"n_head"}, Others: []string{"num_attention_heads"}, GGUF: []string{"attention.head_count"}},
			{Field: "KVHeads", GGUF: []string{"attention.head_count_kv"}, Needed: Nowhere, ReadOnly: true},
			{Field: "Epsilon", JSON: []string{"layer_norm_epsilon"}, GGUF: []string{"attention.layer_norm_epsilon"}, Needed: InGGUF},
			{Field: "Activation", JSON: []string{"activation_function"}, Values: Activations, Needed: Nowhere},
			{Field: "Unscaled", JSON: []string{"scale_attn_weights"}, Values: []Choice{{"false", true}, {"true", false}, {"null", true}}, Needed: Nowhere},
			{Field: "ScaleByLayer", JSON: []string{"scale_attn_by_inverse_layer_idx"}, Needed: Nowhere},
			{JSON: []string{"add_cross_attention"}, Values: []Choice{{"false", nil}, {"null", nil}}, Needed: Nowhere},
		},
		Defaults: func() Config {
			return Config{Family: "gpt2", Epsilon: 1e-5, TieEmbeddings: true, Settings: &GPT2Settings{Activation: backend.GELUTanh}}
		},
		Complete: func(c *Config) {
			if c.Inner == 0 {
				c.Inner = 4 * c.Width
			}
		},
		Check: func(c Config) error {
			switch {
			case c.KVHeads != c.Heads:
				return fmt.Errorf("attention.head_count_kv: found %d, expected n_head, which is %d", c.KVHeads, c.Heads)
			case c.Width != c.Heads*c.HeadSize:
				return fmt.Errorf("n_embd: found %d, expected a multiple of n_head, which is %d", c.Width, c.Heads)
			}
			return nil
		},
		// The sizes in which GPT-2 was published, and the one that nanoGPT trains where
		// there is only a CPU.
		// https://cdn.openai.com/better-language-models/language_models_are_unsupervised_multitask_learners.pdf, table 2
		// https://github.com/karpathy/nanoGPT#quick-start
		Shapes: []NamedShape{
			{"gpt2", gpt2Shape(12, 12, 768)},
			{"gpt2-medium", gpt2Shape(24, 16, 1024)},
			{"gpt2-large", gpt2Shape(36, 20, 1280)},
			{"gpt2-xl", gpt2Shape(48, 25, 1600)},
			// https://arxiv.org/abs/2005.14165, table 2.1. Whether the unembedding is the
			// embedding is not published; here it is a matrix of its own.
			{"gpt3", Config{Layers: 96, Heads: 96, Width: 12288, Context: 2048, Vocab: 50257, BOS: []int{50256}, EOS: []int{50256}}},
			{"nanogpt", Config{Layers: 4, Heads: 4, Width: 128, Context: 64, Vocab: 65, TieEmbeddings: true}},
		},
		Network: newGPT2,
	})
}

// GPT2Settings are what only GPT-2 has.
type GPT2Settings struct {
	Activation   backend.Activation // activation_function: of the MLP
	Unscaled     bool               // scale_attn_weights is false: scores are not divided by √size of a head
	ScaleByLayer bool               // scale_attn_by_inverse_layer_idx: scores of block i are divided by i + 1
}

// gpt2Shape has what all of GPT-2's sizes have.
func gpt2Shape(layers, heads, width int) Config {
	return Config{Layers: layers, Heads: heads, Width: width, Context: 1024, Vocab: 50257, TieEmbeddings: true, BOS: []int{50256}, EOS: []int{50256}}
}

// GPT2 is a model of the family.
type GPT2 struct {
	config    Config
	Tokens    Tensor       // [vocab, width]: what each token means by itself
	Positions Tensor       // [context, width]: what it means to stand at each place
	Blocks    []*GPT2Block // attention and MLP, again and again
	Norm      nn.Norm      // before the head
	Head      Tensor       // [vocab, width]; absent where the embedding serves for it
}

// GPT2Block is one round of attention and MLP.
type GPT2Block struct {
	Attention    nn.Attention
	Activation   backend.Activation
	Norm1, Norm2 nn.Norm   // before attention, before the MLP
	QKV          nn.Linear // [3·width, width]: queries, keys and values of all heads
	Out          nn.Linear // [width, width]: what the heads found, back into the stream
	Up           nn.Linear // [inner, width]: a question a row
	Down         nn.Linear // [width, inner]: an answer a column
}

func newGPT2(c Config, _ Format) Network {
	norm := nn.Norm{Epsilon: float32(c.Epsilon)}
	m := &GPT2{config: c, Norm: norm}
	s := c.Settings.(*GPT2Settings)
	for i := range c.Layers {
		scale := 1.0
		if !s.Unscaled {
			scale = 1 / math.Sqrt(float64(c.HeadSize))
		}
		if s.ScaleByLayer {
			scale /= float64(i + 1)
		}
		m.Blocks = append(m.Blocks, &GPT2Block{
			Attention: nn.Attention{Heads: c.Heads, Scale: float32(scale)}, Activation: s.Activation, Norm1: norm, Norm2: norm,
		})
	}
	return m
}

// Weights lists the tensors.
func (m *GPT2) Weights() []Weight {
	c := m.config
	vector, inner, joined := []int{c.Width}, []int{c.Inner}, []int{3 * c.Width}
	return table([]Weight{
		{Role: Embedding, HF: "wte.weight", GGUF: "token_embd.weight", Tensor: &m.Tokens, Shape: []int{c.Vocab, c.Width}},
		{Role: Positions, HF: "wpe.weight", GGUF: "position_embd.weight", Tensor: &m.Positions, Shape: []int{c.Context, c.Width}},
	}, m.Blocks, func(b *GPT2Block) []Weight {
		return []Weight{
			{Role: Norm, HF: "h.%d.ln_1.weight", GGUF: "blk.%d.attn_norm.weight", Tensor: &b.Norm1.Gamma, Shape: vector, Init: Ones},
			{Role: Norm, HF: "h.%d.ln_1.bias", GGUF: "blk.%d.attn_norm.bias", Tensor: &b.Norm1.Beta, Shape: vector, Init: Zeros},
			{Role: QKV, HF: "h.%d.attn.c_attn.weight", GGUF: "blk.%d.attn_qkv.weight", Tensor: &b.QKV.W, Linear: &b.QKV, Shape: []int{3 * c.Width, c.Width}, Order: InOut},
			{Role: Bias, Of: QKV, HF: "h.%d.attn.c_attn.bias", GGUF: "blk.%d.attn_qkv.bias", Tensor: &b.QKV.Bias, Shape: joined, Init: Zeros},
			{Role: Output, HF: "h.%d.attn.c_proj.weight", GGUF: "blk.%d.attn_output.weight", Tensor: &b.Out.W, Linear: &b.Out, Shape: []int{c.Width, c.Width}, Init: Residual, Order: InOut},
			{Role: Bias, Of: Output, HF: "h.%d.attn.c_proj.bias", GGUF: "blk.%d.attn_output.bias", Tensor: &b.Out.Bias, Shape: vector, Init: Zeros},
			{Role: Norm, HF: "h.%d.ln_2.weight", GGUF: "blk.%d.ffn_norm.weight", Tensor: &b.Norm2.Gamma, Shape: vector, Init: Ones},
			{Role: Norm, HF: "h.%d.ln_2.bias", GGUF: "blk.%d.ffn_norm.bias", Tensor: &b.Norm2.Beta, Shape: vector, Init: Zeros},
			{Role: Up, HF: "h.%d.mlp.c_fc.weight", GGUF: "blk.%d.ffn_up.weight", Tensor: &b.Up.W, Linear: &b.Up, Shape: []int{c.Inner, c.Width}, Order: InOut},
			{Role: Bias, Of: Up, HF: "h.%d.mlp.c_fc.bias", GGUF: "blk.%d.ffn_up.bias", Tensor: &b.Up.Bias, Shape: inner, Init: Zeros},
			{Role: Down, HF: "h.%d.mlp.c_proj.weight", GGUF: "blk.%d.ffn_down.weight", Tensor: &b.Down.W, Linear: &b.Down, Shape: []int{c.Width, c.Inner}, Init: Residual, Order: InOut},
			{Role: Bias, Of: Down, HF: "h.%d.mlp.c_proj.bias", GGUF: "blk.%d.ffn_down.bias", Tensor: &b.Down.Bias, Shape: vector, Init: Zeros},
		}
	},
		Weight{Role: Norm, HF: "ln_f.weight", GGUF: "output_norm.weight", Tensor: &m.Norm.Gamma, Shape: vector, Init: Ones},
		Weight{Role: Norm, HF: "ln_f.bias", GGUF: "output_norm.bias", Tensor: &m.Norm.Beta, Shape: vector, Init: Zeros},
		Weight{Role: Unembedding, HF: "lm_head.weight", GGUF: "output.weight", Tensor: &m.Head, Shape: []int{c.Vocab, c.Width}, Absent: c.TieEmbeddings})
}

// Forward is as Network has it.
func (m *GPT2) Forward(t *nn.Tape, ids Tensor, at nn.Places, cache Cache) Tensor {
	x := t.Dropout(t.Embed(m.Tokens, m.Positions, ids, at)) // [batch, time, width]
	for i, b := range m.Blocks {
		x = t.Name(x, "hidden.%d", i)
		s := t.Scope("blocks.%d", i)
		x = t.Add(x, b.Attend(s.Scope("attention"), t.LayerNorm(b.Norm1, x), at, cache.block(i))) // attention: each position reads earlier ones
		x = s.Name(x, "middle")
		x = t.Add(x, b.Think(s.Scope("mlp"), t.LayerNorm(b.Norm2, x))) // MLP: each position by itself
		t.Segment()
	}
	return t.Name(x, "hidden.%d", len(m.Blocks))
}

// Attend moves meaning between positions. Each vector x makes a query, what it
// looks for; a key, what it can be found by; and a value, what it has to tell.
// The result gathers, for each query, the values whose keys fit it, up to itself.
func (b *GPT2Block) Attend(t *nn.Tape, x Tensor, at nn.Places, cache Tensor) Tensor {
	width := x.Dim(-1)
	qkv := t.Linear(b.QKV, x)                                       // [batch, time, 3·width]
	q, kv := qkv.Slice(-1, 0, width), qkv.Slice(-1, width, 3*width) // [batch, time, width], [batch, time, 2·width]
	t.See(q, "query")
	t.See(kv.Slice(-1, 0, width), "key")
	t.See(kv.Slice(-1, width, 2*width), "value")
	kv = t.Store(cache, kv, at) // the cache, which now has the keys and values of x too
	k, v := kv.Slice(-1, 0, width), kv.Slice(-1, width, 2*width)
	y := t.Name(t.Attention(b.Attention, q, k, v, at), "heads") // [batch, time, width]
	return t.Dropout(t.Name(t.Linear(b.Out, y), "output"))
}

// Think lets each vector ask many questions of itself, and adds up the answers.
func (b *GPT2Block) Think(t *nn.Tape, x Tensor) Tensor {
	answers := t.Name(t.Activate(b.Activation, t.Linear(b.Up, x)), "hidden") // [batch, time, 4·width]
	return t.Dropout(t.Name(t.Linear(b.Down, answers), "output"))            // [batch, time, width]
}

// Final is as Network has it.
func (m *GPT2) Final() nn.Norm { return m.Norm }

// SoftCap is as Network has it.
func (m *GPT2) SoftCap() float32 { return 0 }
