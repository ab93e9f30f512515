package gpt

import "caldera/nn"

// This is the page to read first: everything that a GPT computes.
//
// Text has been cut into tokens, each with an id. Every token becomes a vector
// (embedding). Block after block, the vectors exchange meaning (attention) and
// then each thinks alone (MLP). The last vector is mapped to a score for every
// token that could come next (unembedding); softmax makes these probabilities.
// Generate, in generate.go, draws one, appends it and starts over.
//
// Nothing is computed while these lines run: they write operations on a tape,
// which is then recorded for a CPU or a GPU and run once for every step.

// Forward turns token ids into vectors that know what precedes them.
// ids is [batch, time]; at, [batch], is the position of each first id. Keys and
// values of earlier positions are read from the cache, and new ones stored.
// Without a cache nothing precedes ids, and at is 0: so a model is trained.
func (m *Model) Forward(t *nn.Tape, ids, at Tensor, cache Cache) Tensor {
	x := t.Dropout(t.Embed(m.Tokens, m.Positions, ids, at)) // [batch, time, width]
	for i, b := range m.Blocks {
		t.Name(x, "hidden.%d", i)
		x = t.Add(x, b.Attend(t, i, t.LayerNorm(b.Norm1, x), at, cache.block(i))) // vectors exchange meaning
		x = t.Add(x, b.Think(t, t.LayerNorm(b.Norm2, x)))                         // each asks its questions
		t.Segment()
	}
	t.Name(x, "hidden.%d", len(m.Blocks))
	return x
}

// Attend moves meaning between positions. Each vector x makes a query, what it
// looks for; a key, what it can be found by; and a value, what it has to tell.
// Block i gathers, for each query, the values whose keys fit it, up to itself.
func (b *Block) Attend(t *nn.Tape, i int, x, at, cache Tensor) Tensor {
	width := x.Dim(-1)
	qkv := t.Linear(b.QKV, x)                                       // [batch, time, 3·width]
	q, kv := qkv.Slice(-1, 0, width), qkv.Slice(-1, width, 3*width) // [batch, time, width], [batch, time, 2·width]
	kv = t.Store(cache, kv, at)                                     // rows at … at+time of [batch, context, 2·width]
	k, v := kv.Slice(-1, 0, width), kv.Slice(-1, width, 2*width)
	y := t.Attention(nn.Attention{Heads: b.Heads}, q, k, v, at, "attn.%d", i) // [batch, time, width]
	return t.Dropout(t.Linear(b.Out, y))
}

// Think lets each vector ask many questions of itself, and adds up the answers.
func (b *Block) Think(t *nn.Tape, x Tensor) Tensor {
	questions := t.GELU(t.Linear(b.Up, x))        // [batch, time, 4·width]
	return t.Dropout(t.Linear(b.Down, questions)) // [batch, time, width]
}

// Unembed maps vectors to scores (logits): for each token of the vocabulary,
// how well it would follow. [batch, time, width] to [batch, time, vocab].
func (m *Model) Unembed(t *nn.Tape, x Tensor) Tensor {
	x = t.LayerNorm(m.Norm, x)
	t.Name(x, "hidden.final")
	return t.Linear(m.Head, x)
}
