package conformance

// Faults of a backend's profile.

import "caldera/backend"

// profiling is a backend of which only Profile is wrong.
type profiling struct {
	backend.Backend
	spoil func(spans []backend.Span, err error) ([]backend.Span, error)
}

func (p *profiling) Unwrap() backend.Backend { return p.Backend }

func (p *profiling) Profile(run func() error) ([]backend.Span, error) {
	right, _ := backend.As[backend.Profiler](p.Backend)
	return p.spoil(right.Profile(run))
}

func withProfile(spoil func(spans []backend.Span, err error) ([]backend.Span, error)) func() backend.Backend {
	return func() backend.Backend { return &profiling{backend.WithProfiler(&reference{}), spoil} }
}

// each spoils the spans of a profile one by one.
func each(spoil func(s *backend.Span)) func() backend.Backend {
	return withProfile(func(spans []backend.Span, err error) ([]backend.Span, error) {
		for i := range spans {
			spoil(&spans[i])
		}
		return spans, err
	})
}

func init() {
	for name, open := range map[string]func() backend.Backend{
		"misses the last op of a profile": withProfile(func(spans []backend.Span, err error) ([]backend.Span, error) {
			return spans[:max(len(spans)-1, 0)], err
		}),
		"keeps errors within a profile to itself": withProfile(func(spans []backend.Span, err error) ([]backend.Span, error) {
			return spans, nil
		}),
		"lets all ops of a profile begin at once": each(func(s *backend.Span) { s.Begin = 0; s.Duration++ }),
		"profiles in another unit":                each(func(s *backend.Span) { s.Begin *= 1000; s.Duration *= 1000 }),
		"takes one op for another in a profile":   each(func(s *backend.Span) { s.Op = "add" }),
		"forgets operands in a profile":           each(func(s *backend.Span) { s.Operands = s.Operands[:1] }),
		"counts no dispatches in a profile":       each(func(s *backend.Span) { s.Dispatches = 0 }),
	} {
		backendMutants = append(backendMutants, struct {
			name, group string
			open        func() backend.Backend
		}{name, "program", open})
	}
}
