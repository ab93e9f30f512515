package checkpoint

import (
	"context"
	"fmt"
	"io"
	"slices"

	"caldera/backend"
	"caldera/gpt/checkpoint/safetensors"
	"caldera/gpt/model"
	"caldera/gpt/tokenizer"
)

// What training has made of a model is a checkpoint like any other, and beside
// it what the optimiser remembers: a file of some tensors for each weight, in the
// order in which the checkpoint stores the weight. So one backend goes on where
// another stopped.

// Snapshot is a checkpoint of the weights that a model has now, which was loaded
// with [LoadOptions].Train, to be saved with the tokenizer, which may be nil.
func Snapshot(m *model.Model, t *tokenizer.Tokenizer) (*Checkpoint, error) {
	if !m.Train {
		return nil, fmt.Errorf("the weights never changed: load them with LoadOptions.Train, or save the checkpoint they are from")
	}
	var tensors rows
	for _, w := range m.Learned() {
		data, err := read(m, w, *w.Tensor, w.More(model.HuggingFace))
		if err != nil {
			return nil, fmt.Errorf("tensor %s: %w", w.Name(model.HuggingFace), err)
		}
		tensors = append(tensors, rawTensor{Name: w.Name(model.HuggingFace), DType: "F32", Shape: w.Stored(model.HuggingFace), Data: func() []byte { return data }, File: "memory", aligned: true})
	}
	return huggingFace(m.Config, "trained", tensors, func() (*tokenizer.Tokenizer, error) {
		if t == nil {
			return nil, fmt.Errorf("%w: the model was trained without", tokenizer.ErrNone)
		}
		return t, nil
	}), nil
}

// read returns x, which is w or has its shape and strides, as a checkpoint
// stores it. Its numbers are so much less there.
func read(m *model.Model, w model.Weight, x backend.Tensor, less float32) ([]byte, error) {
	x, turned := asStored(w, x)
	data := make([]byte, x.Size())
	rows := w.Rows(w.Lies(m.Order), model.HuggingFace, m.HeadSize)
	if err := m.Backend.Read(data, x.Buf, 4*x.Offset); err != nil || !turned && rows == nil && less == 0 {
		return data, err
	}
	c := converter{stored: backend.F32, data: data, dtype: backend.F32, shape: w.Stored(model.HuggingFace), transpose: turned, rows: rows, more: -less}
	out := make([]byte, 0, len(data))
	err := c.pieces(func(p []byte) error {
		out = append(out, p...)
		return nil
	})
	return out, err
}

// write is the reverse of read.
func write(m *model.Model, w model.Weight, x backend.Tensor, data []byte) error {
	x, turned := asStored(w, x)
	c := converter{stored: backend.F32, data: data, dtype: backend.F32, shape: []int{x.Rows(), x.Dim(-1)}, transpose: turned}
	if rows := w.Rows(model.HuggingFace, w.Lies(m.Order), m.HeadSize); rows != nil {
		c.shape, c.rows = w.Shape, rows
	}
	at := 4 * x.Offset
	return c.pieces(func(p []byte) error {
		err := m.Backend.Write(x.Buf, at, p)
		at += len(p)
		return err
	})
}

// asStored is x as it lies in memory, and whether a checkpoint stores its
// transpose.
func asStored(w model.Weight, x backend.Tensor) (_ backend.Tensor, turned bool) {
	if !x.Contiguous() {
		return x.Transpose(), !w.Transposed(model.HuggingFace)
	}
	return x, w.Transposed(model.HuggingFace)
}

// State is a tensor that an optimiser keeps of each weight.
type State struct {
	Prefix string                     // of its name, before that of the weight
	Of     func(i int) backend.Tensor // that of row i of [model.Model.Trained], with its shape and strides
}

// SaveState writes what an optimiser remembers of a model to a safetensors file,
// which takes its name when it is whole.
func SaveState(path string, m *model.Model, states []State, metadata map[string]string) error {
	var tensors []safetensors.Tensor
	type part struct {
		w model.Weight
		x backend.Tensor
	}
	parts := map[string]part{}
	for i, w := range m.Trained() {
		for _, s := range states {
			name := s.Prefix + w.Name(model.HuggingFace)
			tensors = append(tensors, safetensors.Tensor{Name: name, DType: safetensors.F32, Shape: w.Stored(model.HuggingFace)})
			parts[name] = part{w, s.Of(i)}
		}
	}
	return safetensors.Write(path, tensors, metadata, func(w io.Writer, t safetensors.Tensor) error {
		p := parts[t.Name]
		data, err := read(m, p.w, p.x, 0)
		if err != nil {
			return fmt.Errorf("tensor %s: %w", t.Name, err)
		}
		_, err = w.Write(data)
		return err
	})
}

// LoadState reads what SaveState wrote, on this backend or another. accept is
// given the metadata first. A file that it refuses, or that does not fit the model,
// changes nothing.
func LoadState(path string, m *model.Model, states []State, accept func(metadata map[string]string) error) error {
	f, err := safetensors.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := accept(f.Metadata()); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	known := map[string]bool{}
	for _, w := range m.Trained() {
		for _, s := range states {
			name := s.Prefix + w.Name(model.HuggingFace)
			t, ok := f.Tensor(name)
			if !ok {
				return fmt.Errorf("%s: tensor %s is missing: the state is of another model", path, name)
			}
			if t.DType != safetensors.F32 || !slices.Equal(t.Shape, w.Stored(model.HuggingFace)) {
				return fmt.Errorf("%s: tensor %s is %s %v, expected F32 %v: the state is of another model", path, name, t.DType, t.Shape, w.Stored(model.HuggingFace))
			}
			if err := checkFinite(context.Background(), safetensorsFile{f}.tensor(name)); err != nil {
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
	for i, w := range m.Trained() {
		for _, s := range states {
			t, _ := f.Tensor(s.Prefix + w.Name(model.HuggingFace))
			if err := write(m, w, s.Of(i), t.Data); err != nil {
				return fmt.Errorf("tensor %s: %w", t.Name, err)
			}
		}
	}
	return nil
}
