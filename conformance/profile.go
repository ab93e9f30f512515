package conformance

import (
	"errors"
	"time"

	"caldera/backend"
)

// profiled runs ops and a program under backend.Profile: there is a span for
// each op, they do not overlap, and results are those of any other run.
func profiled(e *env) {
	const n = 4097
	one, a, b := e.tensorOf(repeat(1, n)), e.tensorOf(repeat(1, n)), e.tensorOf(repeat(0, n))
	defer free(one, a, b)
	ops := []backend.Op{&backend.Add{Dst: b, A: a, B: one}, &backend.Copy{Dst: a, X: b}}
	before := e.record(ops...) // before there is a profile
	start := time.Now()
	spans, err := backend.Profile(e.b, func(with backend.Backend) error {
		during, err := backend.Record(with, ops...)
		if err != nil {
			return err
		}
		for range 2 {
			if err := backend.Run(with, ops...); err != nil {
				return err
			}
			if err := during.Run(); err != nil {
				return err
			}
		}
		if err := before.Run(); err != nil {
			return err
		}
		return during.Close()
	})
	wall := time.Since(start)
	if errors.Is(err, errors.ErrUnsupported) {
		e.skip("a clock on the device")
		return
	}
	e.must(err, "Profile")
	e.all("count of ops that were profiled", a, 6)
	want := 4 * len(ops)
	if _, ok := backend.As[backend.Profiler](e.b); ok {
		want += len(ops) // of the program from before, which the fallback does not see
	}
	if len(spans) != want {
		e.Fatalf("%s: Profile tells of %d ops; %d have run", e.name, len(spans), want)
	}
	var end time.Duration
	for i, s := range spans {
		op := backend.NewSpan(ops[i%len(ops)])
		if s.Op != op.Op || s.Signature() != op.Signature() {
			e.Errorf("%s: span %d is of %s(%s); expected %s(%s)", e.name, i, s.Op, s.Signature(), op.Op, op.Signature())
		}
		if s.Begin < end || s.Duration < 0 || s.Dispatches < 1 {
			e.Errorf("%s: span %d begins at %v, takes %v and %d dispatches; the one before ends at %v", e.name, i, s.Begin, s.Duration, s.Dispatches, end)
		}
		end = s.Begin + s.Duration
	}
	if end > wall {
		e.Errorf("%s: the last span ends %v after the first began; all of it took %v", e.name, end, wall)
	}

	wrong := errors.New("wrong")
	if _, err := backend.Profile(e.b, func(backend.Backend) error { return wrong }); !errors.Is(err, wrong) {
		e.Errorf("%s: where run fails with %q Profile gave %v", e.name, wrong, err)
	}
	e.must(before.Run(), "Run of a program after a profile")
	e.all("count after the profile", a, 7)
	e.must(before.Close(), "Close")
	e.usable()
}
