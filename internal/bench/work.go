package bench

import (
	"caldera/backend"
	"caldera/backend/null"
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

// onPaper is a model of shape c whose matrices are asked for as dtype d: its weights have
// dtypes, as a model has that is loaded so, and shapes, but no memory. A d of None is F32.
func onPaper(b backend.Backend, c model.Config, d backend.DType) *model.Model {
	m := model.New(b, c.Complete(), model.Placement{})
	for _, w := range m.Weights() {
		kept := backend.F32
		if w.Matrix() && w.Make == nil && d != backend.None {
			kept = w.Kept(d, m.Config)
		}
		*w.Tensor = null.Tensor(kept, w.Shape...)
	}
	return m
}

// Count is the work of a test on a model whose keys and values are stored as
// cache. Of the model only the dtypes and shapes of its matrices count. What an
// op costs, it says itself (backend.Cost).
//
// A prompt of n tokens is one pass over the matrices, and asks for the scores
// after its last token alone. Its attention is counted as n² pairs, as kernels
// compute it and llama.cpp counts it, though each token sees only those before
// it. Generation is n passes of one token; the i-th sees i keys. At a depth,
// each token sees as many keys more, but in a layer with a window no more than
// that. Sequences share the passes, and each has tokens, scores and keys of its
// own. Of experts a pass computes those that its tokens choose, and reads as many
// as they can choose.
func Count(m *model.Model, t Test, cache backend.DType) (w Work) {
	c, n, sequences := m.Config, t.Prompt+t.Gen, max(1, t.Sequences)
	passes, rows := 1, sequences*n
	if t.Gen > 0 {
		passes, rows = n, sequences
	}
	// product is that of a pass: rows with one of so many matrices, of which so many are read.
	product := func(d backend.DType, rows, in, out, read int) (flops float64) {
		x := backend.Linear{Dst: numbers(backend.F32, rows, out), X: numbers(backend.F32, rows, in), W: numbers(d, out, in)}
		n, _ := x.Cost()
		w.Weights += float64(passes) * float64(read) * float64(x.W.Size())
		return float64(passes) * float64(n)
	}
	for _, x := range m.Weights() {
		if !x.Multiplies() {
			continue
		}
		chosen, read := 1, 1
		if n := x.Experts(); n > 0 {
			chosen = m.Settings.(*model.DecoderSettings).Chosen
			read = min(n, rows*chosen)
		}
		w.Products += product(x.Tensor.DType, rows*chosen, x.Inputs(), x.Shape[len(x.Shape)-2], read)
	}
	head := model.Head(m).W
	w.Head = product(head.DType, sequences, c.Width, c.Vocab, 1)
	for i := range c.Layers {
		keys, pairs := seen(t, m.Window(i))
		// One query that sees as many keys as all queries do together.
		query, keyed := numbers(backend.F32, 1, 1, c.Heads*c.HeadSize), numbers(cache, 1, sequences*pairs, c.CacheWidth()/2)
		all := backend.Attention{Q: query, Dst: query, K: keyed, V: keyed, Heads: c.Heads}
		flops, _ := all.Cost()
		w.Attention += float64(flops)
		w.Cache += 2 * float64(numbers(cache, sequences*keys, c.CacheWidth()/2).Size())
	}
	return w
}

// seen is how many keys the passes of a test read in a layer, of one sequence, and how many
// pairs of a query and a key they compute. window is how many keys a query sees; 0: all.
func seen(t Test, window int) (keys, pairs int) {
	if window == 0 {
		window = t.Depth + t.Prompt + t.Gen
	}
	for i := range t.Gen {
		keys += min(t.Depth+i+1, window)
	}
	if t.Gen > 0 {
		return keys, keys
	}
	all := t.Depth + t.Prompt
	return min(all, window-1+t.Prompt), t.Prompt * min(all, window)
}

// numbers is a tensor that is only counted.
func numbers(d backend.DType, dims ...int) backend.Tensor { return backend.Of(nil, d, 0, dims...) }

// FLOP is all arithmetic of the test.
func (w Work) FLOP() float64 { return w.Products + w.Head + w.Attention }

// Bytes is all memory that the test reads.
func (w Work) Bytes() float64 { return w.Weights + w.Cache }
