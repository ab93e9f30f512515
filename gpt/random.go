package gpt

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"

	"caldera/backend"
	"caldera/gpt/tokenizer"
)

// Random returns a model whose weights begin as GPT-2's did before training
// (Radford et al. 2019, section 2.3): normal with standard deviation 0.02,
// matrices that write into the residual stream scaled by 1/√(2·layers), norms
// 1 and biases 0. The seed decides all of them, on any backend. It stops when ctx
// ends.
func Random(ctx context.Context, b backend.Backend, config Config, o LoadOptions, seed uint64) (*Model, error) {
	if err := config.Validate(); err != nil {
		return nil, err
	}
	if err := o.check(); err != nil {
		return nil, err
	}
	m := newModel(b, config)
	m.train = o.Train
	found := map[string]rawTensor{} // without data: what there is going to be
	for _, w := range m.tensors() {
		found[w.name] = rawTensor{DType: initialDType(w, o.DType), aligned: true, made: true, File: "random weights"}
	}
	if err := m.fits((*Model).tensors, found, o); err != nil {
		return nil, err
	}
	for i, w := range m.tensors() {
		t := initial(w, config.Layers, rand.New(rand.NewPCG(seed, uint64(i))), o.DType)
		if err := m.place(ctx, w, t, o); err != nil {
			return nil, errors.Join(fmt.Errorf("tensor %s: %w", w.name, err), m.Close())
		}
	}
	m.tie()
	return m, nil
}

// RandomCheckpoint is a checkpoint of what [Random] makes with the seed, to be
// saved for other programs. It has no tokenizer: SetTokenizer gives it one.
func RandomCheckpoint(config Config, seed uint64) (*Checkpoint, error) {
	if err := config.Validate(); err != nil {
		return nil, err
	}
	s := randomSource{config.Layers, seed, newModel(nil, config).tensors()}
	return huggingFace(config, "random", s, func() (*tokenizer.Tokenizer, error) {
		return nil, fmt.Errorf("%w: weights are random", tokenizer.ErrNone)
	}), nil
}

// randomSource makes tensors when they are asked for.
type randomSource struct {
	layers  int
	seed    uint64
	weights []weight
}

func (s randomSource) Tensors() (names []string) {
	for _, w := range s.weights {
		names = append(names, w.name)
	}
	return names
}

func (s randomSource) tensor(name string) rawTensor {
	i := slices.IndexFunc(s.weights, func(w weight) bool { return w.name == name })
	return initial(s.weights[i], s.layers, rand.New(rand.NewPCG(s.seed, uint64(i))), backend.F32)
}

func (s randomSource) Close() error { return nil }

// initial makes the first contents of one tensor, as a checkpoint would hold
// them: matrices already in dtype d, so that they need no conversion.
func initial(w weight, layers int, r *rand.Rand, d backend.DType) rawTensor {
	n := 1
	for _, s := range w.shape {
		n *= s
	}
	values := make([]float32, n)
	switch {
	case len(w.shape) > 1:
		std := 0.02
		if strings.HasSuffix(w.name, "c_proj.weight") {
			std /= math.Sqrt(2 * float64(layers))
		}
		for i := range values {
			values[i] = float32(r.NormFloat64() * std)
		}
	case strings.Contains(w.name, "ln_") && strings.HasSuffix(w.name, ".weight"):
		for i := range values {
			values[i] = 1
		}
	}
	t := rawTensor{Name: w.name, Shape: w.shape, DType: initialDType(w, d), aligned: true}
	d = storage(t.DType)
	t.Data, _ = backend.Encode(make([]byte, 0, d.Bytes(n)), d, values) // 0.02 fits any dtype
	return t
}

// initialDType is how a tensor is made where matrices are kept as d.
func initialDType(w weight, d backend.DType) string {
	if d != backend.None && !d.Quantized() && len(w.shape) > 1 {
		return d.FileName()
	}
	return backend.F32.FileName()
}
