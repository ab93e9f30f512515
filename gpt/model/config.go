package model

// The shape of a model, and what follows from the shape: how many weights there
// are, in which matrices.

import (
	"cmp"
	"fmt"
	"math"
	"reflect"
	"slices"
)

// Config is the shape of a model: what all families have, and the settings that
// only its own family knows. The comments give Hugging Face's names, where two
// differ those of GPT-2 and of others.
type Config struct {
	Family   string // model_type: one of FamilyNames
	Layers   int    // n_layer, num_hidden_layers: blocks, each of attention and MLP
	Heads    int    // n_head, num_attention_heads: attention heads of a layer, which ask
	KVHeads  int    // num_key_value_heads: heads that have keys and values; each serves Heads / KVHeads that ask
	HeadSize int    // head_dim: length of a head's queries, keys and values
	Width    int    // n_embd, hidden_size: length of the vector of a token
	Inner    int    // n_inner, intermediate_size: width of the MLP's hidden layer
	Context  int    // n_positions, max_position_embeddings: the most tokens that are seen at once
	Vocab    int    // vocab_size: number of tokens

	Epsilon       float64 // layer_norm_epsilon, rms_norm_eps: what norms add to a variance or mean square
	TieEmbeddings bool    // tie_word_embeddings: the unembedding is the embedding, transposed
	BOS           []int   // bos_token_id: what a text begins with; empty for none
	EOS           []int   // eos_token_id: what ends a text; empty for none

	// Settings points to a struct of the family, such as *GPT2Settings. Copies of a
	// Config share it, so it must not be changed.
	Settings any
}

// Complete fills fields that are 0 with what follows from the others, or with what
// is usual in the family: KVHeads, HeadSize, Inner, Epsilon, Settings. Validate
// tells of fields that are still missing.
func (c Config) Complete() Config {
	f := c.Architecture()
	if f == nil {
		return c
	}
	usual := f.Defaults()
	if c.Settings == nil {
		if c.Settings = usual.Settings; f.Fresh != nil {
			f.Fresh(&c)
		}
	}
	c.Epsilon = cmp.Or(c.Epsilon, usual.Epsilon)
	c.KVHeads = cmp.Or(c.KVHeads, c.Heads)
	if c.HeadSize == 0 && c.Heads > 0 && c.Width%c.Heads == 0 {
		c.HeadSize = c.Width / c.Heads
	}
	if f.Complete != nil && c.Width > 0 && c.Width <= maxWidth {
		f.Complete(&c)
	}
	return c
}

// The most that Validate lets pass. GPT-3, at 175 billion weights, is far below;
// a file that asks for more is damaged or hostile.
const (
	maxLayers  = 4096
	maxHeads   = 4096
	maxWidth   = 1 << 17
	maxInner   = 1 << 20
	maxContext = 1 << 20
	maxVocab   = 1 << 22
	maxWeights = 1 << 41 // of a model, and numbers in its KV cache
	maxTokens  = 64      // in BOS and EOS
)

// Validate reports the first field that no model can have.
func (c Config) Validate() error {
	f, err := FamilyOf(c.Family)
	if err != nil {
		return err
	}
	for _, x := range []struct {
		field      string
		value, max int
	}{
		{"Layers", c.Layers, maxLayers}, {"Heads", c.Heads, maxHeads}, {"Width", c.Width, maxWidth}, {"Inner", c.Inner, maxInner},
		{"Context", c.Context, maxContext}, {"Vocab", c.Vocab, maxVocab},
	} {
		if x.value < 1 || x.value > x.max {
			return fmt.Errorf("%s: found %d, expected 1 to %d", f.nameOf(x.field), x.value, x.max)
		}
	}
	switch heads, most := f.nameOf("Heads"), maxInner/c.Heads; {
	case c.KVHeads < 1 || c.Heads%c.KVHeads != 0:
		return fmt.Errorf("%s: found %d, expected a number that divides %s, which is %d", f.nameOf("KVHeads"), c.KVHeads, heads, c.Heads)
	case c.HeadSize == 0:
		return fmt.Errorf("%s: found %d, expected a multiple of %s, which is %d", f.nameOf("Width"), c.Width, heads, c.Heads)
	case c.HeadSize < 1 || c.HeadSize > most:
		return fmt.Errorf("%s: found %d, expected 1 to %d", f.nameOf("HeadSize"), c.HeadSize, most)
	case !(c.Epsilon > 0 && c.Epsilon <= 1): // written so that NaN fails
		return fmt.Errorf("%s: found %v, expected more than 0 and at most 1", f.nameOf("Epsilon"), c.Epsilon)
	}
	if want := f.Defaults().Settings; reflect.TypeOf(c.Settings) != reflect.TypeOf(want) {
		return fmt.Errorf("settings: found %T, expected %T, as Config.Complete sets it", c.Settings, want)
	}
	if f.Check != nil {
		if err := f.Check(c); err != nil {
			return err
		}
	}
	// The bounds above keep both far below 2⁶³; an int may have 32 bits.
	if n := c.weights(); n > min(maxWeights, math.MaxInt) {
		return fmt.Errorf("shape too large: found %d weights, expected at most %d", n, min(maxWeights, math.MaxInt))
	}
	if n := int64(c.Layers) * int64(c.Context) * int64(c.CacheWidth()); n > min(maxWeights, math.MaxInt) {
		return fmt.Errorf("shape too large: found a KV cache of %d numbers, expected at most %d", n, min(maxWeights, math.MaxInt))
	}
	for _, ids := range []struct {
		name string
		ids  []int
	}{{"bos_token_id", c.BOS}, {"eos_token_id", c.EOS}} {
		if len(ids.ids) > maxTokens {
			return fmt.Errorf("%s: found %d ids, expected at most %d", ids.name, len(ids.ids), maxTokens)
		}
		for _, id := range ids.ids {
			if id < 0 || id >= c.Vocab {
				return fmt.Errorf("%s: found %d, expected 0 to %d, the vocabulary", ids.name, id, c.Vocab-1)
			}
		}
	}
	return nil
}

// Ends reports whether token ends a text.
func (c Config) Ends(token int) bool { return slices.Contains(c.EOS, token) }

// CacheWidth is how many numbers a position takes in the cache of one layer: the
// keys of all heads, then their values.
func (c Config) CacheWidth() int { return 2 * c.KVHeads * c.HeadSize }

// Parameters is the number of weights of a valid Config: the matrices that
// Matrices lists, and norms, biases and position embeddings.
func (c Config) Parameters() int { return int(c.weights()) }

func (c Config) weights() (n int64) {
	for _, w := range c.table() {
		if w.Make == nil {
			n += w.Elements()
		}
	}
	return n
}

// Active is how many of the weights a token is computed with: of experts those of the ones that it
// has. An embedding that is not the unembedding too does not count, for one row of it is read.
func (c Config) Active() (n int64) {
	for _, w := range c.table() {
		switch {
		case w.Make != nil || w.Role == Embedding && !c.TieEmbeddings:
		case w.Experts() > 0:
			n += w.Elements() / int64(w.Experts()) * int64(w.Chosen)
		default:
			n += w.Elements()
		}
	}
	return n
}

// table lists the rows of the family's weight table for a model of shape c, completed.
func (c Config) table() []Weight {
	f := c.Architecture()
	if f == nil {
		return nil
	}
	return f.Network(c.Complete(), HuggingFace).Weights()
}

// Architecture is the family of the model, nil where there is none of that name.
func (c Config) Architecture() *Family {
	f, _ := FamilyOf(c.Family)
	return f
}

// Matrix is one kind of weight matrix of a transformer.
type Matrix struct {
	Kind       string
	Count      int // matrices of this kind in the model
	Rows, Cols int // of each; a vector of length Cols becomes one of length Rows
}

// Weights is the number of weights in all matrices of the kind.
func (m Matrix) Weights() int { return int(int64(m.Count) * int64(m.Rows) * int64(m.Cols)) }

// kinds are the roles of the matrices that Matrices counts, in its order.
var kinds = []struct {
	role Role
	name string
}{
	{Embedding, "Embedding"}, {Key, "Key"}, {Query, "Query"}, {Value, "Value"}, {Output, "Output"},
	{Router, "Router"},
	{Gate, "Gate"}, {Up, "Up-projection"}, {Down, "Down-projection"}, {Unembedding, "Unembedding"},
}

// Matrices lists the eight kinds of matrices that hold nearly all weights of a
// transformer, and a ninth where the MLP has a gate. Keys, queries and values have
// a matrix a head; the output matrices of a layer's heads are one. There is no
// unembedding to count where the embedding serves for it. Experts count each, and so
// does what chooses among them. A checkpoint joins some
// of them: GPT-2's c_attn holds query, key and value of all heads of a layer.
func (c Config) Matrices() (list []Matrix) {
	c = c.Complete()
	counts := map[Role]*Matrix{Unembedding: {Rows: c.Vocab, Cols: c.Width}}
	add := func(role Role, n, rows, cols int) {
		if counts[role] == nil {
			counts[role] = &Matrix{Rows: rows, Cols: cols}
		}
		counts[role].Count += n
	}
	for _, w := range c.table() {
		switch {
		case w.Role == QKV:
			add(Query, c.Heads, c.HeadSize, w.Inputs())
			add(Key, c.KVHeads, c.HeadSize, w.Inputs())
			add(Value, c.KVHeads, c.HeadSize, w.Inputs())
		case w.Role == Query || w.Role == Key || w.Role == Value:
			add(w.Role, w.Shape[0]/c.HeadSize, c.HeadSize, w.Inputs())
		case w.Role == GateUp:
			add(Gate, 1, c.Inner, w.Inputs())
			add(Up, 1, c.Inner, w.Inputs())
		case w.Role == Embedding:
			add(w.Role, 1, c.Width, c.Vocab)
		case w.Experts() > 0 && w.Matrix():
			add(w.Role, w.Experts(), w.Shape[1], w.Inputs())
		case w.Matrix():
			add(w.Role, 1, w.Shape[0], w.Inputs())
		}
	}
	for _, k := range kinds {
		if m := counts[k.role]; m != nil {
			m.Kind = k.name
			list = append(list, *m)
		}
	}
	return list
}
