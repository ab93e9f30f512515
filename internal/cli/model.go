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
	Model string `short:"m" placeholder:"PATH" help:"Checkpoint: a directory in Hugging Face's layout (config.json, model.safetensors, tokenizer files) or a GGUF file (default: the embedded model, ${embedded})."`
	DType string `name:"dtype" enum:"auto,f32,f16,q8_0,q4_0" default:"auto" placeholder:"TYPE" help:"Keep matrices as f32, f16, q8_0 or q4_0 (auto: as the checkpoint stores them)."`
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
	c, err := f.Open()
	if err != nil {
		return nil, nil, err
	}
	t, tokenizerErr := c.Tokenizer()
	m, err := c.Load(ctx, b, o)
	if err != nil {
		return nil, nil, err
	}
	if errors.Is(tokenizerErr, tokenizer.ErrNone) {
		return m, nil, nil
	}
	if tokenizerErr != nil {
		return nil, nil, errors.Join(tokenizerErr, m.Close())
	}
	return m, t, nil
}

// Open opens the chosen checkpoint.
func (f ModelFlags) Open() (*gpt.Checkpoint, error) {
	if f.Model == "" {
		return gpt.OpenCheckpointFS(models.Default(), models.Name)
	}
	return gpt.OpenCheckpoint(f.Model)
}
