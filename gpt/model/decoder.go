package model

// The model that most families are, each with switches of its own: Llama and those that
// were built after it. Norms by the root mean square, rotary positions, heads that share
// keys and values, a gated MLP.

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"caldera/backend"
)

// DecoderSettings are what families of decoders have beside the shape. A family reads and
// writes those that its rows of settings name; for others it has what Llama has.
type DecoderSettings struct {
	Activation                backend.Activation // hidden_act: of the MLP's gate
	QKVBias, OutBias, MLPBias bool               // products that have one
	Rope

	Window  int    // sliding_window: how many positions a query of some layers sees, its own included; 0: all
	Period  int    // sliding_window_pattern: every so many layers one has no window; 0: all have it
	Asked   bool   // use_sliding_window: of families in which the window counts with it alone
	Full    int    // max_window_layers: how many of the first layers have no window, in these families
	Sliding []bool // layer_types: which layers have the window; empty where there is none

	Interval int    // no_rope_layer_interval: every so many layers one does not turn its heads; 0: all do
	Turned   []bool // no_rope_layers: which layers do; empty for all

	Experts, Chosen int // num_local_experts, num_experts_per_tok: MLPs of a layer, and how many of them a token has

	ScaleBy  float64 // query_pre_attn_scalar: scores of attention are divided by its root; 0: by that of HeadSize
	SoftCap  float64 // attn_logit_softcapping: bound of the scores of attention; 0: none
	FinalCap float64 // final_logit_softcapping: bound of the scores of tokens; 0: none
}

// switches are the row of a family: what its models have that those of others lack.
type switches struct {
	neighbours bool                                 // GGUF has the pairs of a head that positions turn next to each other
	queryNorm  normOf                               // queries and keys are normalised before they are turned
	norms      normPlace                            // where the norms of a block are
	less       float32                              // by how much scales of norms are less in Hugging Face's layout
	scaled     bool                                 // vectors of tokens are multiplied by √width
	asked      func(s *DecoderSettings, i int) bool // the window counts where use_sliding_window asks for it, and layer i has it unless layer_types tells
	local      bool                                 // layers with a window turn heads by angles of their own
	fused      bool                                 // queries, keys and values are one matrix, and so are gate and up
	large      func(c Config) bool                  // models whose scores are divided by √(width/heads), where a file does not tell
	experts    bool                                 // the MLP is several, of which a router chooses some for each token
	sinks      bool                                 // attention has a learned score that no key has
}

// normOf says what a norm of queries and keys is of.
type normOf int

const (
	noNorm    normOf = iota
	eachHead         // each head by itself, with one scale for all heads
	wholeNorm        // all heads together
)

// normPlace says where a block has norms.
type normPlace int

const (
	normBefore normPlace = iota // of what attention and MLP read
	normAfter                   // of what they write
	normAround                  // of both
)

func decoderSettings(c *Config) *DecoderSettings { return c.Settings.(*DecoderSettings) }

// decoder completes the row of a family that is a decoder with switches: f has the keys
// beside those that all of them share, by names that Hugging Face's layout and GGUF
// have. usual is what a config.json that is silent stands for.
func decoder(f Family, row switches, usual Config) Family {
	f.Keys = append([]Setting{
		{Field: "Layers", JSON: []string{"num_hidden_layers"}, GGUF: []string{"block_count"}},
		{Field: "Heads", JSON: []string{"num_attention_heads"}, GGUF: []string{"attention.head_count"}},
		{Field: "KVHeads", JSON: []string{"num_key_value_heads"}, GGUF: []string{"attention.head_count_kv"}, Needed: Nowhere},
		{Field: "Width", JSON: []string{"hidden_size"}, GGUF: []string{"embedding_length"}},
		{Field: "Inner", JSON: []string{"intermediate_size"}, GGUF: []string{"feed_forward_length"}},
		{Field: "Context", JSON: []string{"max_position_embeddings"}, GGUF: []string{"context_length"}},
		{Field: "Epsilon", JSON: []string{"rms_norm_eps"}, GGUF: []string{"attention.layer_norm_rms_epsilon"}, Needed: InGGUF},
	}, f.Keys...)
	usual.Family = f.Name
	for i := range f.Keys {
		s := &f.Keys[i]
		if s.Field != "" && s.Needed == Everywhere && !s.field(&usual).IsZero() {
			s.Needed = InGGUF // config.json may be silent about it
		}
	}
	settings := *decoderSettings(&usual)
	f.Body = cmp.Or(f.Body, "model.")
	f.Buffers = append(f.Buffers, ".rotary_emb.inv_freq")
	f.Defaults = func() Config {
		c, s := usual, settings
		c.Settings = &s
		return c
	}
	f.Complete = func(c *Config) { row.complete(c) }
	f.Check = row.check
	f.Network = func(c Config, order Format) Network { return newDecoder(row, c, order) }
	return f
}

// complete sets what follows from the rest.
func (row *switches) complete(c *Config) {
	if c.Inner == 0 { // as many weights as in an MLP of 4 · width without a gate
		c.Inner = (8*c.Width/3 + 31) / 32 * 32
	}
	s := *decoderSettings(c)
	s.complete(c.HeadSize, c.Context)
	if c.Layers > 0 && c.Layers <= maxLayers {
		if s.Turned == nil && s.Interval > 0 {
			s.Turned = but(s.Interval, c.Layers)
		}
		row.windows(&s, c.Layers)
	}
	if s.ScaleBy == 0 && c.Heads > 0 {
		s.ScaleBy = float64(c.HeadSize)
		if row.large != nil && row.large(*c) {
			s.ScaleBy = float64(c.Width / c.Heads)
		}
	}
	c.Settings = &s
}

// windows sets which of n layers have the window.
func (row *switches) windows(s *DecoderSettings, n int) {
	switch {
	case s.Window == 0 || row.asked != nil && !s.Asked:
		s.Sliding = nil
	case s.Sliding == nil && row.asked == nil:
		s.Sliding = but(s.Period, n)
	case s.Sliding == nil:
		for i := range n {
			s.Sliding = append(s.Sliding, row.asked(s, i))
		}
	}
	if row.asked != nil && !slices.Contains(s.Sliding, true) {
		s.Window, s.Asked, s.Sliding = 0, false, nil
	}
}

// but is true for each of n layers but every so many.
func but(every, n int) []bool {
	list := make([]bool, n)
	for i := range list {
		list[i] = every == 0 || (i+1)%every != 0
	}
	return list
}

// check reports what cannot be computed.
func (row *switches) check(c Config) error {
	s := decoderSettings(&c)
	switch {
	case len(s.Sliding) != 0 && len(s.Sliding) != c.Layers:
		return fmt.Errorf("layer_types: found %d, expected one for each of the %d layers", len(s.Sliding), c.Layers)
	case len(s.Turned) != 0 && len(s.Turned) != c.Layers:
		return fmt.Errorf("no_rope_layers: found %d, expected one for each of the %d layers", len(s.Turned), c.Layers)
	case row.experts && !(s.Experts <= backend.MaxExperts && 0 < s.Chosen && s.Chosen <= min(s.Experts, backend.MaxChosen)):
		return fmt.Errorf("num_local_experts, num_experts_per_tok (in GGUF expert_count, expert_used_count): found %d and %d, expected at most %d, and 1 to %d of them, but no more than there are",
			s.Experts, s.Chosen, backend.MaxExperts, backend.MaxChosen)
	case !(s.ScaleBy > 0 && s.ScaleBy < 1e12):
		return fmt.Errorf("query_pre_attn_scalar: found %v, expected more than 0 and less than 1e12", s.ScaleBy)
	case !(s.SoftCap >= 0 && s.SoftCap < math.MaxFloat32 && s.FinalCap >= 0 && s.FinalCap < math.MaxFloat32):
		return fmt.Errorf("attn_logit_softcapping, final_logit_softcapping: found %v and %v, expected finite numbers", s.SoftCap, s.FinalCap)
	}
	return s.check(c.HeadSize, c.Context)
}
