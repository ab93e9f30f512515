package gpt

// The shape of a GPT-2, as config.json of a Hugging Face checkpoint tells it, and
// what follows from the shape: how many weights there are, in which matrices.
// config.go is the shape, config_read.go reads the file.

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// Config is the shape of a GPT-2. The comments give Hugging Face's names.
type Config struct {
	Layers  int // n_layer: blocks, each of attention and feed-forward
	Heads   int // n_head: attention heads of a layer
	Width   int // n_embd: length of the vector of a token, Heads · size of a head
	Inner   int // n_inner: width of the feed-forward layers, 4 · Width where the file has null
	Context int // n_positions, or n_ctx: the most tokens that are seen at once
	Vocab   int // vocab_size: number of tokens

	Epsilon       float64 // layer_norm_epsilon: added to a variance
	TieEmbeddings bool    // tie_word_embeddings: the unembedding is the embedding, transposed
	BOS           []int   // bos_token_id: what a text begins with; empty for none
	EOS           []int   // eos_token_id: what ends a text; empty for none
}

// shapes are the sizes in which GPT-2 was published, and the one that nanoGPT
// trains where there is only a CPU.
// https://cdn.openai.com/better-language-models/language_models_are_unsupervised_multitask_learners.pdf, table 2
// https://github.com/karpathy/nanoGPT#quick-start
var shapes = []struct {
	name   string
	config Config
}{
	{"gpt2", published(12, 12, 768)},
	{"gpt2-medium", published(24, 16, 1024)},
	{"gpt2-large", published(36, 20, 1280)},
	{"gpt2-xl", published(48, 25, 1600)},
	{"nanogpt", Config{Layers: 4, Heads: 4, Width: 128, Inner: 512, Context: 64, Vocab: 65, Epsilon: 1e-5, TieEmbeddings: true}},
}

// published has what all of GPT-2's sizes have.
func published(layers, heads, width int) Config {
	return Config{
		Layers: layers, Heads: heads, Width: width, Inner: 4 * width,
		Context: 1024, Vocab: 50257, Epsilon: 1e-5, TieEmbeddings: true,
		BOS: []int{50256}, EOS: []int{50256},
	}
}

// Shape returns the shape of a known model: "gpt2" (124 million weights),
// "gpt2-medium", "gpt2-large" or "gpt2-xl" (1.6 billion) as published, or
// "nanogpt" (0.8 million), a model of 65 characters.
func Shape(name string) (Config, error) {
	for _, s := range shapes {
		if s.name == name {
			c := s.config
			c.BOS, c.EOS = slices.Clone(c.BOS), slices.Clone(c.EOS)
			return c, nil
		}
	}
	return Config{}, fmt.Errorf("unknown shape: found %q, expected one of %s", name, strings.Join(ShapeNames(), ", "))
}

// ShapeNames are what [Shape] knows.
func ShapeNames() (names []string) {
	for _, s := range shapes {
		names = append(names, s.name)
	}
	return names
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
	for _, f := range []struct {
		name       string
		value, max int
	}{
		{"n_layer", c.Layers, maxLayers},
		{"n_head", c.Heads, maxHeads},
		{"n_embd", c.Width, maxWidth},
		{"n_inner", c.Inner, maxInner},
		{"n_positions", c.Context, maxContext},
		{"vocab_size", c.Vocab, maxVocab},
	} {
		if f.value < 1 || f.value > f.max {
			return fmt.Errorf("%s: found %d, expected 1 to %d", f.name, f.value, f.max)
		}
	}
	if c.Width%c.Heads != 0 {
		return fmt.Errorf("n_embd: found %d, expected a multiple of n_head, which is %d", c.Width, c.Heads)
	}
	if !(c.Epsilon > 0 && c.Epsilon <= 1) { // written so that NaN fails
		return fmt.Errorf("layer_norm_epsilon: found %v, expected more than 0 and at most 1", c.Epsilon)
	}
	// The bounds above keep both far below 2⁶³; an int may have 32 bits.
	if n := c.weights(); n > min(maxWeights, math.MaxInt) {
		return fmt.Errorf("shape too large: found %d weights, expected at most %d", n, min(maxWeights, math.MaxInt))
	}
	if n := 2 * int64(c.Layers) * int64(c.Context) * int64(c.Width); n > min(maxWeights, math.MaxInt) {
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

// Parameters is the number of weights of a valid Config: the matrices that
// Matrices lists, the position embeddings, the layer norms and the biases.
func (c Config) Parameters() int { return int(c.weights()) }

func (c Config) weights() int64 {
	var n int64
	for _, m := range c.Matrices() {
		n += m.weights()
	}
	width, inner := int64(c.Width), int64(c.Inner)
	norm := 2 * width                         // scale and shift
	biases := 3*width + width + inner + width // key, query, value; output; up; down
	positions := int64(c.Context) * width
	return n + positions + int64(c.Layers)*(2*norm+biases) + norm
}

// Matrix is one kind of weight matrix of a transformer.
type Matrix struct {
	Kind       string
	Count      int // matrices of this kind in the model
	Rows, Cols int // of each; a vector of length Cols becomes one of length Rows
}

// Weights is the number of weights in all matrices of the kind.
func (m Matrix) Weights() int { return int(m.weights()) }

func (m Matrix) weights() int64 { return int64(m.Count) * int64(m.Rows) * int64(m.Cols) }

// Matrices lists the eight kinds of matrices that hold nearly all weights of a
// transformer. Keys, queries and values have a matrix a head; the output matrices
// of a layer's heads are one. There is no unembedding to count where the
// embedding serves for it. A checkpoint joins some of them: c_attn holds query,
// key and value of all heads of a layer.
func (c Config) Matrices() []Matrix {
	head := c.Width / c.Heads
	unembeddings := 1
	if c.TieEmbeddings {
		unembeddings = 0
	}
	return []Matrix{
		{"Embedding", 1, c.Width, c.Vocab},
		{"Key", c.Layers * c.Heads, head, c.Width},
		{"Query", c.Layers * c.Heads, head, c.Width},
		{"Value", c.Layers * c.Heads, head, c.Width},
		{"Output", c.Layers, c.Width, c.Heads * head},
		{"Up-projection", c.Layers, c.Inner, c.Width},
		{"Down-projection", c.Layers, c.Width, c.Inner},
		{"Unembedding", unembeddings, c.Vocab, c.Width},
	}
}
