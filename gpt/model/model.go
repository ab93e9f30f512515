// Package model is generative pre-trained transformers: families of models, and what
// they compute, on any backend. It reads and writes no files (package checkpoint
// does), and runs nothing (package gpt does).
//
// Start with forward.go, which is what a GPT computes, and gpt2.go, a family of
// them. A family enters itself into the registry (family.go) with rows that tell its
// settings (setting.go) and its weights (weight.go).
package model

import (
	"cmp"
	"io"
	"slices"

	"caldera/backend"
	"caldera/nn"
)

// Tensor is a window on a backend's memory.
type Tensor = backend.Tensor

// Model is the weights of a GPT in the memory of a backend.
type Model struct {
	Config
	Network
	Placement
	Backend backend.Backend // has the weights; it stays open when the model is closed
	Source  io.Closer       // what weights are mapped from, which is closed with the model; nil for none
}

// Placement says how the weights of a model lie in memory, and what they are for.
type Placement struct {
	Order       Format        // in which rows lie that formats order differently
	Train       bool          // weights may be written to
	Tune        bool          // those of an adapter may be, and no other
	Activations backend.DType // how products read what they multiply weights with: see [nn.Tape.RoundActivations]; None: see [Model.Rounding]
}

// New returns a model of a valid shape, whose weights are still to come.
func New(b backend.Backend, c Config, o Placement) *Model {
	return &Model{Config: c, Network: c.Architecture().Network(c, o.Order), Placement: o, Backend: b}
}

// Learned are the weights that files have, and training changes.
func (m *Model) Learned() []Weight {
	return slices.DeleteFunc(m.Weights(), func(w Weight) bool { return w.Make != nil })
}

// Trained are the weights that training changes: all that files have, or those of an adapter.
func (m *Model) Trained() []Weight {
	if m.Tune {
		return m.Adapted()
	}
	return m.Learned()
}

// DType is the type that matrices of the blocks are kept as, or most of them
// where some have another for the length of their rows.
func (m *Model) DType() backend.DType {
	for _, w := range m.Weights() {
		if w.Role == Up || w.Role == GateUp {
			return w.Tensor.DType
		}
	}
	return backend.None
}

// CacheDType is the type of keys and values where one may be asked for: d, or for None f16, but
// f32 where the matrices are f32.
func (m *Model) CacheDType(d backend.DType) backend.DType {
	switch {
	case d != backend.None:
		return d
	case m.DType() == backend.F32:
		return backend.F32
	}
	return backend.F16
}

// Tape is one on which the model computes, but does not train.
func (m *Model) Tape() *nn.Tape {
	t := nn.NewTape(m.Backend)
	t.RoundActivations(m.Rounding())
	return t
}

// Rounding is how products read what they multiply weights with: as Activations says, or where
// that is None, as the backend multiplies fastest ([backend.Rounder]).
func (m *Model) Rounding() backend.DType {
	return cmp.Or(m.Activations, backend.Rounding(m.Backend, m.DType()))
}

// RoundsNothing reports whether Activations is as F32, for the type of the model's matrices: F16 beside
// f32, or blocks beside matrices that are not in blocks. No product rounds x then, on a device with matrix units either.
func (m *Model) RoundsNothing() bool {
	if m.Activations == backend.F16 {
		return m.DType() == backend.F32
	}
	return m.Activations.Quantized() && !m.DType().Quantized()
}

// Window is how many positions a query of layer i sees, its own included; 0: all up to its own.
func (m *Model) Window(i int) int {
	if n, ok := m.Network.(interface{ Window(layer int) int }); ok {
		return n.Window(i)
	}
	return 0
}

// NewCache allocates a cache for a batch of sequences of up to context positions
// each, stored as dtype d, one of caches.
func (m *Model) NewCache(batch, context int, d backend.DType) (Cache, error) {
	return m.NewCaches(d, func(int) (int, int) { return batch, context })
}

// NewCaches allocates a cache in which each layer has sequences and positions of its own, or
// blocks and positions of each.
func (m *Model) NewCaches(d backend.DType, size func(layer int) (batch, context int)) (Cache, error) {
	cache := make(Cache, m.Layers)
	for i := range cache {
		var err error
		batch, context := size(i)
		if cache[i], err = backend.New(m.Backend, d, batch, context, m.CacheWidth()); err != nil {
			cache.Free()
			return nil, err
		}
	}
	return cache, nil
}

// Close frees the weights, of which several may lie in one buffer.
func (m *Model) Close() error {
	freed := map[backend.Buffer]bool{nil: true}
	for _, w := range append(m.Weights(), m.Adapted()...) {
		if buf := w.Tensor.Buf; !freed[buf] {
			buf.Free()
			freed[buf] = true
		}
		w.Tensor.Buf = nil
	}
	if m.Source == nil {
		return nil
	}
	return m.Source.Close()
}
