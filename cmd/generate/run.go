package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"caldera/gpt"
	"caldera/gpt/tokenizer"
	"caldera/internal/cli"
)

func run(ctx context.Context, f *flags) (err error) {
	if f.ListDevices {
		return cli.List(os.Stdout)
	}
	options, err := f.options()
	if err != nil {
		return err
	}
	text, err := f.Prompt.text(ctx)
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
	m, t, err := f.ModelFlags.Load(ctx, b, func(c gpt.Config, t *tokenizer.Tokenizer) (*gpt.Use, error) { return f.use(text, c, t) })
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, m.Close()) }()
	if t != nil {
		if t.VocabSize() > m.Vocab {
			return fmt.Errorf("the tokenizer has %d tokens and the model %d: they are not of one checkpoint", t.VocabSize(), m.Vocab)
		}
		options.Vocab, options.Barred = t.VocabSize(), t.Holes()
	}
	loaded := time.Since(start)
	s, err := m.NewSession(gpt.SessionOptions{Context: f.CtxSize, Cache: cacheTypes[f.CacheType]})
	if err != nil {
		return err
	}
	defer s.Close()
	ids, err := f.Prompt.ids(ctx, text, m, t, s)
	if err != nil {
		return err
	}
	if err := s.Fits(ids); err != nil {
		return err
	}

	r := newReport(f.ModelFlags.Name(), device, options, ids, loaded)
	w := newWriter(t, f.JSON)
	if !f.Prompt.Hide {
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
		fmt.Fprintf(os.Stderr, "generate: the context of %d tokens was full: its older half was forgotten (%d times)\n", s.Size(), r.slides)
	}
	also(r.finish(t, options.Predict, err))
	if f.JSON {
		also(r.writeJSON(os.Stdout))
	}
	if f.Verbose {
		r.writeTimings(os.Stderr)
	}
	return err
}

// use is what the model is loaded for. How many tokens the prompt has is not
// known yet, but that each of them has some bytes.
func (f *flags) use(text string, c gpt.Config, t *tokenizer.Tokenizer) (*gpt.Use, error) {
	if f.CtxSize > c.Context {
		return nil, cli.Usagef("--ctx-size=%d: this model can have at most %d positions", f.CtxSize, c.Context)
	}
	prompt := 1
	if t != nil && text != "" {
		prompt = (len(text) + t.Longest() - 1) / t.Longest()
	}
	use := &gpt.Use{Context: f.CtxSize, Cache: cacheTypes[f.CacheType], Feeds: []int{prompt}}
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
		if err := w.token(token.ID); err != nil {
			return err
		}
	}
	r.ended(time.Since(start))
	return nil
}

// writer prints text as it comes, never half a character.
type writer struct {
	decoder *tokenizer.Decoder // nil for a model without a tokenizer, whose ids are printed
	quiet   bool               // print nothing
	printed bool
}

func newWriter(t *tokenizer.Tokenizer, quiet bool) *writer {
	w := &writer{quiet: quiet}
	if t != nil {
		w.decoder = t.NewDecoder()
	}
	return w
}

// prompt prints what is continued. In a text the token that begins it is not shown.
func (w *writer) prompt(ids []int, m *gpt.Model) error {
	if w.decoder != nil && len(m.BOS) > 0 && ids[0] == m.BOS[0] {
		ids = ids[1:]
	}
	for _, id := range ids {
		if err := w.token(id); err != nil {
			return err
		}
	}
	return nil
}

func (w *writer) token(id int) error {
	if w.decoder == nil {
		separator := ""
		if w.printed {
			separator = ","
		}
		return w.print(fmt.Sprintf("%s%d", separator, id))
	}
	s, err := w.decoder.Next(id)
	if err != nil {
		return err
	}
	return w.print(s)
}

func (w *writer) print(s string) error {
	if s == "" || w.quiet {
		return nil
	}
	w.printed = true
	_, err := os.Stdout.WriteString(s)
	return err
}

// end prints what is held back and ends the last line.
func (w *writer) end() error {
	if w.decoder != nil {
		if err := w.print(w.decoder.Flush()); err != nil {
			return err
		}
	}
	if w.quiet || !w.printed {
		return nil
	}
	_, err := os.Stdout.WriteString("\n")
	return err
}
