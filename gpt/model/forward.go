package model

import "caldera/nn"

// This is the page to read first: everything that a GPT computes.
//
// Text has been cut into tokens, each with an id. Every token becomes a vector
// (embedding). Each block first mixes information between positions: the vectors
// exchange meaning (attention). Then it transforms each position by itself (MLP).
// This is Forward, which each family of models has in a file of its own: read
// GPT-2's next, in gpt2.go. Unembed below takes what Forward returns: it maps the
// last vector to a score for every token that could come next (unembedding).
// Softmax makes these probabilities. Generate, in gpt/generate.go, samples one,
// appends it and repeats.
//
// Nothing is computed while these functions run: they write operations on a tape,
// which is then recorded for a CPU or a GPU and run once for every step. They give
// names to what they compute, under which it can be looked at and changed:
//
//	hidden.i                  [batch, time, width]: the vectors before block i, and after the last one
//	hidden.final              [batch, time, width]: after the last norm
//	blocks.i.attention.query  [batch, time, heads · size], as attention reads them: positions are in them
//	blocks.i.attention.key    [batch, time, kv heads · size], likewise
//	blocks.i.attention.value  [batch, time, kv heads · size]
//	blocks.i.attention.probs  [batch, heads, time, context]: how much each position takes from which; can only be looked at
//	blocks.i.attention.heads  [batch, time, heads · size]: what each head has gathered
//	blocks.i.attention.output [batch, time, width]: what attention adds to the vectors
//	blocks.i.middle           [batch, time, width]: the vectors between attention and MLP
//	blocks.i.mlp.hidden       [batch, time, inner]: the MLP's hidden layer, after its activation
//	blocks.i.mlp.output       [batch, time, width]: what the MLP adds to the vectors
//
// To add a family, an op, a dtype or a backend: docs/design.md, "To add something".

// Network is the model of a family: its weights, and what it computes.
type Network interface {
	// Weights returns the weight table: a row for each tensor, with a pointer to the
	// field that keeps it. The first is the token embedding.
	Weights() []Weight

	// Forward turns token ids into hidden states: vectors that depend on their token
	// and on earlier ones of its sequence. ids is [batch, time]; at tells of each id its
	// sequence and its position; the result is [batch, time, width]. Keys and values of
	// earlier positions are read from the cache, and new ones stored. Without a cache
	// each row of ids is a whole sequence, row b sequence b: training runs this way.
	Forward(t *nn.Tape, ids Tensor, at nn.Places, cache Cache) Tensor

	// Final is the last norm: its result is the input of the unembedding.
	Final() nn.Norm

	// SoftCap bounds the scores of tokens: they are SoftCap · tanh(score / SoftCap). 0: they
	// are not bounded.
	SoftCap() float32
}

// Unembed maps hidden states to scores (logits), one for each token of the
// vocabulary: the higher, the likelier that token is next. [batch, time, width] to
// [batch, time, vocab].
func Unembed(n Network, t *nn.Tape, x Tensor) Tensor {
	x = t.Name(t.Norm(n.Final(), x), "hidden.final")
	return t.SoftCap(n.SoftCap(), t.Linear(Head(n), x))
}

// Head is the matrix that gives the scores, [vocab, width]: the unembedding or, if
// the model has none (tied embeddings), the token embedding.
func Head(n Network) (head nn.Linear) {
	for _, w := range n.Weights() {
		if w.Role == Unembedding || w.Role == Embedding {
			head.W = *w.Tensor // the embedding is the first row
		}
	}
	return head
}

// Cache holds, for each block, the keys and values of all positions so far:
// [sequences, context, 2 · heads · size of a head], a position's key followed by its
// value; or, where a table tells where they are, a pool of blocks of positions,
// [blocks, block, 2 · heads · size of a head].
type Cache []Tensor

// block is the cache of block i; it is absent if there is none at all.
func (c Cache) block(i int) Tensor {
	if c == nil {
		return Tensor{}
	}
	return c[i]
}

// Free releases the cache's memory.
func (c Cache) Free() {
	for _, t := range c {
		if t.Buf != nil {
			t.Buf.Free()
		}
	}
}
