package bench

import (
	"context"
	"errors"
	"fmt"
	"io"

	"caldera/backend"
	"caldera/gpt"
	"caldera/internal/trace"
)

// profileSteps is the number of tokens that a profile generates.
const profileSteps = 8

// Profile is the time of each op of a prompt and of some steps of generation.
type Profile struct {
	Name   string // of device and model
	Prompt trace.Pass
	Steps  []trace.Pass
}

// Profile loads a model and profiles a prompt as long as the default test's,
// then steps of generation behind it, or behind as much of it as leaves them
// room in the context. All of it runs once before, so that no shader is
// compiled meanwhile. progress is told what begins.
func (d *Device) Profile(ctx context.Context, model Model, dtype backend.DType, progress func(what string)) (p Profile, err error) {
	defer func() {
		if err != nil && !errors.Is(err, context.Canceled) {
			err = fmt.Errorf("profile of %s on %s: %w", model.Name, d.Spec(), err)
		}
	}()
	b := backend.WithProfiler(d.b)
	progress("loading")
	m, err := model.Load(ctx, b, gpt.LoadOptions{DType: dtype})
	if err != nil {
		return p, err
	}
	defer func() { err = errors.Join(err, m.Close()) }()
	s, err := m.NewSession(gpt.SessionOptions{})
	if err != nil {
		return p, err
	}
	defer s.Close()

	n := min(DefaultPrompt, m.Context)
	steps := min(profileSteps, m.Context)
	behind := min(n, m.Context-steps)
	ids := randomIDs(Test{Prompt: n}, m.Vocab)
	p.Name = fmt.Sprintf("%s %s, %s %v", d.Spec(), d.Name, model.Name, m.Tokens.DType)
	for _, warm := range []bool{true, false} {
		what := "profile"
		if warm {
			what += " warm-up"
		}
		feed := func(name string, ids ...int) (pass trace.Pass, err error) {
			run := func() error { _, err := s.Feed(ctx, ids...); return err }
			if warm {
				return pass, run()
			}
			spans, err := backend.Profile(b, func(backend.Backend) error { return run() })
			return trace.Pass{Name: name, Spans: spans, Keys: s.Len()}, err
		}
		progress(what)
		s.Reset()
		if p.Prompt, err = feed(Test{Prompt: n}.String(), ids...); err != nil {
			return p, err
		}
		if behind < n {
			s.Reset()
			if behind > 0 {
				if _, err := s.Feed(ctx, ids[:behind]...); err != nil {
					return p, err
				}
			}
		}
		p.Steps = nil
		for i := range steps {
			step, err := feed(fmt.Sprintf("tg1 at %d", s.Len()), ids[i])
			if err != nil {
				return p, err
			}
			p.Steps = append(p.Steps, step)
		}
	}
	return p, nil
}

// Track is the profile on a time line.
func (p Profile) Track() trace.Track {
	return trace.Track{Name: p.Name, Passes: append([]trace.Pass{p.Prompt}, p.Steps...)}
}

// WriteMarkdown writes a table for the prompt and one for all of the steps.
func (p Profile) WriteMarkdown(w io.Writer) error {
	for _, part := range []struct {
		name   string
		passes []trace.Pass
	}{{p.Prompt.Name, []trace.Pass{p.Prompt}}, {fmt.Sprintf("%d × %s and on", len(p.Steps), p.Steps[0].Name), p.Steps}} {
		if _, err := fmt.Fprintf(w, "\n%s: %s\n\n", p.Name, part.name); err != nil {
			return err
		}
		if err := trace.Summarise(part.passes...).WriteMarkdown(w); err != nil {
			return err
		}
	}
	return nil
}
