package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"caldera/backend"
	"caldera/gpt"
	"caldera/gpt/checkpoint"
	"caldera/gpt/model"
	"caldera/gpt/tokenizer"
	"caldera/internal/printable"
	"caldera/models"
)

// ModelFlags has the flags that choose a checkpoint and the dtypes of the model.
type ModelFlags struct {
	Model string `short:"m" placeholder:"PATH" help:"Checkpoint: a directory in Hugging Face's layout (config.json, model.safetensors, tokenizer files), a GGUF file, or the folder of a training run (default: the embedded model, ${embedded})."`
	DType string `name:"dtype" enum:"auto,${dtypes}" default:"auto" placeholder:"TYPE" help:"Keep matrices as one of ${weights} (auto: as the checkpoint stores them)."`

	ActivationFlag

	// NoText is set for a command that takes token ids. If the tokenizer cannot be
	// read, Load writes a warning and returns none.
	NoText bool `kong:"-"`

	// Quiet is set to leave out notes about the checkpoint and its tokenizer, such as where
	// the same checkpoint was loaded before.
	Quiet bool `kong:"-"`
}

// Name returns the model's name for people.
func (f ModelFlags) Name() string {
	if f.Model == "" {
		return models.Name
	}
	return f.Model
}

// Load loads the chosen model into b's memory, and its tokenizer, which is nil if the
// checkpoint has none. Before anything is loaded it calls use, which says what the
// model is used for. It stops when ctx ends.
func (f ModelFlags) Load(ctx context.Context, b backend.Backend, use func(model.Config, *tokenizer.Tokenizer) (*gpt.Use, error)) (*model.Model, *tokenizer.Tokenizer, error) {
	o := gpt.LoadOptions{Activations: f.Activation()}
	if f.DType != "auto" {
		var err error
		if o.DType, err = backend.ParseDType(f.DType, backend.Targets); err != nil {
			return nil, nil, UsageError{err}
		}
	}
	log := io.Writer(os.Stderr)
	if f.Quiet {
		log = io.Discard
	}
	c, err := f.Open(log)
	if err != nil {
		return nil, nil, err
	}
	t, tokenizerErr := c.Tokenizer()
	if tokenizerErr != nil {
		t = nil
		switch {
		case errors.Is(tokenizerErr, tokenizer.ErrNone):
		case f.NoText:
			fmt.Fprintf(log, "%s: warning: %v: going on with token ids\n", Self(), tokenizerErr)
		default:
			return nil, nil, errors.Join(tokenizerErr, c.Close())
		}
	}
	if o.For, err = use(c.Config, t); err != nil {
		return nil, nil, errors.Join(err, c.Close())
	}
	m, err := gpt.LoadCheckpoint(ctx, b, c, o)
	if err != nil {
		return nil, nil, WithFlags(err, "--parallel=%d")
	}
	if w := ActivationsWarning(m); w != "" {
		fmt.Fprintln(os.Stderr, w)
	}
	return m, t, nil
}

// Open opens the chosen checkpoint, and writes notes about it to log.
func (f ModelFlags) Open(log io.Writer) (*checkpoint.Checkpoint, error) {
	if f.Model == "" {
		return checkpoint.OpenFS(models.Default(), models.Name)
	}
	c, err := checkpoint.Open(f.Model)
	if err == nil {
		Tell(log, c.Notes())
	}
	return c, err
}

// Tell prints notes, one in each line.
func Tell(log io.Writer, notes []string) {
	for _, note := range notes {
		fmt.Fprintln(log, printable.Text(note))
	}
}

// WithFlags adds to the error of a model that does not fit into memory the flags with
// which it would. sequences is the format of the flag for the number of sequences, or ""
// for a command that has none.
func WithFlags(err error, sequences string) error {
	var e *gpt.MemoryError
	if !errors.As(err, &e) {
		return err
	}
	var flags []string
	if e.Context > 0 {
		flags = append(flags, fmt.Sprintf("-c %d", e.Context))
	}
	if e.Sequences > 0 && sequences != "" {
		flags = append(flags, fmt.Sprintf(sequences, e.Sequences))
	}
	if e.Cache != backend.None {
		flags = append(flags, fmt.Sprintf("--cache-type=%v", e.Cache))
	}
	if e.DType != backend.None {
		flags = append(flags, fmt.Sprintf("--dtype=%v", e.DType))
	}
	if len(flags) == 0 {
		return err
	}
	return fmt.Errorf("%w (%s)", err, strings.Join(flags, ", or "))
}
