package bench

import (
	"caldera/backend"
	"caldera/gpt"
)

// Work is what one repetition of a test has to do at least, whatever does it.
// Layer norms, biases, activations and the looking up of embeddings are left
// out: together they are less than 1 % of either sum.
type Work struct {
	// Arithmetic, in FLOP; a multiplication and an addition are two.
	Products  float64 // blocks: 2 for each weight of a matrix and token
	Head      float64 // unembedding: likewise, of the tokens whose scores are asked for
	Attention float64 // queries · keys and scores · values

	// Memory, in bytes.
	Weights float64 // matrices: each once a pass, that of the head included
	Cache   float64 // keys and values, each once a pass that sees it
}

// Count is the work of a test on a model whose matrices are stored as weights
// and whose keys and values as cache.
//
// A prompt of n tokens is one pass over the matrices, and asks for the scores
// after its last token alone. Its attention is counted as n² pairs, as kernels
// compute it and llama.cpp counts it, though each token sees only those before
// it. Generation is n passes of one token; the i-th sees i keys. At a depth,
// each token sees as many keys more.
func Count(c gpt.Config, t Test, weights, cache backend.DType) Work {
	layers := float64(c.Layers)
	head := float64(c.Vocab) * float64(c.Width)
	blocks := 0.0 // query, key, value; output; gate, up and down
	for _, m := range c.Matrices() {
		if m.Kind != "Embedding" && m.Kind != "Unembedding" {
			blocks += float64(m.Weights())
		}
	}
	position := layers * float64(c.CacheWidth())                    // numbers in the cache: a key and a value a layer
	compared := 2 * layers * float64(c.Heads) * float64(c.HeadSize) // numbers of keys and values that a query meets at a position

	n, depth := float64(t.Tokens()), float64(t.Depth)
	passes, keys, pairs := 1.0, depth+n, n*(depth+n)
	if t.Gen > 0 {
		passes, keys = n, n*depth+n*(n+1)/2
		pairs = keys
	}
	bytes := func(numbers float64, d backend.DType) float64 {
		return numbers * float64(d.BlockBytes()) / float64(d.BlockLen())
	}
	return Work{
		Products:  2 * blocks * n,
		Head:      2 * head * passes,
		Attention: 2 * compared * pairs,
		Weights:   passes * bytes(blocks+head, weights),
		Cache:     bytes(position*keys, cache),
	}
}

// FLOP is all arithmetic of the test.
func (w Work) FLOP() float64 { return w.Products + w.Head + w.Attention }

// Bytes is all memory that the test reads.
func (w Work) Bytes() float64 { return w.Weights + w.Cache }
