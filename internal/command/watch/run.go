//go:build watch && cgo

package watch

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"os"

	"caldera/backend"
	"caldera/backend/vulkan"
	"caldera/gpt"
	"caldera/gpt/checkpoint"
	"caldera/gpt/model"
	"caldera/gpt/tokenizer"
	"caldera/internal/cli"
)

// usualContext is the context size where none is asked for: maps of attention take
// memory for each position.
const usualContext = 1024

// run opens the window and the device, loads the model, and shows it at work.
func (f *flags) run(ctx context.Context) (err error) {
	options, size, err := f.options()
	if err != nil {
		return err
	}
	text, err := f.Prompt.Text(ctx)
	if err != nil {
		return err
	}
	w, err := openWindow(size.X, size.Y)
	if err != nil {
		return err
	}
	defer w.close() // after the backend, whose surface is of the window

	b, device, err := f.Hardware.OpenBy(os.Stderr, func(d backend.Device) (backend.Backend, error) {
		return vulkan.Open(vulkan.Options{Device: d.Index, Surface: w.surface()})
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.Close()) }()
	f.ModelFlags.NoText = f.Prompt.Tokens != nil
	f.ModelFlags.Opened = func(c *checkpoint.Checkpoint) error {
		adopted, err := f.Sampling.Adopt(c, &options.Sampling)
		if adopted != "" {
			fmt.Fprintf(os.Stderr, "sampling as the model's files say: %s\n", adopted)
		}
		return err
	}
	context := 0
	m, t, err := f.ModelFlags.Load(ctx, b, func(c model.Config, _ *tokenizer.Tokenizer) (*gpt.Use, error) {
		if err := cli.CheckContext(f.CtxSize, c); err != nil {
			return nil, err
		}
		context = cmp.Or(f.CtxSize, min(c.Context, usualContext))
		return &gpt.Use{Context: context, Cache: f.cache(), Feeds: []int{chunk(c, context), 1}}, f.within(c)
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, m.Close()) }()
	if t != nil {
		options.Vocab, options.Barred = t.VocabSize(), t.Holes()
	}
	s, err := gpt.NewSession(m, gpt.SessionOptions{Context: context, Cache: f.cache(), Watch: watched})
	if err != nil {
		return err
	}
	defer s.Close()
	ids, err := f.Prompt.IDs(ctx, text, m.Config, t, s.Room())
	if err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "seed: %d\n", options.Seed)
	on, ok := b.(*vulkan.Backend)
	if !ok {
		return fmt.Errorf("the window draws with Vulkan, and %s is %T", b.Name(), b)
	}
	v, err := newValues(on, m, s)
	if err != nil {
		return err
	}
	defer v.close()
	st := newStory(m, texts{t}, s, ids, options, os.Stdout)
	defer func() { err = cmp.Or(err, st.close()) }() // which returns an error of writing again
	a := &app{
		window: w, backend: on, story: st, values: v, texts: texts{t},
		name: fmt.Sprintf("%s on %s %s", f.ModelFlags.Name(), device.Spec(), device.Name),
		rate: f.Rate, running: !f.Paused, layer: f.Layer, head: f.Head,
	}
	defer a.close()
	return a.run(ctx)
}

// options checks the flags that need no model.
func (f *flags) options() (o gpt.Options, size struct{ X, Y int }, err error) {
	if f.Backend == "auto" {
		f.Backend = "vulkan"
	}
	if f.Backend != "vulkan" {
		return o, size, cli.Usagef("--backend=%s: the window draws with Vulkan what Vulkan computes: leave it out, or say --backend=vulkan", f.Backend)
	}
	s, err := f.Sampling.Settings()
	if err != nil {
		return o, size, err
	}
	switch {
	case f.Predict == 0 || f.Predict < -1 || f.Predict > math.MaxInt32:
		return o, size, cli.Usagef("--predict=%d: expected 1 to %d, or -1 for no limit", f.Predict, math.MaxInt32)
	case f.CtxSize < 0:
		return o, size, cli.Usagef("--ctx-size=%d: expected at least 1, or 0 for what the model can", f.CtxSize)
	case !(f.Rate >= 0 && f.Rate <= maxRate):
		return o, size, cli.Usagef("--rate=%v: expected up to %d tokens a second, or 0 for as many as the device can", f.Rate, maxRate)
	}
	var rest string
	if n, _ := fmt.Sscanf(f.Size+" .", "%dx%d %s", &size.X, &size.Y, &rest); n != 3 || rest != "." || min(size.X, size.Y) < 1 || max(size.X, size.Y) > 16384 {
		return o, size, cli.Usagef("--size=%s: expected width and height, such as 1280x800", f.Size)
	}
	return gpt.Options{Sampling: s, Predict: f.Predict, IgnoreEOS: f.IgnoreEOS, LogProbs: likeliest}, size, nil
}

// within checks the flags that name a part of the model.
func (f *flags) within(c model.Config) error {
	if f.Layer < 0 || f.Layer >= c.Layers {
		return cli.Usagef("--layer=%d: this model has blocks 0 to %d", f.Layer, c.Layers-1)
	}
	if f.Head < 0 || f.Head >= c.Heads {
		return cli.Usagef("--head=%d: a block of this model has heads 0 to %d", f.Head, c.Heads-1)
	}
	return nil
}

// cache is the dtype of keys and values, which the parser of flags has checked; None: auto.
func (f *flags) cache() backend.DType {
	d, _ := backend.ParseDType(f.CacheType, backend.Caches)
	return d
}
