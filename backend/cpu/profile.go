package cpu

import (
	"errors"
	"reflect"
	"time"

	"caldera/backend"
)

// profile is the state of a profile that is being made.
type profile struct {
	begin time.Time // of the first op
	spans []backend.Span
}

// Profile implements [backend.Profiler]. It measures each kernel by the host's clock.
func (b *Backend) Profile(run func() error) ([]backend.Span, error) {
	switch {
	case b.closed:
		return nil, backend.ErrClosed
	case b.profile != nil:
		return nil, errors.New("backend cpu: Profile within Profile")
	}
	p := &profile{}
	b.profile = p
	defer func() { b.profile = nil }()
	if err := run(); err != nil {
		return nil, err
	}
	return p.spans, nil
}

// run runs the kernel of op and measures its time.
func (p *profile) run(b *Backend, op backend.Op) {
	s := backend.NewSpan(op)
	start := time.Now()
	kernels[reflect.TypeOf(op)](b, op)
	s.Duration = time.Since(start)
	if len(p.spans) == 0 {
		p.begin = start
	}
	s.Begin, s.Dispatches = start.Sub(p.begin), 1
	p.spans = append(p.spans, s)
}
