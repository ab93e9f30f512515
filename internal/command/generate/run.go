package generate

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"caldera/gpt"
	"caldera/gpt/model"
	"caldera/gpt/tokenizer"
	"caldera/internal/cli"
)

// Run generates text.
func (f *flags) Run(ctx context.Context) (err error) {
	if f.ListDevices {
		return cli.List(os.Stdout, f.JSON || f.JSONStream)
	}
	options, err := f.options()
	if err != nil {
		return err
	}
	if _, err := gpt.NewStopper(f.Stop...); err != nil {
		return cli.Usagef("--stop: %w", err)
	}
	text, err := f.Prompt.Text(ctx)
	if err != nil {
		return err
	}
	b, device, err := f.Hardware.Open(os.Stderr)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.Close()) }()

	start := time.Now()
	f.ModelFlags.NoText = f.Prompt.Tokens != nil
	m, t, err := f.ModelFlags.Load(ctx, b, func(c model.Config, t *tokenizer.Tokenizer) (*gpt.Use, error) { return f.use(text, c, t) })
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, m.Close()) }()
	if t != nil {
		options.Vocab, options.Barred = t.VocabSize(), t.Holes()
	}
	loaded := time.Since(start)
	s, err := gpt.NewSession(m, gpt.SessionOptions{Context: f.CtxSize, Cache: f.cache()})
	if err != nil {
		return err
	}
	defer s.Close()
	ids, err := f.Prompt.IDs(ctx, text, m.Config, t, s.Room())
	if err != nil {
		return err
	}

	fmt.Fprintf(os.Stderr, "seed: %d\n", options.Seed)
	r := newReport(f.ModelFlags.Name(), device, options, ids, loaded, t)
	w, err := f.newWriter(t, r)
	if err != nil {
		return err
	}
	if !f.Hide {
		if err := w.prompt(ids, m); err != nil {
			return err
		}
	}
	err = generate(ctx, s, ids, options, w, r)
	also := func(e error) {
		if err == nil {
			err = e
		}
	}
	also(w.end())
	// What was generated before an error or Ctrl-C is reported all the same.
	if r.slides > 0 { // at the end, for on a terminal it would come amid the text
		fmt.Fprintf(os.Stderr, "%s: the context of %d tokens was full: its older half was forgotten (%d times)\n", cli.Self(), s.Size(), r.slides)
	}
	r.finish(w, options.Predict, err)
	switch {
	case f.JSON:
		also(writeJSON(r))
	case f.JSONStream:
		also(writeJSON(map[string]*report{"done": r}))
	case f.LogProbs > 0:
		r.writeLogProbs(os.Stderr, cli.Columns(os.Stderr))
	}
	if f.Verbose {
		r.writeTimings(os.Stderr)
	}
	return err
}

// use is what the model is loaded for. How many tokens the prompt has is not
// known yet, but that each of them has some bytes.
func (f *flags) use(text string, c model.Config, t *tokenizer.Tokenizer) (*gpt.Use, error) {
	if f.CtxSize > c.Context {
		return nil, cli.Usagef("--ctx-size=%d: this model can have at most %d positions", f.CtxSize, c.Context)
	}
	prompt := 1
	if t != nil && text != "" {
		prompt = (len(text) + t.Longest() - 1) / t.Longest()
	}
	use := &gpt.Use{Context: f.CtxSize, Cache: f.cache(), Feeds: []int{prompt}}
	if f.Predict != 1 {
		use.Feeds = append(use.Feeds, 1)
	}
	return use, nil
}

func generate(ctx context.Context, s *gpt.Session, ids []int, o gpt.Options, w *writer, r *report) error {
	start := time.Now()
	for token, err := range s.Generate(ctx, ids, o) {
		if err != nil {
			return err
		}
		r.add(token, time.Since(start))
		if err := w.token(token); err != nil || w.stopped {
			return err
		}
	}
	r.ended(time.Since(start))
	return nil
}
