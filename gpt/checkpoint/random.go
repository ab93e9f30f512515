package checkpoint

import (
	"fmt"
	"math/rand/v2"
	"slices"

	"caldera/backend"
	"caldera/gpt/model"
	"caldera/gpt/tokenizer"
)

// Random is a checkpoint whose weights begin as GPT-2's did before training
// (Radford et al. 2019, section 2.3): normal with standard deviation 0.02, matrices
// that write into the residual stream scaled by 1/√(2·layers), norms 1 and biases
// 0. The seed decides all of them, on any machine. The shape is completed
// ([model.Config.Complete]). It has no tokenizer: SetTokenizer gives it one.
func Random(config model.Config, seed uint64) (*Checkpoint, error) {
	config = config.Complete()
	if err := config.Validate(); err != nil {
		return nil, err
	}
	var s rows
	for i, w := range model.New(nil, config, model.Placement{}).Learned() {
		t := made(w, nil)
		t.Data = func() []byte { return initial(w, config.Layers, seed, uint64(i)) }
		s = append(s, t)
	}
	return huggingFace(config, "random", s, func() (*tokenizer.Tokenizer, error) {
		return nil, fmt.Errorf("%w: weights are random", tokenizer.ErrNone)
	}), nil
}

// initial draws the numbers of weight i, as f32. Each piece has a generator of its own, so that as many are drawn at the same
// time as Go uses processors.
func initial(w model.Weight, layers int, seed, i uint64) []byte {
	all := make([]byte, 0, backend.F32.Bytes(int(w.Elements())))
	_ = inPieces(int(w.Elements()), pieceLen, func(p *piece, at, n int) (err error) {
		p.floats = slices.Grow(p.floats[:0], n)[:n]
		w.Initial(p.floats, layers, rand.New(rand.NewPCG(seed, i|uint64(at/pieceLen)<<32)))
		p.out, err = backend.Encode(p.out[:0], backend.F32, p.floats)
		return err
	}, func(part []byte) error {
		all = append(all, part...)
		return nil
	}) // numbers that fit make no error
	return all
}

// rows is a source of tensors that are in memory, or are made when they are asked for.
type rows []rawTensor

func (r rows) Tensors() (names []string) {
	for _, t := range r {
		names = append(names, t.Name)
	}
	return names
}

func (r rows) tensor(name string) rawTensor {
	return r[slices.IndexFunc(r, func(t rawTensor) bool { return t.Name == name })]
}

func (r rows) Close() error { return nil }
