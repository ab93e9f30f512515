package bench

import (
	"context"
	"errors"
	"fmt"
	"io"

	"caldera/backend"
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
	if err := d.lacks(model.Config, o.DType, o.Cache); err != nil {
		return p, err
	}
	b := backend.WithProfiler(d.b)
	bar := progress{o.Progress, 0, 1 + 2*len(tests)}
	bar.step("loading")
	use := use(tests, o.Cache)
	m, err := d.load(ctx, b, model, o, use)
	if err != nil {
		return p, err
	}
	defer func() { err = errors.Join(err, m.Close()) }()
	cache := m.CacheDType(o.Cache)
	r := &runner{o: Options{Cache: cache}, m: m}
	defer r.close()
	if err := r.sequences(tests, use.Context); err != nil {
		return p, err
	}
	p.Name = fmt.Sprintf("%s %s, %s %v%s", d.Spec(), d.Name, model.Name, dtypes(m, o.DType), result.CacheNote(cache.String(), cache.String()))
	for _, t := range tests {
		bar.step(fmt.Sprintf("profile of %v, warm-up", t))
		if _, err := r.profile(ctx, t, func(run func() error) ([]backend.Span, error) { return nil, run() }); err != nil {
			return p, err
		}
		bar.step(fmt.Sprintf("profile of %v", t))
		part, err := r.profile(ctx, t, func(run func() error) ([]backend.Span, error) {
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

// profile runs a test, each pass within a call of spans.
func (r *runner) profile(ctx context.Context, t Test, spans func(func() error) ([]backend.Span, error)) (p ProfilePart, err error) {
	steps := min(profileSteps, t.Gen)
	p.Name = t.String()
	if t.Gen > 0 {
		p.Name = fmt.Sprintf("the first %d steps of %v", steps, t)
	}
	if t.Sequences > 0 {
		err := r.profileBatch(ctx, t, steps, &p, spans)
		return p, err
	}
	s := r.s
	s.Reset()
	ids := randomIDs(t, r.m.Vocab)
	before, ids := ids[:t.Depth], ids[t.Depth:]
	if len(before) > 0 {
		if _, err := s.Feed(ctx, before...); err != nil {
			return p, err
		}
	}
	feed := func(name string, ids ...int) error {
		return p.pass(name, s.Len()+len(ids), spans, func() error { _, err := s.Feed(ctx, ids...); return err })
	}
	if t.Prompt > 0 {
		err := feed(p.Name, ids...)
		return p, err
	}
	for i := range steps {
		if err := feed(fmt.Sprintf("tg1 at %d", s.Len()), ids[i]); err != nil {
			return p, err
		}
	}
	return p, nil
}

// profileBatch runs a test of a batch: all steps of prompts, the first ones of
// generation.
func (r *runner) profileBatch(ctx context.Context, t Test, steps int, p *ProfilePart, spans func(func() error) ([]backend.Span, error)) error {
	all, err := r.batches.begin(ctx, t, prompts(t, r.m.Vocab))
	defer end(all)
	if err != nil {
		return err
	}
	for i := 0; going(all) && (t.Prompt > 0 || i < steps); i++ {
		name, keys := fmt.Sprintf("step %d of %v", i, t), t.Prompt
		if t.Gen > 0 {
			keys = t.Depth + i + 1
			name = fmt.Sprintf("tg1 b%d at %d", t.Sequences, keys-1)
		}
		err := p.pass(name, keys, spans, func() error { return step(ctx, r.batches.of(t.Sequences).Step) })
		if err != nil {
			return err
		}
	}
	return nil
}

// pass adds a pass, at whose end so many keys are there.
func (p *ProfilePart) pass(name string, keys int, spans func(func() error) ([]backend.Span, error), run func() error) error {
	took, err := spans(run)
	if err != nil {
		return err
	}
	done := trace.Pass{Name: name, Spans: took, Keys: keys}
	if err := done.Check(); err != nil {
		return err
	}
	p.Passes = append(p.Passes, done)
	return nil
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
