// Package gpt is generative pre-trained transformers: families of models, their
// checkpoints, and text generation, on any backend.
//
// Start with forward.go, which is what a GPT computes, and gpt2.go, a family of
// them; then generate.go, which makes text of it, and train.go, which learns. A
// family enters itself into the registry (family.go) with rows that tell its
// settings (setting.go) and its weights (weight.go); load.go reads weights from a
// checkpoint, session.go runs the model step by step.
package gpt

import (
	"cmp"

	"caldera/backend"
	"caldera/nn"
)

// Tensor is a window on a backend's memory.
type Tensor = backend.Tensor

// Model is the weights of a GPT in the memory of a backend.
type Model struct {
	Config
	Network

	order   Format // in which rows of the weights lie, see Order
	b       backend.Backend
	train   bool // weights may be written to
	buffers []backend.Buffer

	activations backend.DType // see LoadOptions
	close       func() error  // what the weights are mapped from
}

// newModel is a model of a valid shape whose weights are still to come.
func newModel(b backend.Backend, config Config, order Format) *Model {
	m := &Model{Config: config, order: order, b: b}
	m.rebuild()
	return m
}

// rebuild makes the network anew, by the Config.
func (m *Model) rebuild() { m.Network = m.family().Network(m.Config, m.order) }

// parameters are the weights that files have, and training changes.
func (m *Model) parameters() (list []Weight) {
	for _, w := range m.Weights() {
		if w.Make == nil {
			list = append(list, w)
		}
	}
	return list
}

// Unembed maps vectors that Forward returned to scores (logits): for each token of
// the vocabulary, how well it would follow. [batch, time, width] to [batch, time,
// vocab].
func (m *Model) Unembed(t *nn.Tape, x Tensor) Tensor { return Unembed(m.Network, t, x) }

// Head is the matrix of scores, [vocab, width].
func (m *Model) Head() nn.Linear { return Head(m.Network) }

// DType is the type that matrices of the blocks are kept as, or most of them
// where some have another for the length of their rows.
func (m *Model) DType() backend.DType {
	for _, w := range m.Weights() {
		if w.Role == Up {
			return w.Tensor.DType
		}
	}
	return backend.None
}

// Activations is the dtype in which products with quantised weights read what they
// multiply with: F32, or a quantised one.
func (m *Model) Activations() backend.DType { return cmp.Or(m.activations, backend.F32) }

// tape is one on which the model computes, but does not train.
func (m *Model) tape() *nn.Tape {
	t := nn.NewTape(m.b)
	t.QuantizeActivations(m.Activations())
	return t
}

// Backend is where the model's weights are.
func (m *Model) Backend() backend.Backend { return m.b }

// NewCache allocates a cache for a batch of sequences of up to context
// positions each, stored as dtype d, one of caches.
func (m *Model) NewCache(batch, context int, d backend.DType) (Cache, error) {
	cache := make(Cache, m.Layers)
	for i := range cache {
		var err error
		if cache[i], err = backend.New(m.b, d, batch, context, m.CacheWidth()); err != nil {
			cache.Free()
			return nil, err
		}
	}
	return cache, nil
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
