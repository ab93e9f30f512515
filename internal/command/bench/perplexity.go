package bench

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"

	"caldera/gpt/checkpoint"
	"caldera/internal/atomicfile"
	"caldera/internal/bench"
	"caldera/internal/bench/result"
	"caldera/internal/cli"
)

// maxText bounds a text: far more than a day of any device.
const maxText = 1 << 30

type perplexityCommand struct {
	hardwareFlags `group:"Hardware"`

	Model           []string `group:"Model" short:"m" placeholder:"PATH" help:"Checkpoints: directories in Hugging Face's layout, GGUF files, or models of Hugging Face's hub (default: the embedded model, ${embedded})."`
	cli.AdapterFlag `group:"Model"`
	cli.RopeFlags   `group:"Model"`
	DType           []string `group:"Model" name:"dtype" default:"auto" placeholder:"TYPE" help:"Keep matrices as one of ${measured}; several for one after the other (auto: as the checkpoint stores them)."`

	File      string `group:"Test" short:"f" placeholder:"FILE" help:"The text, which must be given; - for standard input."`
	cacheFlag `group:"Test"`
	CtxSize   int    `group:"Test" short:"c" placeholder:"N" help:"Cut the text into windows of N tokens, of which the second halves count (default: the model's context)."`
	Windows   int    `group:"Test" placeholder:"N" help:"Read at most N windows (default: all)."`
	Save      string `group:"Test" placeholder:"FILE" help:"Save the log-probabilities of every token, 4 bytes each, for --base."`
	Base      string `group:"Test" placeholder:"FILE" help:"Compare with a saved run, usually in f32: perplexity, mean KL divergence, share of equal likeliest tokens."`

	outputFlags `group:"Output"`
}

// Run measures all models and dtypes on one device after the other.
func (f *perplexityCommand) Run(ctx context.Context) (failed error) {
	done := func() error { return nil }
	defer func() { failed = errors.Join(failed, done()) }()
	var save *atomicfile.File
	defer func() { discard(save) }()
	var ids [][]int // of the text, as each model reads it
	o := bench.PerplexityOptions{Window: f.CtxSize, Windows: f.Windows, File: f.File}
	prepare := func(j *job) (err error) {
		j.options.Cache, j.options.Activations = f.cache(), f.Activation()
		if err := f.check(ctx, j); err != nil {
			return err
		}
		if done, err = adapt(f.AdapterFlag, j.models); err != nil {
			return err
		}
		if save, err = create("--save", f.Save); err != nil {
			return err
		}
		text, err := cli.ReadInput(ctx, f.File, maxText)
		if err != nil {
			return err
		}
		o.Text = sha256.Sum256([]byte(text))
		if ids, err = f.encode(ctx, text, j.models); err != nil || f.Base == "" {
			return err
		}
		o.Base, err = result.OpenLogits(f.Base)
		return err
	}
	defer func() {
		if o.Base != nil {
			o.Base.Close()
		}
	}()
	return f.hardwareFlags.run(ctx, &f.outputFlags, repetitions{1}, prepare, func(p piece) ([]result.Record, error) {
		o := o
		o.Options = p.Options
		if save != nil {
			o.Save = result.NewLogitWriter(save)
		}
		r, err := p.device.Perplexity(ctx, p.model, ids[p.i], o)
		if err == nil && save != nil { // whole
			if err = o.Save.Flush(); err == nil {
				err = save.Commit()
			}
		}
		if r == nil {
			return nil, err
		}
		return []result.Record{r}, err
	})
}

// check checks all flags but those that name files.
func (f *perplexityCommand) check(ctx context.Context, j *job) (err error) {
	if f.File == "" {
		return cli.Usagef("--file is missing: expected the path of a text, or - for standard input")
	}
	if f.CtxSize < 0 || f.Windows < 0 {
		return cli.Usagef("-c %d --windows=%d: expected numbers above 0", f.CtxSize, f.Windows)
	}
	flags := modelFlags{Model: f.Model, DType: f.DType}
	if j.models, err = flags.models(ctx); err != nil {
		return err
	}
	for i := range j.models {
		if err := scale(&j.models[i], f.RopeFlags); err != nil {
			return err
		}
	}
	for _, m := range j.models {
		if c := m.Config.Context; f.CtxSize != 0 && (f.CtxSize < bench.LeastWindow || f.CtxSize > c) {
			return cli.Usagef("-c %d: expected %d to %d tokens, the context of model %s", f.CtxSize, bench.LeastWindow, c, m.Name)
		}
	}
	if j.dtypes, err = flags.dtypes(); err != nil {
		return err
	}
	if j.devices, err = f.find(); err != nil {
		return err
	}
	if n := len(j.models) * len(j.dtypes) * len(j.devices); f.Save != "" && n != 1 {
		return cli.Usagef("--save=%s: expected one model, dtype and device, found %d combinations", f.Save, n)
	}
	return distinct("--output", f.Output, "--save", f.Save)
}

// scale scales a model's rotary positions, and says so in its name.
func scale(m *bench.Model, f cli.RopeFlags) error {
	c, err := f.Scale(m.Config)
	if err != nil || f.RopeScale == 0 {
		return err
	}
	open := m.Open
	m.Config, m.Name = c, fmt.Sprintf("%s+%s%v", m.Name, f.RopeScaling, f.RopeScale)
	m.Open = func() (*checkpoint.Checkpoint, error) {
		opened, err := open()
		if err == nil {
			opened.Config = c
		}
		return opened, err
	}
	return nil
}

// encode cuts a text into the tokens of each model.
func (f *perplexityCommand) encode(ctx context.Context, text string, models []bench.Model) ([][]int, error) {
	ids := make([][]int, len(models))
	for i, m := range models {
		t, err := m.Tokenizer()
		if err != nil {
			return nil, fmt.Errorf("model %s: %w", m.Name, err)
		}
		if ids[i], err = t.EncodePrompt(text); err != nil {
			return nil, fmt.Errorf("%s: %w", f.File, err)
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
	}
	return ids, nil
}
