package bench

import (
	"context"
	"errors"
	"path/filepath"

	"caldera/backend"
	"caldera/gpt"
	"caldera/gpt/checkpoint"
	"caldera/gpt/model"
	"caldera/gpt/tokenizer"
	"caldera/models"
)

// Model is a model to measure: its shape, and how to load it.
type Model struct {
	Name   string
	File   string // the directory or file it comes from, as it was given; empty where there is none
	Shape  string // the published shape whose weights are random; empty where they are not
	Config model.Config
	Notes  []string // what a user should be told of it

	// Open opens what it is loaded from, or is saved from as other programs read it.
	Open func() (*checkpoint.Checkpoint, error)

	// Adapters are put beside it; whoever opened them closes them.
	Adapters []*checkpoint.Adapter

	// Tokenizer reads the tokenizer; nil where there is none to read.
	Tokenizer func() (*tokenizer.Tokenizer, error)
}

// Load reads the model into the memory of b.
func (m Model) Load(ctx context.Context, b backend.Backend, o gpt.LoadOptions) (*model.Model, error) {
	c, err := m.Open()
	if err != nil {
		return nil, err
	}
	o.Adapters = m.Adapters
	return gpt.LoadCheckpoint(ctx, b, c, o)
}

// Embedded is the model that is built into the commands.
func Embedded() (Model, error) {
	fsys := models.Default()
	c, err := checkpoint.ReadConfig(fsys)
	return Model{Name: models.Name, Config: c, Open: func() (*checkpoint.Checkpoint, error) {
		return checkpoint.OpenFS(fsys, models.Name)
	}, Tokenizer: func() (*tokenizer.Tokenizer, error) { return tokenizer.LoadFS(fsys, ".") }}, err
}

// Shape is a model of a published shape ("gpt2", "gpt2-medium", …) with random weights.
func Shape(name string) (Model, error) {
	c, err := model.Shape(name)
	m := Random(name, c)
	m.Shape = name
	return m, err
}

// Random is a model of any shape with random weights: the same at each load.
func Random(name string, c model.Config) Model {
	c = c.Complete()
	return Model{Name: name, Config: c, Open: func() (*checkpoint.Checkpoint, error) {
		return checkpoint.Random(c, 1)
	}}
}

// Checkpoint is a model in a directory, as Hugging Face lays it out, or in a GGUF file.
func Checkpoint(name string) (Model, error) {
	path, err := filepath.Abs(name) // a name for ".", too
	if err != nil {
		return Model{}, err
	}
	c, err := checkpoint.Open(name)
	if err != nil {
		return Model{}, err
	}
	defer c.Close()
	return Model{Name: filepath.Base(path), File: name, Config: c.Config, Notes: c.Notes(), Open: func() (*checkpoint.Checkpoint, error) {
		return checkpoint.Open(name)
	}, Tokenizer: func() (*tokenizer.Tokenizer, error) {
		c, err := checkpoint.Open(name)
		if err != nil {
			return nil, err
		}
		t, err := c.Tokenizer()
		return t, errors.Join(err, c.Close())
	}}, nil
}

// bytesOf is the memory that a model's weights take. What is computed from its
// shape, such as angles, is none.
func bytesOf(m *model.Model) (n int64) {
	for _, w := range m.Weights() {
		if w.Make == nil {
			n += int64(w.Tensor.Size())
		}
	}
	return n
}
