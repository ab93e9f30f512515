package model

// What a decoder computes, and the weights that it has.

import (
	"math"
	"slices"

	"caldera/backend"
	"caldera/nn"
)

// Decoder is a model of a family of decoders: see decoder.go.
type Decoder struct {
	config Config
	row    switches
	Tokens Tensor // [vocab, width]: what each token means by itself
	Factor Tensor // [1]: what that is multiplied by; absent for 1
	Blocks []*DecoderBlock
	Norm   nn.Norm // before the head
	Head   Tensor  // [vocab, width]; absent where the embedding serves for it

	Rotation    nn.Rotation // how positions turn heads
	Local, Long nn.Rotation // of layers with a window, of contexts beyond that of training, where these are others
}

// DecoderBlock is one round of attention and MLP.
type DecoderBlock struct {
	Attention      nn.Attention
	Norm1, Norm2   nn.Norm // before attention, before the MLP
	After1, After2 nn.Norm // of what attention adds, of what the MLP adds

	Query              nn.Linear // [heads·size, width]
	Key, Value         nn.Linear // [kv heads·size, width]
	QKV                nn.Linear // the three in one
	QueryNorm, KeyNorm nn.Norm   // of each head, or of all
	Out                nn.Linear // [width, heads·size]: what the heads found, back into the stream
	Gate, Up           nn.Linear // [inner, width]: a question a row, and how much it matters
	GateUp             nn.Linear // the two in one
	Down               nn.Linear // [width, inner]: an answer a column

	Router                           nn.Linear  // [experts, width]: how much each expert is asked
	ExpertGate, ExpertUp, ExpertDown nn.Experts // in place of Gate, Up and Down: those of each expert
}

func newDecoder(row switches, c Config, order Format) Network {
	norm := nn.Norm{Epsilon: float32(c.Epsilon), RMS: true}
	s := decoderSettings(&c)
	m := &Decoder{config: c, row: row, Norm: norm}
	if order == GGUF && row.neighbours {
		m.Rotation.Pairing = backend.Neighbours
	}
	m.Local, m.Long = m.Rotation, m.Rotation
	for i := range c.Layers {
		b := &DecoderBlock{Norm1: norm, Norm2: norm, After1: norm, After2: norm, QueryNorm: norm, KeyNorm: norm}
		b.Attention = nn.Attention{Heads: c.Heads, Scale: float32(1 / math.Sqrt(s.ScaleBy)), SoftCap: float32(s.SoftCap)}
		if s.windowed(i) {
			b.Attention.Window = s.Window
		}
		m.Blocks = append(m.Blocks, b)
	}
	return m
}

// Window is how many positions a query of layer i sees, its own included; 0: all up to its own.
func (m *Decoder) Window(i int) int { return m.Blocks[i].Attention.Window }

// windowed and turned tell of layer i whether its queries see a window, and whether
// positions turn its heads.
func (s *DecoderSettings) windowed(i int) bool { return i < len(s.Sliding) && s.Sliding[i] }
func (s *DecoderSettings) turned(i int) bool   { return i >= len(s.Turned) || s.Turned[i] }

// localAngles reports whether layers with a window turn heads by other angles than the rest.
func (m *Decoder) localAngles() bool {
	s := decoderSettings(&m.config)
	other := s.Local != 0 && s.Local != s.Theta || s.Scaling != "" && s.Scaling != "none"
	return m.row.local && other && slices.Contains(s.Sliding, true)
}

// longAngles reports whether contexts longer than that of training have angles of their own.
func (m *Decoder) longAngles() bool {
	s := decoderSettings(&m.config)
	return s.Scaling == "longrope" && m.config.Context > s.Original
}

// Weights lists the tensors.
func (m *Decoder) Weights() []Weight {
	c, row, s := m.config, m.row, decoderSettings(&m.config)
	heads, kv := c.Heads*c.HeadSize, c.KVHeads*c.HeadSize
	before, after := row.norms != normAfter, row.norms != normBefore
	order, one := Same, Ones
	if row.neighbours {
		order = Rotated
	}
	if row.less == 1 {
		one = Zeros // which are ones in memory
	}
	// Names in both formats: of a tensor of the model, and of a block.
	model := func(hf string) string { return "model." + hf + ".weight" }
	block := func(hf, end string) string { return "model.layers.%d." + hf + "." + end }
	gguf := func(name, end string) string { return "blk.%d." + name + "." + end }
	mlpNorm, mlpNormGGUF := "post_attention_layernorm", "ffn_norm" // which is before the MLP, where attention has none after it
	if after {
		mlpNorm = "pre_feedforward_layernorm"
	}
	if row.experts {
		mlpNormGGUF = "post_attention_norm"
	}
	angles := func(name string, r *nn.Rotation, kind angleKind, context int, absent bool) Weight {
		return Weight{Role: Angles, HF: name, Tensor: &r.Angles, Shape: []int{context, s.Rotary}, Absent: absent,
			Make: func() []float32 { return s.angles(context, kind) }}
	}
	short := c.Context
	if m.longAngles() {
		short = s.Original
	}
	return table([]Weight{
		{Role: Embedding, HF: model("embed_tokens"), GGUF: "token_embd.weight", Tensor: &m.Tokens, Shape: []int{c.Vocab, c.Width}},
	}, m.Blocks, func(b *DecoderBlock) []Weight {
		matrix := func(role Role, hf, name string, l *nn.Linear, out, in int) Weight {
			return Weight{Role: role, HF: block(hf, "weight"), GGUF: gguf(name, "weight"), Tensor: &l.W, Linear: l, Shape: []int{out, in}}
		}
		bias := func(w Weight, l *nn.Linear, there bool) Weight {
			hf, name := len(w.HF)-len("weight"), len(w.GGUF)-len("weight")
			return Weight{Role: Bias, Of: w.Role, Below: w.Below, HF: w.HF[:hf] + "bias", GGUF: w.GGUF[:name] + "bias", Tensor: &l.Bias, Shape: w.Shape[:1], Init: Zeros,
				Order: w.Order, Absent: w.Absent || !there}
		}
		norm := func(hf, name string, n *nn.Norm, size int, of Role, there bool) Weight {
			return Weight{Role: Norm, Of: of, HF: block(hf, "weight"), GGUF: gguf(name, "weight"), Tensor: &n.Gamma, Shape: []int{size}, Init: one, Less: row.less, Absent: !there}
		}
		query := matrix(Query, "self_attn.q_proj", "attn_q", &b.Query, heads, c.Width)
		key := matrix(Key, "self_attn.k_proj", "attn_k", &b.Key, kv, c.Width)
		value := matrix(Value, "self_attn.v_proj", "attn_v", &b.Value, kv, c.Width)
		joined := matrix(QKV, "self_attn.qkv_proj", "attn_qkv", &b.QKV, heads+2*kv, c.Width)
		out := matrix(Output, "self_attn.o_proj", "attn_output", &b.Out, c.Width, heads)
		gate := matrix(Gate, "mlp.gate_proj", "ffn_gate", &b.Gate, c.Inner, c.Width)
		up := matrix(Up, "mlp.up_proj", "ffn_up", &b.Up, c.Inner, c.Width)
		both := matrix(GateUp, "mlp.gate_up_proj", "ffn_up", &b.GateUp, 2*c.Inner, c.Width)
		down := matrix(Down, "mlp.down_proj", "ffn_down", &b.Down, c.Width, c.Inner)
		query.Order, key.Order = order, order
		key.Below, value.Below, up.Below = true, true, true
		out.Init, down.Init = Residual, Residual
		for _, w := range []*Weight{&query, &key, &value, &gate, &up} {
			w.Absent = row.fused
		}
		joined.Absent, both.Absent = !row.fused, !row.fused
		for _, w := range []*Weight{&gate, &up, &both, &down} {
			w.Absent = w.Absent || row.experts
		}
		router := matrix(Router, "mlp.router", "ffn_gate_inp", &b.Router, s.Experts, c.Width)
		router.Absent = !row.experts
		sizes := map[normOf][2]int{eachHead: {c.HeadSize, c.HeadSize}, wholeNorm: {heads, kv}}[row.queryNorm]
		return slices.Concat([]Weight{
			norm("input_layernorm", "attn_norm", &b.Norm1, c.Width, 0, before),
			query, key, value, joined, out,
			norm(mlpNorm, mlpNormGGUF, &b.Norm2, c.Width, 0, before),
			gate, up, both, down,
			bias(query, &b.Query, s.QKVBias), bias(key, &b.Key, s.QKVBias), bias(value, &b.Value, s.QKVBias), bias(out, &b.Out, s.OutBias),
			bias(gate, &b.Gate, s.MLPBias), bias(up, &b.Up, s.MLPBias), bias(down, &b.Down, s.MLPBias),
			norm("self_attn.q_norm", "attn_q_norm", &b.QueryNorm, sizes[0], Query, row.queryNorm != noNorm),
			norm("self_attn.k_norm", "attn_k_norm", &b.KeyNorm, sizes[1], Key, row.queryNorm != noNorm),
			norm("post_attention_layernorm", "post_attention_norm", &b.After1, c.Width, Output, after),
			norm("post_feedforward_layernorm", "post_ffw_norm", &b.After2, c.Width, Down, after),
			{Role: Sinks, HF: "model.layers.%d.self_attn.sinks", GGUF: gguf("attn_sinks", "weight"), Tensor: &b.Attention.Sinks, Shape: []int{c.Heads}, Absent: !row.sinks},
			router, bias(router, &b.Router, row.experts),
		}, m.experts(b))
	},
		Weight{Role: Norm, HF: model("norm"), GGUF: "output_norm.weight", Tensor: &m.Norm.Gamma, Shape: []int{c.Width}, Init: one, Less: row.less},
		Weight{Role: Unembedding, HF: "lm_head.weight", GGUF: "output.weight", Tensor: &m.Head, Shape: []int{c.Vocab, c.Width}, Absent: c.TieEmbeddings},
		angles("rotary angles", &m.Rotation, scaledAngles, short, false),
		angles("rotary angles of layers with a window", &m.Local, localAngles, c.Context, !m.localAngles()),
		angles("rotary angles of long contexts", &m.Long, longAngles, c.Context, !m.longAngles()),
		Weight{Role: Factor, HF: "factor of embeddings", Tensor: &m.Factor, Shape: []int{1}, Absent: !row.scaled,
			Make: func() []float32 { return []float32{float32(math.Sqrt(float64(c.Width)))} }})
}

// Forward is as Network has it.
func (m *Decoder) Forward(t *nn.Tape, ids Tensor, at nn.Places, cache Cache) Tensor {
	x := t.Pick(m.Tokens, ids) // [batch, time, width]
	if m.row.scaled {
		x = t.Scale(x, m.Factor)
	}
	x = t.Dropout(x)
	for i, b := range m.Blocks {
		x = t.Name(x, "hidden.%d", i)
		s := t.Scope("blocks.%d", i)
		x = t.Add(x, m.attend(s.Scope("attention"), i, m.before(t, b.Norm1, x), at, cache.block(i)))
		x = s.Name(x, "middle")
		x = t.Add(x, m.think(s.Scope("mlp"), b, m.before(t, b.Norm2, x)))
		t.Segment()
	}
	return t.Name(x, "hidden.%d", len(m.Blocks))
}

// before is the norm of what attention or the MLP reads, and after that of what it writes,
// where the family has it.
func (m *Decoder) before(t *nn.Tape, n nn.Norm, x Tensor) Tensor {
	if m.row.norms == normAfter {
		return x
	}
	return t.RMSNorm(n, x)
}

func (m *Decoder) after(t *nn.Tape, n nn.Norm, x Tensor) Tensor {
	if m.row.norms == normBefore {
		return x
	}
	return t.RMSNorm(n, x)
}

// attend is attention, in which a key and value serve several queries. Queries and
// keys are turned by where they stand, so that their product tells how far apart
// they are. A cache has keys that are turned.
func (m *Decoder) attend(t *nn.Tape, i int, x Tensor, at nn.Places, cache Tensor) Tensor {
	b := m.Blocks[i]
	q, k, v := t.QKV(m.heads(i, at, x, cache), x, at) // [batch, time, heads·size], [batch, time, kv heads·size] twice
	t.See(q, "query")
	t.See(k, "key")
	t.See(v, "value")
	at = at.Within(b.Attention.Window)
	if width := k.Dim(-1); !cache.Absent() {
		keys, values := cache.Slice(-1, 0, width), cache.Slice(-1, width, 2*width) // all rows that are known so far
		if m.row.queryNorm != noNorm {                                             // values come from the product itself, which can store them, keys later
			v = t.Store(values, v, at)
			k = t.Store(keys, k, at)
		} else {
			k = t.Store(keys, k, at)
			v = t.Store(values, v, at)
		}
	}
	y := t.Name(t.Attention(b.Attention, q, k, v, at), "heads")                  // [batch, time, heads·size]
	return t.Dropout(t.Name(m.after(t, b.After1, t.Linear(b.Out, y)), "output")) // [batch, time, width]
}

// heads says how layer i makes its queries, keys and values.
func (m *Decoder) heads(i int, at nn.Places, x, cache Tensor) nn.Heads {
	b, s := m.Blocks[i], decoderSettings(&m.config)
	h := nn.Heads{Size: m.config.HeadSize, Query: b.Query, Key: b.Key, Value: b.Value}
	if m.row.fused {
		queries, keys := m.config.Heads*h.Size, (m.config.Heads+m.config.KVHeads)*h.Size
		h.Query, h.Key, h.Value = b.QKV.Rows(0, queries), b.QKV.Rows(queries, keys), b.QKV.Rows(keys, b.QKV.W.Dim(-2))
	}
	if m.row.queryNorm != noNorm {
		h.QueryNorm, h.KeyNorm, h.NormWhole = b.QueryNorm, b.KeyNorm, m.row.queryNorm == wholeNorm
	}
	switch {
	case !s.turned(i):
	case s.windowed(i) && m.localAngles():
		h.Rotation = m.Local
	case m.longAngles() && at.Positions(x, cache) > s.Original:
		h.Rotation = m.Long
	default:
		h.Rotation = m.Rotation
	}
	return h
}

// think is the MLP: the gate decides what of up passes.
func (m *Decoder) think(t *nn.Tape, b *DecoderBlock, x Tensor) Tensor {
	if m.row.experts {
		return t.Name(m.ask(t, b, x), "output")
	}
	gate, up := b.Gate, b.Up
	if m.row.fused {
		gate, up = b.GateUp.Rows(0, m.config.Inner), b.GateUp.Rows(m.config.Inner, 2*m.config.Inner)
	}
	y := t.Linears(x, gate, up)                                                                         // [batch, time, inner] twice
	inner := t.GatedActivation(nn.Gate{Func: decoderSettings(&m.config).Activation}, y[0], y[1])        // likewise
	return t.Dropout(t.Name(m.after(t, b.After2, t.Linear(b.Down, t.Name(inner, "hidden"))), "output")) // [batch, time, width]
}

// Final is as Network has it.
func (m *Decoder) Final() nn.Norm { return m.Norm }

// SoftCap is as Network has it.
func (m *Decoder) SoftCap() float32 { return float32(decoderSettings(&m.config).FinalCap) }
