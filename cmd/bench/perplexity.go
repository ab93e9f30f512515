package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

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
	DType []string `group:"Model" name:"dtype" default:"auto" placeholder:"TYPE" help:"Keep matrices as f32, f16, q8_0 or q4_0; several for one after the other (auto: as the checkpoint stores them)."`

	File    string `group:"Test" short:"f" required:"" placeholder:"FILE" help:"The text; - for standard input."`
	CtxSize int    `group:"Test" short:"c" placeholder:"N" help:"Cut the text into windows of N tokens, of which the second halves count (default: the model's context)."`
	Windows int    `group:"Test" placeholder:"N" help:"Read at most N windows (default: all)."`
	Save    string `group:"Test" placeholder:"FILE" help:"Save the log-probabilities of every token, 4 bytes each, for --base."`
	Base    string `group:"Test" placeholder:"FILE" help:"Compare with a saved run, usually in f32: perplexity, mean KL divergence, share of equal likeliest tokens."`

	outputFlags `group:"Output"`
}

// Run measures all models and dtypes on one device after the other.
func (f *perplexityCommand) Run(ctx context.Context) (err error) {
	if f.ListDevices {
		return cli.List(os.Stdout)
	}
	if f.CtxSize < 0 || f.Windows < 0 {
		return cli.Usagef("-c %d --windows=%d: expected numbers above 0", f.CtxSize, f.Windows)
	}
	flags := modelFlags{Model: f.Model, DType: f.DType}
	models, err := flags.models()
	if err != nil {
		return err
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
		if ids[i], err = t.Encode(text); err != nil {
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
					r, err := f.measure(ctx, d, m, ids[i], dtype, base)
					if r != nil {
						all = append(all, r)
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

func (f *perplexityCommand) measure(ctx context.Context, d *bench.Device, m bench.Model, ids []int, dtype backend.DType, base *bench.LogitReader) (r *bench.PerplexityResult, err error) {
	p := newProgress(fmt.Sprintf("%s %s", d.Spec(), m.Name), dtype)
	defer p.end()
	o := bench.PerplexityOptions{DType: dtype, Window: f.CtxSize, Windows: f.Windows, File: f.File, Base: base, Progress: p.step}
	if f.Save == "" {
		return d.Perplexity(ctx, m, ids, o)
	}
	err = atomicfile.Write(f.Save, func(w io.Writer) (err error) {
		o.Save = bench.NewLogitWriter(w)
		if r, err = d.Perplexity(ctx, m, ids, o); err != nil {
			return err
		}
		return o.Save.Flush()
	})
	return r, err
}
