package model

import "caldera/nn"

// This is the page to read first: everything that a GPT computes.
//
// Text has been cut into tokens, each with an id. Every token becomes a vector
// (embedding). Block after block, the vectors exchange meaning (attention) and
// then each thinks alone (MLP): that is Forward, which each family of models has
// in a file of its own. Read GPT-2's next, in gpt2.go; Unembed below takes what it
// returns. The last vector is mapped to a score for every token that could come
// next (unembedding); softmax makes these probabilities. Generate, in
// gpt/generate.go, draws one, appends it and starts over.
//
// Nothing is computed while these functions run: they write operations on a tape,
// which is then recorded for a CPU or a GPU and run once for every step.

// Network is the model of a family: its weights, and what it computes.
type Network interface {
	// Weights lists the family's weight table: a row for each tensor, and where it is
	// kept. The first is the token embedding.
	Weights() []Weight

	// Forward turns token ids into vectors that know what precedes them. ids is
	// [batch, time]; at, [batch], is the position of each first id; the result is
	// [batch, time, width]. Keys and values of earlier positions are read from the
	// cache, and new ones stored. Without a cache nothing precedes ids, and at is 0:
	// so a model is trained.
	Forward(t *nn.Tape, ids, at Tensor, cache Cache) Tensor

	// Final is the last norm: it makes of vectors what the unembedding reads.
	Final(t *nn.Tape, x Tensor) Tensor
}

// Unembed maps vectors to scores (logits): for each token of the vocabulary, how
// well it would follow. [batch, time, width] to [batch, time, vocab].
func Unembed(n Network, t *nn.Tape, x Tensor) Tensor {
	x = n.Final(t, x)
	t.Name(x, "hidden.final")
	return t.Linear(Head(n), x)
}

// Head is the matrix of scores, [vocab, width]: the unembedding, or where there is
// none the embedding of tokens, which serves for it.
func Head(n Network) (head nn.Linear) {
	for _, w := range n.Weights() {
		if w.Role == Unembedding || w.Role == Embedding {
			head.W = *w.Tensor // the embedding is the first row
		}
	}
	return head
}

// Cache holds, for each block, the keys and values of all positions so far:
// [batch, context, 2 · heads · size of a head], a position's key followed by its
// value.
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
