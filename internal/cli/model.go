package cli

import (
	"context"
	"errors"

	"caldera/backend"
	"caldera/gpt"
	"caldera/gpt/tokenizer"
	"caldera/models"
)

// ModelFlags choose a checkpoint and how its weights are kept.
type ModelFlags struct {
	Model string `short:"m" placeholder:"DIR" help:"Checkpoint in Hugging Face's layout: config.json, model.safetensors, tokenizer files (default: the embedded model, ${embedded})."`
	DType string `name:"dtype" enum:"auto,f32,f16" default:"auto" placeholder:"TYPE" help:"Keep matrices as f32 or f16 (auto: as the checkpoint stores them)."`
}

// Name is the model's name for people.
func (f ModelFlags) Name() string {
	if f.Model == "" {
		return models.Name
	}
	return f.Model
}

// Load reads the chosen model into b's memory, and its tokenizer, which is nil
// for a checkpoint that has none. It stops when ctx ends.
func (f ModelFlags) Load(ctx context.Context, b backend.Backend) (*gpt.Model, *tokenizer.Tokenizer, error) {
	var o gpt.LoadOptions
	if f.DType != "auto" {
		var err error
		if o.DType, err = backend.ParseDType(f.DType); err != nil {
			return nil, nil, UsageError{err}
		}
	}
	m, err := f.load(ctx, b, o)
	if err != nil {
		return nil, nil, err
	}
	t, err := f.tokenizer()
	if errors.Is(err, tokenizer.ErrNone) {
		return m, nil, nil
	}
	if err != nil {
		return nil, nil, errors.Join(err, m.Close())
	}
	return m, t, nil
}

func (f ModelFlags) load(ctx context.Context, b backend.Backend, o gpt.LoadOptions) (*gpt.Model, error) {
	if f.Model == "" {
		return gpt.LoadFS(ctx, b, models.Default(), o)
	}
	return gpt.Load(ctx, b, f.Model, o)
}

func (f ModelFlags) tokenizer() (*tokenizer.Tokenizer, error) {
	if f.Model == "" {
		return tokenizer.LoadFS(models.Default(), ".")
	}
	return tokenizer.Load(f.Model)
}
