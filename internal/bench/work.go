package bench

import (
	"caldera/backend"
	"caldera/gpt/model"
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
// and whose keys and values as cache. What an op costs, it says itself
// (backend.Cost).
//
// A prompt of n tokens is one pass over the matrices, and asks for the scores
// after its last token alone. Its attention is counted as n² pairs, as kernels
// compute it and llama.cpp counts it, though each token sees only those before
// it. Generation is n passes of one token; the i-th sees i keys. At a depth,
// each token sees as many keys more. Sequences share the passes, and each has
// tokens, scores and keys of its own.
func Count(c model.Config, t Test, weights, cache backend.DType) (w Work) {
	n, depth, sequences := t.Prompt+t.Gen, t.Depth, max(1, t.Sequences)
	passes, rows, keys, pairs := 1, n, depth+n, n*(depth+n)
	if t.Gen > 0 {
		passes, rows, keys = n, 1, n*depth+n*(n+1)/2
		pairs = keys
	}
	rows, keys, pairs = sequences*rows, sequences*keys, sequences*pairs
	product := func(count, rows, in, out int) (flops float64) {
		x := backend.Linear{Dst: numbers(backend.F32, rows, out), X: numbers(backend.F32, rows, in), W: numbers(weights, out, in)}
		n, _ := x.Cost()
		w.Weights += float64(count) * float64(passes) * float64(x.W.Size())
		return float64(count) * float64(passes) * float64(n)
	}
	for _, m := range c.Matrices() {
		if m.Kind != "Embedding" && m.Kind != "Unembedding" {
			w.Products += product(m.Count, rows, m.Cols, m.Rows)
		}
	}
	w.Head = product(1, sequences, c.Width, c.Vocab)
	// One query that sees as many keys as all queries do together.
	query, keyed := numbers(backend.F32, 1, 1, c.Heads*c.HeadSize), numbers(cache, 1, pairs, c.CacheWidth()/2)
	all := backend.Attention{Q: query, Dst: query, K: keyed, V: keyed, Heads: c.Heads}
	flops, _ := all.Cost()
	w.Attention = float64(c.Layers) * float64(flops)
	w.Cache = float64(c.Layers) * 2 * float64(numbers(cache, keys, c.CacheWidth()/2).Size())
	return w
}

// numbers is a tensor that is only counted.
func numbers(d backend.DType, dims ...int) backend.Tensor { return backend.Of(nil, d, 0, dims...) }

// FLOP is all arithmetic of the test.
func (w Work) FLOP() float64 { return w.Products + w.Head + w.Attention }

// Bytes is all memory that the test reads.
func (w Work) Bytes() float64 { return w.Weights + w.Cache }
