// Package gpt is a generative pre-trained transformer of the GPT-2 family:
// its checkpoints, its forward pass, and text generation, on any backend.
//
// Start with forward.go, which is what a GPT computes, then generate.go, which
// makes text of it, and train.go, which learns. model.go names the weights,
// load.go reads them from a checkpoint as Hugging Face lays it out, session.go
// runs the model step by step.
package gpt

import (
	"caldera/backend"
	"caldera/nn"
)

// Tensor is a window on a backend's memory.
type Tensor = backend.Tensor

// Model is the weights of a GPT in the memory of a backend.
type Model struct {
	Config
	Tokens    Tensor    // [vocab, width]: what each token means by itself
	Positions Tensor    // [context, width]: what it means to stand at each place
	Blocks    []*Block  // attention and MLP, again and again
	Norm      nn.Norm   // before the head
	Head      nn.Linear // [vocab, width], Tokens itself where embeddings are tied

	b       backend.Backend
	train   bool // weights may be written to
	buffers []backend.Buffer
	close   func() error // what the weights are mapped from
}

// Block is one round of attention and MLP.
type Block struct {
	Heads        int
	Norm1, Norm2 nn.Norm   // before attention, before the MLP
	QKV          nn.Linear // [3·width, width]: queries, keys and values of all heads
	Out          nn.Linear // [width, width]: what the heads found, back into the stream
	Up           nn.Linear // [inner, width]: a question a row
	Down         nn.Linear // [width, inner]: an answer a column
}

// Cache holds, for each block, the keys and values of all positions so far:
// [batch, context, 2·width], a position's key followed by its value.
type Cache []Tensor

// block is the cache of block i; it is absent if there is none at all.
func (c Cache) block(i int) Tensor {
	if c == nil {
		return Tensor{}
	}
	return c[i]
}

// Backend is where the model's weights are.
func (m *Model) Backend() backend.Backend { return m.b }

// NewCache allocates a cache for a batch of sequences of up to context
// positions each, stored as dtype d, f32 or f16.
func (m *Model) NewCache(batch, context int, d backend.DType) (Cache, error) {
	cache := make(Cache, m.Layers)
	for i := range cache {
		var err error
		if cache[i], err = backend.New(m.b, d, batch, context, 2*m.Width); err != nil {
			cache.Free()
			return nil, err
		}
	}
	return cache, nil
}

// Free releases the cache's memory.
func (c Cache) Free() {
	for _, t := range c {
		if t.Buf != nil {
			t.Buf.Free()
		}
	}
}

// Close frees the weights. The backend stays open.
func (m *Model) Close() error {
	for _, b := range m.buffers {
		b.Free()
	}
	m.buffers = nil
	if m.close == nil {
		return nil
	}
	return m.close()
}

// tensors lists every tensor of the model under Hugging Face's name, with the
// shape it has there. Matrices of the blocks are stored [in, out] there.
func (m *Model) tensors() []weight {
	d, inner := m.Width, m.Inner
	all := []weight{
		{"wte.weight", &m.Tokens, []int{m.Vocab, d}, false},
		{"wpe.weight", &m.Positions, []int{m.Context, d}, false},
	}
	vector := func(name string, t *Tensor, n int) { all = append(all, weight{name, t, []int{n}, false}) }
	conv1D := func(name string, l *nn.Linear, in, out int) {
		all = append(all, weight{name + ".weight", &l.W, []int{in, out}, true})
		vector(name+".bias", &l.Bias, out)
	}
	norm := func(name string, n *nn.Norm) {
		n.Epsilon = float32(m.Epsilon)
		vector(name+".weight", &n.Gamma, d)
		vector(name+".bias", &n.Beta, d)
	}
	for i, b := range m.Blocks {
		h := blockPrefix(i)
		norm(h+"ln_1", &b.Norm1)
		conv1D(h+"attn.c_attn", &b.QKV, d, 3*d)
		conv1D(h+"attn.c_proj", &b.Out, d, d)
		norm(h+"ln_2", &b.Norm2)
		conv1D(h+"mlp.c_fc", &b.Up, d, inner)
		conv1D(h+"mlp.c_proj", &b.Down, inner, d)
	}
	norm("ln_f", &m.Norm)
	if !m.TieEmbeddings {
		all = append(all, weight{"lm_head.weight", &m.Head.W, []int{m.Vocab, d}, false})
	}
	return all
}

// inputs is how many numbers a matrix multiplies with each row of its result.
func (w weight) inputs() int {
	if w.conv1D {
		return w.shape[0]
	}
	return w.shape[len(w.shape)-1]
}

// weight is one tensor of a checkpoint and where it belongs.
type weight struct {
	name   string
	dst    *Tensor
	shape  []int // in the checkpoint
	conv1D bool  // a matrix stored [in, out]
}
