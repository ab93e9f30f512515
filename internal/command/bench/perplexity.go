package bench

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"

	"caldera/backend"
	"caldera/internal/atomicfile"
	"caldera/internal/bench"
	"caldera/internal/cli"
)

// maxText bounds a text: far more than a day of any device.
const maxText = 1 << 30

type perplexityCommand struct {
	hardwareFlags `group:"Hardware"`

	Model []string `group:"Model" short:"m" placeholder:"PATH" help:"Checkpoints: directories in Hugging Face's layout or GGUF files (default: the embedded model, ${embedded})."`
	DType []string `group:"Model" name:"dtype" default:"auto" placeholder:"TYPE" help:"Keep matrices as one of ${weights}; several for one after the other (auto: as the checkpoint stores them)."`

	File      string `group:"Test" short:"f" placeholder:"FILE" help:"The text, which must be given; - for standard input."`
	cacheFlag `group:"Test"`
	CtxSize   int    `group:"Test" short:"c" placeholder:"N" help:"Cut the text into windows of N tokens, of which the second halves count (default: the model's context)."`
	Windows   int    `group:"Test" placeholder:"N" help:"Read at most N windows (default: all)."`
	Save      string `group:"Test" placeholder:"FILE" help:"Save the log-probabilities of every token, 4 bytes each, for --base."`
	Base      string `group:"Test" placeholder:"FILE" help:"Compare with a saved run, usually in f32: perplexity, mean KL divergence, share of equal likeliest tokens."`

	outputFlags `group:"Output"`
}

// Run measures all models and dtypes on one device after the other.
func (f *perplexityCommand) Run(ctx context.Context) (err error) {
	if listed, err := f.ListJSON.List(f.ListDevices); listed || err != nil {
		return err
	}
	if f.File == "" {
		return cli.Usagef("--file is missing: expected the path of a text, or - for standard input")
	}
	if f.CtxSize < 0 || f.Windows < 0 {
		return cli.Usagef("-c %d --windows=%d: expected numbers above 0", f.CtxSize, f.Windows)
	}
	flags := modelFlags{Model: f.Model, DType: f.DType}
	models, err := flags.models()
	if err != nil {
		return err
	}
	for _, m := range models {
		if c := m.Config.Context; f.CtxSize != 0 && (f.CtxSize < bench.LeastWindow || f.CtxSize > c) {
			return cli.Usagef("-c %d: expected %d to %d tokens, the context of model %s", f.CtxSize, bench.LeastWindow, c, m.Name)
		}
	}
	dtypes, err := flags.dtypes()
	if err != nil {
		return err
	}
	devices, err := f.find()
	if err != nil {
		return err
	}
	if n := len(models) * len(dtypes) * len(devices); f.Save != "" && n != 1 {
		return cli.Usagef("--save=%s: expected one model, dtype and device, found %d combinations", f.Save, n)
	}
	if err := distinct("--output", f.Output, "--save", f.Save); err != nil {
		return err
	}
	save, err := create("--save", f.Save)
	if err != nil {
		return err
	}
	defer discard(save)
	text, err := cli.ReadInput(ctx, f.File, maxText)
	if err != nil {
		return err
	}
	ids := make([][]int, len(models))
	for i, m := range models {
		t, err := m.Tokenizer()
		if err != nil {
			return fmt.Errorf("model %s: %w", m.Name, err)
		}
		if ids[i], err = t.EncodePrompt(text); err != nil {
			return fmt.Errorf("%s: %w", f.File, err)
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	var base *bench.LogitReader
	if f.Base != "" {
		if base, err = bench.OpenLogits(f.Base); err != nil {
			return err
		}
		defer base.Close()
	}
	return f.report(func() ([]bench.Record, error) {
		return open(ctx, devices, func(d *bench.Device) (all []bench.Record, failed error) {
			for i, m := range models {
				for _, dtype := range dtypes {
					o := bench.PerplexityOptions{
						DType: dtype, Cache: f.cache(), Window: f.CtxSize, Windows: f.Windows,
						File: f.File, Text: sha256.Sum256([]byte(text)), Base: base,
					}
					r, err := f.measure(ctx, d, m, ids[i], o, save)
					if r != nil {
						all = append(all, r)
					}
					if errors.Is(err, bench.ErrUnsupported) {
						notMeasured(err)
						continue
					}
					failed = errors.Join(failed, err)
					if ctx.Err() != nil || errors.Is(err, backend.ErrDeviceLost) {
						return all, failed
					}
				}
			}
			return all, failed
		})
	})
}

// measure measures one, and saves the run where that is wanted and it was whole.
func (f *perplexityCommand) measure(ctx context.Context, d *bench.Device, m bench.Model, ids []int, o bench.PerplexityOptions, save *atomicfile.File) (*bench.PerplexityResult, error) {
	p := newProgress(fmt.Sprintf("%s %s", d.Spec(), m.Name), o.DType)
	defer p.end()
	o.Progress = p.step
	if save != nil {
		o.Save = bench.NewLogitWriter(save)
	}
	r, err := d.Perplexity(ctx, m, ids, o)
	if err == nil && save != nil {
		if err = o.Save.Flush(); err == nil {
			err = save.Commit()
		}
	}
	return r, cli.WithFlags(err)
}
