package gpt

import (
	"context"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"

	"caldera/backend"
	"caldera/gpt/safetensors"
	"caldera/gpt/tokenizer"
	"caldera/nn"
)

// What training has made of a model is a checkpoint like any other, and beside
// it what AdamW remembers: a file of two tensors for each weight, named as
// PyTorch names them, in the order in which the checkpoint stores the weight.
// So one backend goes on where another stopped.

// Checkpoint is a snapshot of the weights of a model that was loaded with
// [LoadOptions].Train, to be saved with the tokenizer, which may be nil.
func (m *Model) Checkpoint(t *tokenizer.Tokenizer) (*Checkpoint, error) {
	if !m.train {
		return nil, fmt.Errorf("the weights never changed: load them with LoadOptions.Train, or save the checkpoint they are from")
	}
	all := m.parameters()
	var tensors []rawTensor
	for _, w := range all {
		data, err := m.read(w, *w.Tensor)
		if err != nil {
			return nil, fmt.Errorf("tensor %s: %w", w.Name(HuggingFace), err)
		}
		tensors = append(tensors, rawTensor{Name: w.Name(HuggingFace), DType: "F32", Shape: w.Stored(HuggingFace), Data: data, File: "memory", aligned: true})
	}
	return huggingFace(m.Config, "trained", rows{all, func(i int) rawTensor { return tensors[i] }}, func() (*tokenizer.Tokenizer, error) {
		if t == nil {
			return nil, fmt.Errorf("%w: the model was trained without", tokenizer.ErrNone)
		}
		return t, nil
	}), nil
}

// CheckFinite returns a [NonFiniteError] for the first tensor that has a NaN or
// an infinity. It stops when ctx ends.
func (c *Checkpoint) CheckFinite(ctx context.Context) error {
	for _, name := range c.file.Tensors() {
		if err := checkFinite(ctx, c.file.tensor(name)); err != nil {
			return err
		}
	}
	return nil
}

// read returns x, which is w or has its shape and strides, as a checkpoint
// stores it.
func (m *Model) read(w Weight, x Tensor) ([]byte, error) {
	x, turned := asStored(w, x)
	data := make([]byte, x.Size())
	if err := m.b.Read(data, x.Buf, 4*x.Offset); err != nil || !turned {
		return data, err
	}
	c := converter{stored: backend.F32, data: data, dtype: backend.F32, shape: w.Stored(HuggingFace), transpose: true}
	out := make([]byte, 0, len(data))
	err := c.pieces(func(p []byte) error {
		out = append(out, p...)
		return nil
	})
	return out, err
}

// write is the reverse of read.
func (m *Model) write(w Weight, x Tensor, data []byte) error {
	x, turned := asStored(w, x)
	c := converter{stored: backend.F32, data: data, dtype: backend.F32, shape: []int{x.Rows(), x.Dim(-1)}, transpose: turned}
	at := 4 * x.Offset
	return c.pieces(func(p []byte) error {
		err := m.b.Write(x.Buf, at, p)
		at += len(p)
		return err
	})
}

// asStored is x as it lies in memory, and whether a checkpoint stores its
// transpose.
func asStored(w Weight, x Tensor) (_ Tensor, turned bool) {
	if !x.Contiguous() {
		return x.Transpose(), !w.Transposed(HuggingFace)
	}
	return x, w.Transposed(HuggingFace)
}

// What AdamW keeps of each weight.
var states = []struct {
	prefix string
	of     func(p *nn.Parameter) Tensor
}{
	{"exp_avg.", func(p *nn.Parameter) Tensor { return p.Mean }},
	{"exp_avg_sq.", func(p *nn.Parameter) Tensor { return p.Square }},
}

// The names under which numbers are in the metadata: steps, and in mixed
// precision the loss scale and the steps since it changed.
const (
	stateStep       = "step"
	stateScale      = "loss_scale"
	stateScaleSteps = "loss_scale_steps"
)

// SaveState writes what the optimiser remembers, and the number of steps, to a
// safetensors file, which takes its name when it is whole.
func (tr *Trainer) SaveState(path string) error {
	var tensors []safetensors.Tensor
	type part struct {
		w Weight
		x Tensor
	}
	parts := map[string]part{}
	for i, w := range tr.m.parameters() {
		for _, s := range states {
			tensors = append(tensors, safetensors.Tensor{Name: s.prefix + w.Name(HuggingFace), DType: safetensors.F32, Shape: w.Stored(HuggingFace)})
			parts[s.prefix+w.Name(HuggingFace)] = part{w, s.of(&tr.params.List[i])}
		}
	}
	metadata := map[string]string{stateStep: strconv.Itoa(tr.count)}
	if s := tr.scale; s != nil {
		metadata[stateScale], metadata[stateScaleSteps] = strconv.FormatFloat(s.value, 'g', -1, 64), strconv.Itoa(s.steps)
	}
	return safetensors.WriteFrom(path, tensors, metadata, func(w io.Writer, t safetensors.Tensor) error {
		p := parts[t.Name]
		data, err := tr.m.read(p.w, p.x)
		if err != nil {
			return fmt.Errorf("tensor %s: %w", t.Name, err)
		}
		_, err = w.Write(data)
		return err
	})
}

// LoadState reads what SaveState wrote, on this backend or another. A file that
// does not fit the model changes nothing.
func (tr *Trainer) LoadState(path string) error {
	f, err := safetensors.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	text := f.Metadata()[stateStep]
	count, err := strconv.Atoi(text)
	if err != nil || count < 0 {
		return fmt.Errorf("%s: found %q as the number of steps, expected a whole number from 0 on: the file is no state of an optimiser", path, text)
	}
	scale, err := readLossScale(f.Metadata())
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	known := map[string]bool{}
	for _, w := range tr.m.parameters() {
		for _, s := range states {
			name := s.prefix + w.Name(HuggingFace)
			t, ok := f.Tensor(name)
			if !ok {
				return fmt.Errorf("%s: tensor %s is missing: the state is of another model", path, name)
			}
			if t.DType != safetensors.F32 || !slices.Equal(t.Shape, w.Stored(HuggingFace)) {
				return fmt.Errorf("%s: tensor %s is %s %v, expected F32 %v: the state is of another model", path, name, t.DType, t.Shape, w.Stored(HuggingFace))
			}
			err := checkFinite(context.Background(), rawTensor{Name: name, DType: string(t.DType), Shape: t.Shape, Data: t.Data})
			if err != nil {
				return fmt.Errorf("%s: tensor %s: %w", path, name, err)
			}
			known[name] = true
		}
	}
	for _, name := range f.Tensors() {
		if !known[name] {
			return fmt.Errorf("%s: tensor %q is of no weight here: the state is of another model", path, name)
		}
	}
	for i, w := range tr.m.parameters() {
		for _, s := range states {
			t, _ := f.Tensor(s.prefix + w.Name(HuggingFace))
			if err := tr.m.write(w, s.of(&tr.params.List[i]), t.Data); err != nil {
				return fmt.Errorf("tensor %s: %w", t.Name, err)
			}
		}
	}
	tr.count = count
	if tr.scale != nil && scale != nil {
		tr.scale = scale
	}
	return nil
}

// readLossScale is nil where the state is of training in f32.
func readLossScale(metadata map[string]string) (*lossScale, error) {
	value, ok := metadata[stateScale]
	if !ok {
		return nil, nil
	}
	var s lossScale
	var err error
	s.value, err = strconv.ParseFloat(value, 64)
	if half, _ := math.Frexp(s.value); err != nil || half != 0.5 || s.value < 0x1p-60 || s.value > 0x1p60 {
		return nil, fmt.Errorf("found %q as %s, expected a power of two from 2⁻⁶⁰ to 2⁶⁰", value, stateScale)
	}
	steps := metadata[stateScaleSteps]
	if s.steps, err = strconv.Atoi(steps); err != nil || s.steps < 0 || s.steps >= lossScaleGrows {
		return nil, fmt.Errorf("found %q as %s, expected a whole number from 0 to %d", steps, stateScaleSteps, lossScaleGrows-1)
	}
	return &s, nil
}
