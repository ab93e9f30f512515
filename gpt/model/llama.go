package model

// Llama (Touvron et al. 2023, arXiv:2302.13971; Grattafiori et al. 2024,
// arXiv:2407.21783), and the many models that are built as it is: norms by the root
// mean square, rotary positions, heads that share keys and values, a gated MLP.

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"caldera/backend"
	"caldera/nn"
)

const ropeFactors = "rope_freqs.weight"

// maxAngles is the most numbers of a table of angles: a file that asks for more is
// damaged or hostile.
const maxAngles = 1 << 30

func init() {
	Register(Family{
		Name: "llama", Title: "Llama", GGUF: "llama", Body: "model.",
		Classes: []string{"LlamaForCausalLM", "LlamaModel", "LlamaForSequenceClassification", "LlamaForTokenClassification", "LlamaForQuestionAnswering"},
		Buffers: []string{".rotary_emb.inv_freq"},
		Keys: []Setting{
			{Field: "Layers", JSON: []string{"num_hidden_layers"}, GGUF: []string{"block_count"}},
			{Field: "Heads", JSON: []string{"num_attention_heads"}, GGUF: []string{"attention.head_count"}},
			{Field: "KVHeads", JSON: []string{"num_key_value_heads"}, GGUF: []string{"attention.head_count_kv"}, Needed: Nowhere},
			{Field: "HeadSize", JSON: []string{"head_dim"}, GGUF: []string{"attention.key_length", "attention.value_length", "rope.dimension_count"}, Needed: Nowhere},
			{Field: "Width", JSON: []string{"hidden_size"}, GGUF: []string{"embedding_length"}},
			{Field: "Inner", JSON: []string{"intermediate_size"}, GGUF: []string{"feed_forward_length"}},
			{Field: "Context", JSON: []string{"max_position_embeddings"}, GGUF: []string{"context_length"}},
			{Field: "Epsilon", JSON: []string{"rms_norm_eps"}, GGUF: []string{"attention.layer_norm_rms_epsilon"}, Needed: InGGUF},
			{Field: "Activation", JSON: []string{"hidden_act"}, Values: Activations, Needed: Nowhere},
			{Field: "QKVBias", JSON: []string{"attention_bias"}, Tensor: "blk.0.attn_q.bias", Needed: Nowhere},
			{Field: "OutBias", JSON: []string{"attention_bias"}, Tensor: "blk.0.attn_output.bias", Needed: Nowhere},
			{Field: "MLPBias", JSON: []string{"mlp_bias"}, Tensor: "blk.0.ffn_up.bias", Needed: Nowhere},
			{Field: "Theta", JSON: []string{"rope_theta"}, Others: []string{"rope_scaling.rope_theta", "rope_parameters.rope_theta"}, GGUF: []string{"rope.freq_base"}, Needed: Nowhere},
			{JSON: []string{"partial_rotary_factor"}, Others: []string{"rope_parameters.partial_rotary_factor"}, Values: []Choice{{"1", nil}, {"1.0", nil}, {"null", nil}}, Needed: Nowhere},
			// Of layers of several kinds: none of these models has them.
			{JSON: []string{"rope_parameters.full_attention"}, Values: []Choice{{"null", nil}}, Needed: Nowhere},
			{JSON: []string{"rope_parameters.sliding_attention"}, Values: []Choice{{"null", nil}}, Needed: Nowhere},
			{GGUF: []string{"expert_count"}, Values: []Choice{{"0", nil}}, Needed: Nowhere},
			{GGUF: []string{"rope.scaling.attn_factor"}, Values: []Choice{{"1", nil}}, Needed: Nowhere},
			// How positions are scaled: GGUF has a type and a factor, or else the factors of
			// all pairs, which stand for those of Llama 3.
			{Field: "Scaling", JSON: []string{"rope_scaling.rope_type"}, Others: []string{"rope_scaling.rope_type", "rope_scaling.type", "rope_parameters.rope_type", "rope_parameters.type"}, Tensor: ropeFactors,
				Values: []Choice{{`"default"`, "none"}, {`"linear"`, "linear"}, {`"llama3"`, "llama3"}}, Needed: Nowhere},
			{Field: "Factor", JSON: []string{"rope_scaling.factor"}, Others: []string{"rope_scaling.factor", "rope_parameters.factor"}, Tensor: ropeFactors, Needed: Nowhere},
			{Field: "Low", JSON: []string{"rope_scaling.low_freq_factor"}, Others: []string{"rope_scaling.low_freq_factor", "rope_parameters.low_freq_factor"}, Tensor: ropeFactors, Needed: Nowhere},
			{Field: "High", JSON: []string{"rope_scaling.high_freq_factor"}, Others: []string{"rope_scaling.high_freq_factor", "rope_parameters.high_freq_factor"}, Tensor: ropeFactors, Needed: Nowhere},
			{Field: "Original", JSON: []string{"rope_scaling.original_max_position_embeddings"}, Others: []string{"rope_scaling.original_max_position_embeddings", "rope_parameters.original_max_position_embeddings"}, Tensor: ropeFactors, Needed: Nowhere},
			{Field: "Scaling", GGUF: []string{"rope.scaling.type"}, Values: []Choice{{`"none"`, "none"}, {`"linear"`, "linear"}}, Needed: Nowhere},
			{Field: "Linear", GGUF: []string{"rope.scale_linear"}, Needed: Nowhere, ReadOnly: true}, // its old name
			{Field: "Linear", GGUF: []string{"rope.scaling.factor"}, Needed: Nowhere},
			{Field: "Factors", Tensor: ropeFactors, Needed: Nowhere},
		},
		Defaults: func() Config {
			return Config{Family: "llama", Epsilon: 1e-6, Settings: &LlamaSettings{Activation: backend.SiLU, Theta: 10000}}
		},
		Complete: completeLlama,
		Check: func(c Config) error {
			s := llamaSettings(&c)
			switch {
			case c.HeadSize%2 != 0:
				return fmt.Errorf("head_dim: found %d, expected an even number: rotary positions turn pairs", c.HeadSize)
			case int64(c.Context)*int64(c.HeadSize) > maxAngles:
				return fmt.Errorf("max_position_embeddings: found %d with heads of %d, expected a product of at most %d: a table has the angles of all positions", c.Context, c.HeadSize, maxAngles)
			case s.Scaling == "" && s.Factor != 0:
				return fmt.Errorf("rope_scaling.rope_type: missing, expected one that tells what factor is for")
			case s.Scaling == "linear" && s.Factor == 0:
				return fmt.Errorf("rope_scaling.factor: missing, expected a number for linear scaling")
			case s.Scaling == "llama3" && (s.Factor == 0 || s.Low == 0 || s.High <= s.Low || s.Original == 0):
				return fmt.Errorf("rope_scaling: found factor %v, low_freq_factor %v, high_freq_factor %v and original_max_position_embeddings %d, expected numbers above 0, the second below the third",
					s.Factor, s.Low, s.High, s.Original)
			case len(s.Factors) != 0 && len(s.Factors) != c.HeadSize/2:
				return fmt.Errorf("tensor %s: found %d numbers, expected %d, one for each pair of a head", ropeFactors, len(s.Factors), c.HeadSize/2)
			}
			for i, f := range s.Factors {
				if !(f > 0) {
					return fmt.Errorf("tensor %s: found %v as number %d, expected more than 0", ropeFactors, f, i)
				}
			}
			return nil
		},
		Shapes: []NamedShape{
			// https://huggingface.co/meta-llama/Llama-3.2-1B
			{"llama-3.2-1b", Config{
				Layers: 16, Heads: 32, KVHeads: 8, Width: 2048, Inner: 8192, Context: 131072, Vocab: 128256, Epsilon: 1e-5, TieEmbeddings: true,
				BOS: []int{128000}, EOS: []int{128001},
				Settings: &LlamaSettings{Activation: backend.SiLU, Theta: 500000, Scaling: "llama3", Factor: 32, Low: 1, High: 4, Original: 8192},
			}},
			// https://huggingface.co/HuggingFaceTB/SmolLM2-135M and SmolLM2-360M
			{"smollm2-135m", Config{
				Layers: 30, Heads: 9, KVHeads: 3, Width: 576, Inner: 1536, Context: 8192, Vocab: 49152, Epsilon: 1e-5, TieEmbeddings: true,
				BOS: []int{0}, EOS: []int{0}, Settings: &LlamaSettings{Activation: backend.SiLU, Theta: 100000},
			}},
			{"smollm2-360m", Config{
				Layers: 32, Heads: 15, KVHeads: 5, Width: 960, Inner: 2560, Context: 8192, Vocab: 49152, Epsilon: 1e-5, TieEmbeddings: true,
				BOS: []int{0}, EOS: []int{0}, Settings: &LlamaSettings{Activation: backend.SiLU, Theta: 100000},
			}},
			{"llama-tiny", Config{Layers: 4, Heads: 4, KVHeads: 2, Width: 128, Context: 64, Vocab: 65, TieEmbeddings: true}}, // of characters, as nanogpt
		},
		Network: newLlama,
	})
}

// LlamaSettings are what only Llama has.
type LlamaSettings struct {
	Activation                backend.Activation // hidden_act: of the MLP's gate
	QKVBias, OutBias, MLPBias bool               // attention_bias, mlp_bias: products that have one
	Theta                     float64            // rope_theta: the slowest pair turns by about 1/Theta a position

	// How positions beyond those of training are scaled (rope_scaling): "linear" and
	// "llama3", which take the numbers below; empty or "none" for not at all.
	Scaling           string
	Factor, Low, High float64
	Original          int
	Linear            float64 // Factor where that is of linear scaling: what angles are divided by; 0 for 1

	// Factors are what the angles of each pair are divided by: of a GGUF file, or what
	// llama3 comes to. Empty for 1.
	Factors []float32
}

func llamaSettings(c *Config) *LlamaSettings { return c.Settings.(*LlamaSettings) }

// completeLlama sets what follows from the rest.
func completeLlama(c *Config) {
	if c.Inner == 0 { // as many weights as in an MLP of 4 · width without a gate
		c.Inner = (8*c.Width/3 + 31) / 32 * 32
	}
	s := *llamaSettings(c)
	if s.Scaling == "" && s.Linear != 0 {
		s.Scaling = "linear" // as llama.cpp takes a file that does not tell
	}
	switch {
	case s.Scaling == "none":
		s.Linear = 0 // llama.cpp does not read a factor either
	case s.Scaling == "linear":
		s.Linear = cmp.Or(s.Linear, s.Factor)
		s.Factor = s.Linear
	case s.Scaling == "llama3" && s.Factors == nil && c.HeadSize > 0 && c.HeadSize <= maxWidth:
		s.Factors = s.llama3(c.HeadSize)
	case s.Scaling == "" && s.Factors != nil && len(s.Factors) == c.HeadSize/2:
		s.recognise(c.HeadSize)
	}
	c.Settings = &s
}

// wavelength is how many positions a pair of a head takes to turn once.
func (s *LlamaSettings) wavelength(pair, size int) float64 {
	return 2 * math.Pi * math.Pow(s.Theta, 2*float64(pair)/float64(size))
}

// llama3 are the factors of Llama 3: pairs that turn fast stay, slow ones turn more
// slowly by s.Factor, and between them is a passage.
func (s *LlamaSettings) llama3(size int) []float32 {
	factors := make([]float32, size/2)
	for i := range factors {
		smooth := (float64(s.Original)/s.wavelength(i, size) - s.Low) / (s.High - s.Low)
		smooth = max(0, min(1, smooth))
		factors[i] = float32(1 / ((1-smooth)/s.Factor + smooth))
	}
	return factors
}

// recognise finds the settings of llama3 in s.Factors, so that config.json can say
// them: where two pairs are in the passage they follow, but for a factor that low,
// high and original share. It leaves s as it is if the factors are others.
func (s *LlamaSettings) recognise(size int) {
	guess := *s
	guess.Scaling, guess.Low, guess.Factor = "llama3", 1, float64(s.Factors[len(s.Factors)-1])
	var turns, smooths []float64
	for i, f := range s.Factors {
		if x := float64(f); x > 1 && x < guess.Factor {
			turns = append(turns, 1/s.wavelength(i, size))
			smooths = append(smooths, (1/x-1/guess.Factor)/(1-1/guess.Factor))
		}
	}
	switch last := len(turns) - 1; last {
	case -1:
		return
	case 0: // as all of Llama 3 have it
		guess.High, guess.Original = 4, int(math.Round((1+3*smooths[0])/turns[0]))
	default:
		slope := (smooths[0] - smooths[last]) / (turns[0] - turns[last])
		low := slope*turns[0] - smooths[0]
		guess.High, guess.Original = math.Round(1000*(1+1/low))/1000, int(math.Round(slope/low))
	}
	guess.Factors = guess.llama3(size)
	nearly := func(a, b float32) bool { return math.Abs(float64(a/b)-1) <= 1e-6 } // but for rounding
	if guess.High > 1 && guess.Original > 0 && slices.EqualFunc(guess.Factors, s.Factors, nearly) {
		*s = guess
	}
}

// angles are cosines and sines of each position, [context, 2·pairs].
func (s *LlamaSettings) angles(context, size int) []float32 {
	pairs := size / 2
	values := make([]float32, context*size)
	for i := range pairs {
		turn := 2 * math.Pi / s.wavelength(i, size) / cmp.Or(s.Linear, 1)
		if s.Factors != nil {
			turn /= float64(s.Factors[i])
		}
		for p := range context {
			sin, cos := math.Sincos(float64(p) * turn)
			values[p*size+i], values[p*size+pairs+i] = float32(cos), float32(sin)
		}
	}
	return values
}

// Llama is a model of the family.
type Llama struct {
	config   Config
	Tokens   Tensor // [vocab, width]: what each token means by itself
	Rotation nn.Rotation
	Blocks   []*LlamaBlock // attention and MLP, again and again
	Norm     nn.Norm       // before the head
	Head     Tensor        // [vocab, width]; absent where the embedding serves for it
}

// LlamaBlock is one round of attention and MLP.
type LlamaBlock struct {
	Norm1, Norm2 nn.Norm   // before attention, before the MLP
	Query        nn.Linear // [heads·size, width]
	Key, Value   nn.Linear // [kv heads·size, width]
	Out          nn.Linear // [width, heads·size]: what the heads found, back into the stream
	Gate, Up     nn.Linear // [inner, width]: a question a row, and how much it matters
	Down         nn.Linear // [width, inner]: an answer a column
}

func newLlama(c Config, order Format) Network {
	norm := nn.Norm{Epsilon: float32(c.Epsilon), RMS: true}
	m := &Llama{config: c, Norm: norm}
	if order == GGUF {
		m.Rotation.Pairing = backend.Neighbours
	}
	for range c.Layers {
		m.Blocks = append(m.Blocks, &LlamaBlock{Norm1: norm, Norm2: norm})
	}
	return m
}

// Weights lists the tensors.
func (m *Llama) Weights() []Weight {
	c, s := m.config, llamaSettings(&m.config)
	heads, kv := c.Heads*c.HeadSize, c.KVHeads*c.HeadSize
	return table([]Weight{
		{Role: Embedding, HF: "model.embed_tokens.weight", GGUF: "token_embd.weight", Tensor: &m.Tokens, Shape: []int{c.Vocab, c.Width}},
	}, m.Blocks, func(b *LlamaBlock) []Weight {
		return []Weight{
			{Role: Norm, HF: "model.layers.%d.input_layernorm.weight", GGUF: "blk.%d.attn_norm.weight", Tensor: &b.Norm1.Gamma, Shape: []int{c.Width}, Init: Ones},
			{Role: Query, HF: "model.layers.%d.self_attn.q_proj.weight", GGUF: "blk.%d.attn_q.weight", Tensor: &b.Query.W, Shape: []int{heads, c.Width}, Order: Rotated},
			{Role: Key, Below: true, HF: "model.layers.%d.self_attn.k_proj.weight", GGUF: "blk.%d.attn_k.weight", Tensor: &b.Key.W, Shape: []int{kv, c.Width}, Order: Rotated},
			{Role: Value, Below: true, HF: "model.layers.%d.self_attn.v_proj.weight", GGUF: "blk.%d.attn_v.weight", Tensor: &b.Value.W, Shape: []int{kv, c.Width}},
			{Role: Output, HF: "model.layers.%d.self_attn.o_proj.weight", GGUF: "blk.%d.attn_output.weight", Tensor: &b.Out.W, Shape: []int{c.Width, heads}, Init: Residual},
			{Role: Norm, HF: "model.layers.%d.post_attention_layernorm.weight", GGUF: "blk.%d.ffn_norm.weight", Tensor: &b.Norm2.Gamma, Shape: []int{c.Width}, Init: Ones},
			{Role: Gate, HF: "model.layers.%d.mlp.gate_proj.weight", GGUF: "blk.%d.ffn_gate.weight", Tensor: &b.Gate.W, Shape: []int{c.Inner, c.Width}},
			{Role: Up, Below: true, HF: "model.layers.%d.mlp.up_proj.weight", GGUF: "blk.%d.ffn_up.weight", Tensor: &b.Up.W, Shape: []int{c.Inner, c.Width}},
			{Role: Down, HF: "model.layers.%d.mlp.down_proj.weight", GGUF: "blk.%d.ffn_down.weight", Tensor: &b.Down.W, Shape: []int{c.Width, c.Inner}, Init: Residual},
			{Role: Bias, Of: Query, HF: "model.layers.%d.self_attn.q_proj.bias", GGUF: "blk.%d.attn_q.bias", Tensor: &b.Query.Bias, Shape: []int{heads}, Init: Zeros, Order: Rotated, Absent: !s.QKVBias},
			{Role: Bias, Of: Key, Below: true, HF: "model.layers.%d.self_attn.k_proj.bias", GGUF: "blk.%d.attn_k.bias", Tensor: &b.Key.Bias, Shape: []int{kv}, Init: Zeros, Order: Rotated, Absent: !s.QKVBias},
			{Role: Bias, Of: Value, Below: true, HF: "model.layers.%d.self_attn.v_proj.bias", GGUF: "blk.%d.attn_v.bias", Tensor: &b.Value.Bias, Shape: []int{kv}, Init: Zeros, Absent: !s.QKVBias},
			{Role: Bias, Of: Output, HF: "model.layers.%d.self_attn.o_proj.bias", GGUF: "blk.%d.attn_output.bias", Tensor: &b.Out.Bias, Shape: []int{c.Width}, Init: Zeros, Absent: !s.OutBias},
			{Role: Bias, Of: Gate, HF: "model.layers.%d.mlp.gate_proj.bias", GGUF: "blk.%d.ffn_gate.bias", Tensor: &b.Gate.Bias, Shape: []int{c.Inner}, Init: Zeros, Absent: !s.MLPBias},
			{Role: Bias, Of: Up, Below: true, HF: "model.layers.%d.mlp.up_proj.bias", GGUF: "blk.%d.ffn_up.bias", Tensor: &b.Up.Bias, Shape: []int{c.Inner}, Init: Zeros, Absent: !s.MLPBias},
			{Role: Bias, Of: Down, HF: "model.layers.%d.mlp.down_proj.bias", GGUF: "blk.%d.ffn_down.bias", Tensor: &b.Down.Bias, Shape: []int{c.Width}, Init: Zeros, Absent: !s.MLPBias},
		}
	},
		Weight{Role: Norm, HF: "model.norm.weight", GGUF: "output_norm.weight", Tensor: &m.Norm.Gamma, Shape: []int{c.Width}, Init: Ones},
		Weight{Role: Unembedding, HF: "lm_head.weight", GGUF: "output.weight", Tensor: &m.Head, Shape: []int{c.Vocab, c.Width}, Absent: c.TieEmbeddings},
		Weight{Role: Angles, HF: "rotary angles", Tensor: &m.Rotation.Angles, Shape: []int{c.Context, c.HeadSize},
			Make: func() []float32 { return s.angles(c.Context, c.HeadSize) }})
}

// Forward is as Network has it.
func (m *Llama) Forward(t *nn.Tape, ids Tensor, at nn.Places, cache Cache) Tensor {
	x := t.Dropout(t.Pick(m.Tokens, ids)) // [batch, time, width]
	for i, b := range m.Blocks {
		x = t.Name(x, "hidden.%d", i)
		s := t.Scope("blocks.%d", i)
		x = t.Add(x, m.attend(s.Scope("attention"), b, t.RMSNorm(b.Norm1, x), at, cache.block(i)))
		x = s.Name(x, "middle")
		x = t.Add(x, m.think(s.Scope("mlp"), b, t.RMSNorm(b.Norm2, x)))
		t.Segment()
	}
	return t.Name(x, "hidden.%d", len(m.Blocks))
}

// attend is attention, in which a key and value serve several queries. Queries and
// keys are turned by where they stand, so that their product tells how far apart
// they are. A cache has keys that are turned.
func (m *Llama) attend(t *nn.Tape, b *LlamaBlock, x Tensor, at nn.Places, cache Tensor) Tensor {
	c := m.config
	q, k, v := t.QKV(m.Rotation, c.HeadSize, b.Query, b.Key, b.Value, x, at) // [batch, time, heads·size], [batch, time, kv heads·size] twice
	t.See(q, "query")
	t.See(k, "key")
	t.See(v, "value")
	if width := k.Dim(-1); !cache.Absent() {
		k = t.Store(cache.Slice(-1, 0, width), k, at) // all rows of the cache that are known so far
		v = t.Store(cache.Slice(-1, width, 2*width), v, at)
	}
	y := t.Name(t.Attention(nn.Attention{Heads: c.Heads}, q, k, v, at), "heads") // [batch, time, heads·size]
	return t.Dropout(t.Name(t.Linear(b.Out, y), "output"))                       // [batch, time, width]
}

// think is the MLP: the gate decides what of up passes.
func (m *Llama) think(t *nn.Tape, b *LlamaBlock, x Tensor) Tensor {
	gate := nn.Gate{Func: llamaSettings(&m.config).Activation}
	y := t.Linears(x, b.Gate, b.Up)                                               // [batch, time, inner] twice
	inner := t.GatedActivation(gate, y[0], y[1])                                  // likewise
	return t.Dropout(t.Name(t.Linear(b.Down, t.Name(inner, "hidden")), "output")) // [batch, time, width]
}

// Final is as Network has it.
func (m *Llama) Final() nn.Norm { return m.Norm }
