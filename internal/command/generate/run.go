package generate

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"caldera/backend"
	"caldera/gpt"
	"caldera/gpt/chat"
	"caldera/gpt/checkpoint"
	"caldera/gpt/model"
	"caldera/gpt/tokenizer"
	"caldera/internal/cli"
)

// A mode is what the command does with a model: see one, several and each.
type mode interface {
	// use is what the model is loaded for.
	use(ctx context.Context, c model.Config, t *tokenizer.Tokenizer) (*gpt.Use, error)
	run(ctx context.Context, l loaded) error
}

// loaded is a model on a device.
type loaded struct {
	device    backend.Device
	model     *model.Model
	tokenizer *tokenizer.Tokenizer // nil for none
	options   gpt.Options          // with the tokenizer's vocabulary
	load      time.Duration        // that loading took
}

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
	mode, err := f.mode(ctx)
	if err != nil {
		return err
	}
	b, device, err := f.Hardware.Open(os.Stderr)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.Close()) }()

	start := time.Now()
	m, t, err := f.load(ctx, b, mode, &options.Sampling)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, m.Close()) }()
	if f.Chat {
		chat.AddEnds(m, t)
	}
	if t != nil {
		options.Vocab, options.Barred = t.VocabSize(), t.Holes()
	}
	return mode.run(ctx, loaded{device, m, t, options, time.Since(start)})
}

// load loads the model. s becomes what its files say of sampling, but for what flags say.
func (f *flags) load(ctx context.Context, b backend.Backend, mode mode, s *gpt.Sampling) (*model.Model, *tokenizer.Tokenizer, error) {
	f.ModelFlags.Opened = func(c *checkpoint.Checkpoint) error {
		adopted, err := f.Sampling.Adopt(c, s)
		if err != nil {
			return err
		}
		if adopted != "" && !f.ModelFlags.Quiet {
			fmt.Fprintf(os.Stderr, "sampling as the model's files say: %s\n", adopted)
		}
		if !f.Chat {
			return nil
		}
		template, err := f.ChatTemplate.Read(ctx, c, "leave --chat out")
		f.Prompt.Chat = &cli.ChatPrompt{Template: template, System: f.System, Thinking: f.Thinking.Setting()}
		return err
	}
	f.Hide = f.Hide || f.Chat // what the template writes
	for {
		m, t, err := f.ModelFlags.Load(ctx, b, func(c model.Config, t *tokenizer.Tokenizer) (*gpt.Use, error) {
			if err := cli.CheckContext(f.CtxSize, c); err != nil {
				return nil, err
			}
			return mode.use(ctx, c, t)
		})
		if e, ok := mode.(*each); !ok || !e.fewer(err) {
			return m, t, err
		}
		f.ModelFlags.Quiet = true
	}
}

// mode reads the prompt, or opens the file of prompts.
func (f *flags) mode(ctx context.Context) (mode, error) {
	f.ModelFlags.NoText = f.Prompt.Tokens != nil
	if f.Prompts != nil {
		return f.each(ctx)
	}
	text, err := f.Prompt.Text(ctx)
	if err != nil {
		return nil, err
	}
	if f.Parallel != nil && *f.Parallel > 1 {
		return &several{flags: f, text: text}, nil
	}
	return &one{flags: f, text: text}, nil
}

// one answers one prompt once.
type one struct {
	*flags
	text string
	ids  []int // of the prompt
}

func (o *one) use(ctx context.Context, c model.Config, t *tokenizer.Tokenizer) (*gpt.Use, error) {
	var err error
	if o.ids, err = o.Prompt.IDs(ctx, o.text, c, t, gpt.Room{Size: contextOf(o.flags, c), Model: c.Context}); err != nil {
		return nil, err
	}
	use := &gpt.Use{Context: o.CtxSize, Cache: o.cache(), Feeds: []int{len(o.ids)}, Guesses: o.guesses(), Compile: true}
	if o.Predict != 1 {
		use.Feeds = append(use.Feeds, 1)
	}
	return use, nil
}

func (o *one) run(ctx context.Context, l loaded) (err error) {
	drafter, free, err := o.drafter(ctx, l, len(o.ids))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, free()) }()
	l.options.Drafter, l.options.Keep = drafter, o.keep(o.ids, l)
	s, err := gpt.NewSession(l.model, gpt.SessionOptions{Context: o.CtxSize, Cache: o.cache()})
	if err != nil {
		return err
	}
	defer s.Close()

	fmt.Fprintf(os.Stderr, "seed: %d\n", l.options.Seed)
	r := newReport(o.ModelFlags.Name(), l.device, l.options, o.ids, l.tokenizer)
	w, err := o.newWriter(os.Stdout, l.tokenizer, &r.generated)
	if err != nil {
		return err
	}
	if err := w.prompt(o.ids, l.model.Config, o.Hide); err != nil {
		return err
	}
	err = generate(ctx, s, o.ids, l.options, w, &r.generated)
	also := func(e error) {
		if err == nil {
			err = e
		}
	}
	also(w.end())
	// What was generated before an error or Ctrl-C is reported all the same.
	if r.slides > 0 { // at the end, for on a terminal it would come amid the text
		fmt.Fprintf(os.Stderr, "%s: %s\n", cli.Self(), forgotten(s.Size(), l.options.Keep, r.slides))
	}
	r.finish(w, l.options.Predict, err)
	r.Timings = r.timings(l.load, len(o.ids))
	if drafter != nil {
		drafted := s.Drafted()
		r.Timings.draft(drafted)
		writeDrafted(os.Stderr, drafted)
	}
	switch {
	case o.JSON:
		also(writeJSON(os.Stdout, r))
	case o.JSONStream:
		also(writeJSON(os.Stdout, map[string]*report{"done": r}))
	case o.LogProbs > 0:
		r.writeLogProbs(os.Stderr, cli.Columns(os.Stderr))
	}
	if o.Verbose {
		r.Timings.write(os.Stderr)
	}
	return err
}

func generate(ctx context.Context, s *gpt.Session, ids []int, o gpt.Options, w *writer, r *generated) error {
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
