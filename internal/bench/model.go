package bench

import (
	"context"
	"errors"
	"path/filepath"

	"caldera/backend"
	"caldera/gpt"
	"caldera/gpt/tokenizer"
	"caldera/models"
)

// Model is a model to measure: its shape, and how to load it.
type Model struct {
	Name   string
	File   string // the directory or file it comes from, as it was given; empty where there is none
	Shape  string // the published shape whose weights are random; empty where they are not
	Config gpt.Config
	Notes  []string // what a user should be told of it
	Load   func(context.Context, backend.Backend, gpt.LoadOptions) (*gpt.Model, error)

	// Open opens what it is loaded from, to be saved as other programs read it.
	Open func() (*gpt.Checkpoint, error)

	// Tokenizer reads the tokenizer; nil where there is none to read.
	Tokenizer func() (*tokenizer.Tokenizer, error)
}

// Embedded is the model that is built into the commands.
func Embedded() (Model, error) {
	fsys := models.Default()
	c, err := gpt.ReadConfig(fsys)
	return Model{Name: models.Name, Config: c, Load: func(ctx context.Context, b backend.Backend, o gpt.LoadOptions) (*gpt.Model, error) {
		return gpt.LoadFS(ctx, b, fsys, o)
	}, Open: func() (*gpt.Checkpoint, error) {
		return gpt.OpenCheckpointFS(fsys, models.Name)
	}, Tokenizer: func() (*tokenizer.Tokenizer, error) { return tokenizer.LoadFS(fsys, ".") }}, err
}

// Shape is a model of a published shape ("gpt2", "gpt2-medium", …) with random weights.
func Shape(name string) (Model, error) {
	c, err := gpt.Shape(name)
	m := Random(name, c)
	m.Shape = name
	return m, err
}

// Random is a model of any shape with random weights: the same at each load.
func Random(name string, c gpt.Config) Model {
	c = c.Complete()
	return Model{Name: name, Config: c, Load: func(ctx context.Context, b backend.Backend, o gpt.LoadOptions) (*gpt.Model, error) {
		return gpt.Random(ctx, b, c, o, 1)
	}, Open: func() (*gpt.Checkpoint, error) {
		return gpt.RandomCheckpoint(c, 1)
	}}
}

// Checkpoint is a model in a directory, as Hugging Face lays it out, or in a GGUF file.
func Checkpoint(name string) (Model, error) {
	path, err := filepath.Abs(name) // a name for ".", too
	if err != nil {
		return Model{}, err
	}
	c, err := gpt.OpenCheckpoint(name)
	if err != nil {
		return Model{}, err
	}
	defer c.Close()
	return Model{Name: filepath.Base(path), File: name, Config: c.Config, Notes: c.Notes(), Load: func(ctx context.Context, b backend.Backend, o gpt.LoadOptions) (*gpt.Model, error) {
		return gpt.Load(ctx, b, name, o)
	}, Open: func() (*gpt.Checkpoint, error) {
		return gpt.OpenCheckpoint(name)
	}, Tokenizer: func() (*tokenizer.Tokenizer, error) {
		c, err := gpt.OpenCheckpoint(name)
		if err != nil {
			return nil, err
		}
		t, err := c.Tokenizer()
		return t, errors.Join(err, c.Close())
	}}, nil
}

// bytesOf is the memory that a model's weights take. What is computed from its
// shape, such as angles, is none.
func bytesOf(m *gpt.Model) (n int64) {
	for _, w := range m.Weights() {
		if w.Make == nil {
			n += int64(w.Tensor.Size())
		}
	}
	return n
}
