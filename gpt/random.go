package gpt

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"

	"caldera/backend"
	"caldera/gpt/tokenizer"
)

// Random returns a model whose weights begin as GPT-2's did before training
// (Radford et al. 2019, section 2.3): normal with standard deviation 0.02,
// matrices that write into the residual stream scaled by 1/√(2·layers), norms
// 1 and biases 0. The seed decides all of them, on any backend. The shape is
// completed ([Config.Complete]). It stops when ctx ends.
func Random(ctx context.Context, b backend.Backend, config Config, o LoadOptions, seed uint64) (*Model, error) {
	config = config.Complete()
	if err := config.Validate(); err != nil {
		return nil, err
	}
	if err := o.check(); err != nil {
		return nil, err
	}
	m := newModel(b, config, HuggingFace)
	m.train, m.activations = o.Train, o.Activations
	found := map[string]rawTensor{} // without data: what there is going to be
	for _, w := range m.Weights() {
		found[w.Name(HuggingFace)] = made(w, nil, initialDType(w, o.DType))
	}
	if err := m.fits(HuggingFace, found, o); err != nil {
		return nil, err
	}
	for i, w := range m.Weights() {
		t := initial(w, config.Layers, seed, i, o.DType)
		if err := m.place(ctx, w, HuggingFace, t, o); err != nil {
			return nil, errors.Join(fmt.Errorf("tensor %s: %w", t.Name, err), m.Close())
		}
	}
	return m, nil
}

// RandomCheckpoint is a checkpoint of what [Random] makes with the seed, to be
// saved for other programs. It has no tokenizer: SetTokenizer gives it one.
func RandomCheckpoint(config Config, seed uint64) (*Checkpoint, error) {
	config = config.Complete()
	if err := config.Validate(); err != nil {
		return nil, err
	}
	all := newModel(nil, config, HuggingFace).parameters()
	s := rows{all, func(i int) rawTensor { return initial(all[i], config.Layers, seed, i, backend.F32) }}
	return huggingFace(config, "random", s, func() (*tokenizer.Tokenizer, error) {
		return nil, fmt.Errorf("%w: weights are random", tokenizer.ErrNone)
	}), nil
}

// rows is a source of tensors that are made when they are asked for.
type rows struct {
	weights []Weight
	make    func(i int) rawTensor
}

func (r rows) Tensors() (names []string) {
	for _, w := range r.weights {
		names = append(names, w.Name(HuggingFace))
	}
	return names
}

func (r rows) tensor(name string) rawTensor { return r.make(slices.Index(r.Tensors(), name)) }

func (r rows) Close() error { return nil }

// initial makes the first contents of row i of the weight table, as a checkpoint
// would hold them: matrices already in dtype d, so that they need no conversion.
func initial(w Weight, layers int, seed uint64, i int, d backend.DType) rawTensor {
	if w.Make != nil {
		return made(w, w.Make(), backend.F32)
	}
	return made(w, w.initial(layers, rand.New(rand.NewPCG(seed, uint64(i)))), initialDType(w, d))
}

// initialDType is how a tensor is made where matrices are kept as d.
func initialDType(w Weight, d backend.DType) backend.DType {
	if d != backend.None && !d.Quantized() && w.Matrix() && w.Make == nil {
		return d
	}
	return backend.F32
}
