package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
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
	Model string `short:"m" placeholder:"PATH" help:"Checkpoint: a directory in Hugging Face's layout (config.json, model.safetensors, tokenizer files), a GGUF file, the folder of a training run, or a model of Hugging Face's hub, which is fetched: org/name[:file or quantisation][@revision] (default: the embedded model, ${embedded})."`
	DType string `name:"dtype" enum:"auto,${dtypes}" default:"auto" placeholder:"TYPE" help:"Keep matrices as one of ${weights} (auto: as the checkpoint stores them)."`

	AdapterFlag
	ActivationFlag
	RopeFlags

	// NoText is set for a command that takes token ids. If the tokenizer cannot be
	// read, Load writes a warning and returns none.
	NoText bool `kong:"-"`

	// Opened, if not nil, is called by Load with the checkpoint before anything is loaded.
	Opened func(*checkpoint.Checkpoint) error `kong:"-"`

	// Quiet is set to leave out notes about the checkpoint and its tokenizer, such as where
	// the same checkpoint was loaded before.
	Quiet bool `kong:"-"`

	// Merge is set for a command that looks into matrices: adapters are added to them.
	Merge bool `kong:"-"`

	// Draft is set for a model that only guesses what another one checks: that it rounds
	// nothing where rounding was asked for is not told.
	Draft bool `kong:"-"`
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
	adapters, done, err := f.OpenAdapters(log)
	if err != nil {
		return nil, nil, err
	}
	defer done() // which closes files that were read
	o.Adapters, o.Merge = adapters, f.Merge
	c, err := f.Open(ctx, log)
	if err != nil {
		return nil, nil, err
	}
	if c.Config, err = f.RopeFlags.Scale(c.Config); err != nil {
		return nil, nil, errors.Join(err, c.Close())
	}
	if f.Opened != nil {
		if err := f.Opened(c); err != nil {
			return nil, nil, errors.Join(err, c.Close())
		}
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
	if w := ActivationsWarning(m); w != "" && !f.Draft {
		fmt.Fprintln(os.Stderr, w)
	}
	return m, t, nil
}

// Open opens the chosen checkpoint, and writes notes about it to log. A model of Hugging
// Face's hub is fetched first.
func (f ModelFlags) Open(ctx context.Context, log io.Writer) (*checkpoint.Checkpoint, error) {
	if f.Model == "" {
		return checkpoint.OpenFS(models.Default(), models.Name)
	}
	local, err := Local(ctx, f.Model, log)
	if err != nil {
		return nil, err
	}
	c, err := checkpoint.Open(local)
	if err != nil {
		return nil, err
	}
	if n, isName, _ := HubName(f.Model); isName { // the path ends in a commit
		c.Name = path.Base(n.Repo)
	}
	Tell(log, c.Notes())
	return c, nil
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
