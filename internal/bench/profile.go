package bench

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"

	"caldera/backend"
	"caldera/gpt"
	"caldera/internal/bench/result"
	"caldera/internal/trace"
)

// profileSteps is how many tokens of a test are generated at most. Steps differ
// in the number of keys alone, and each has all ops of the model.
const profileSteps = 8

// Profile is the time of each op of some tests.
type Profile struct {
	Name  string // of device and model
	Parts []ProfilePart
}

// ProfilePart is the profile of one test.
type ProfilePart struct {
	Name   string
	Passes []trace.Pass // the prompt, or the steps of generation
}

// Profile loads a model and profiles the tests: prompts whole, of generation
// the first steps. Each runs once before, so that no shader is compiled
// meanwhile. What was profiled before an error, or before ctx ended, comes with
// it. The error wraps [result.ErrUnsupported] where the device cannot run such a model.
func (d *Device) Profile(ctx context.Context, model Model, tests []Test, o Options) (p Profile, err error) {
	defer func() {
		if err != nil && !errors.Is(err, context.Canceled) {
			err = fmt.Errorf("profile of %s on %s: %w", model.Name, d.Spec(), err)
		}
	}()
	cache := cmp.Or(o.Cache, backend.F32)
	if err := d.lacks(model.Config, o.DType, cache); err != nil {
		return p, err
	}
	b := backend.WithProfiler(d.b)
	bar := progress{o.Progress, 0, 1 + 2*len(tests)}
	bar.step("loading")
	use := use(tests, cache)
	m, err := d.load(ctx, b, model, o, use)
	if err != nil {
		return p, err
	}
	defer func() { err = errors.Join(err, m.Close()) }()
	s, err := gpt.NewSession(m, gpt.SessionOptions{Context: use.Context, Cache: cache})
	if err != nil {
		return p, err
	}
	defer s.Close()
	p.Name = fmt.Sprintf("%s %s, %s %v%s", d.Spec(), d.Name, model.Name, dtypes(m), result.CacheNote(cache.String(), cache.String()))
	for _, t := range tests {
		bar.step(fmt.Sprintf("profile of %v, warm-up", t))
		if _, err := profile(ctx, s, m.Vocab, t, func(run func() error) ([]backend.Span, error) { return nil, run() }); err != nil {
			return p, err
		}
		bar.step(fmt.Sprintf("profile of %v", t))
		part, err := profile(ctx, s, m.Vocab, t, func(run func() error) ([]backend.Span, error) {
			return backend.Profile(b, func(backend.Backend) error { return run() })
		})
		if len(part.Passes) > 0 {
			p.Parts = append(p.Parts, part)
		}
		if err != nil {
			return p, err
		}
	}
	return p, nil
}

// profile runs a test in an empty session, each pass within a call of spans.
func profile(ctx context.Context, s *gpt.Session, vocab int, t Test, spans func(func() error) ([]backend.Span, error)) (p ProfilePart, err error) {
	s.Reset()
	ids := randomIDs(t, vocab)
	before, ids := ids[:t.Depth], ids[t.Depth:]
	if len(before) > 0 {
		if _, err := s.Feed(ctx, before...); err != nil {
			return p, err
		}
	}
	pass := func(name string, ids ...int) error {
		took, err := spans(func() error { _, err := s.Feed(ctx, ids...); return err })
		if err != nil {
			return err
		}
		done := trace.Pass{Name: name, Spans: took, Keys: s.Len()}
		if err := done.Check(); err != nil {
			return err
		}
		p.Passes = append(p.Passes, done)
		return nil
	}
	if t.Prompt > 0 {
		p.Name = t.String()
		return p, pass(p.Name, ids...)
	}
	steps := min(profileSteps, t.Gen)
	p.Name = fmt.Sprintf("the first %d steps of %v", steps, t)
	for i := range steps {
		if err := pass(fmt.Sprintf("tg1 at %d", s.Len()), ids[i]); err != nil {
			return p, err
		}
	}
	return p, nil
}

// Track is the profile on a time line.
func (p Profile) Track() trace.Track {
	t := trace.Track{Name: p.Name}
	for _, part := range p.Parts {
		t.Passes = append(t.Passes, part.Passes...)
	}
	return t
}

// WriteMarkdown writes a table for each test.
func (p Profile) WriteMarkdown(w io.Writer) error {
	for _, part := range p.Parts {
		if _, err := fmt.Fprintf(w, "\n%s: %s\n\n", p.Name, part.Name); err != nil {
			return err
		}
		if err := trace.Summarise(part.Passes...).WriteMarkdown(w); err != nil {
			return err
		}
	}
	return nil
}
