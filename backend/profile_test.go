package backend_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"caldera/backend"
	"caldera/backend/null"
)

// plain is a backend that cannot tell times: an add takes a while, and each
// call is noted.
type plain struct {
	null.Backend
	calls []string
}

const aWhile = 2 * time.Millisecond

func (p *plain) Run(ops ...backend.Op) error {
	for _, op := range ops {
		if p.calls = append(p.calls, op.Name()); op.Name() == "add" {
			time.Sleep(aWhile)
		}
	}
	return p.Backend.Run(ops...)
}

func (p *plain) Read(dst []byte, src backend.Buffer, off int) error {
	p.calls = append(p.calls, "read")
	return p.Backend.Read(dst, src, off)
}

func (p *plain) take() string {
	s := strings.Join(p.calls, " ")
	p.calls = nil
	return s
}

func spanNames(spans []backend.Span) string {
	var s []string
	for _, span := range spans {
		s = append(s, span.Op)
	}
	return strings.Join(s, " ")
}

func TestProfileFallsBack(t *testing.T) {
	p := &plain{}
	add := &backend.Add{Dst: f32(2, 5), A: f32(2, 5), B: f32(2, 5)}
	gelu := &backend.Activate{Dst: f32(3, 5), X: f32(3, 5), Func: backend.GELUTanh}
	var program backend.Program
	start := time.Now()
	spans, err := backend.Profile(p, func(b backend.Backend) (err error) {
		if program, err = backend.Record(b, gelu, add); err != nil {
			return err
		}
		if err := backend.Run(b, add, gelu); err != nil {
			return err
		}
		return program.Run()
	})
	wall := time.Since(start)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := p.take(), "read add read activate read read activate read add read"; got != want {
		t.Errorf("the backend was asked for %q, expected %q", got, want)
	}
	if got := spanNames(spans); got != "add activate+gelu_tanh activate+gelu_tanh add" {
		t.Fatalf("spans of %q", got)
	}
	end, sum := time.Duration(0), time.Duration(0)
	for i, s := range spans {
		if s.Begin < end || s.Duration <= 0 || (s.Op == "add" && s.Duration < aWhile) || s.Dispatches != 1 {
			t.Errorf("span %d (%s) begins at %v and takes %v in %d dispatches; the one before ends at %v", i, s.Op, s.Begin, s.Duration, s.Dispatches, end)
		}
		end = s.Begin + s.Duration
		sum += s.Duration
	}
	if spans[0].Begin != 0 || end > wall || sum > wall {
		t.Errorf("from %v to %v, %v in all, in %v", spans[0].Begin, end, sum, wall)
	}
	if got, want := spans[1].Signature(), "dst f32[3 5], x f32[3 5]"; got != want {
		t.Errorf("signature %q, expected %q", got, want)
	}
	for _, o := range spans[0].Operands {
		if o.Buf != nil {
			t.Errorf("%s keeps its memory alive", o.Name)
		}
	}

	// Once it is over, nothing waits.
	if err := program.Run(); err != nil {
		t.Fatal(err)
	}
	if got := p.take(); got != "activate add" {
		t.Errorf("after the profile a program asks for %q", got)
	}
}

// TestProgramIsFrozenForProfile changes an op after it was recorded.
func TestProgramIsFrozenForProfile(t *testing.T) {
	p := &plain{}
	op := &backend.Activate{Dst: f32(3, 5), X: f32(3, 5), Func: backend.GELUTanh}
	b := backend.WithProfiler(p)
	program, err := backend.Record(b, op)
	if err != nil {
		t.Fatal(err)
	}
	op.Dst, op.X = f32(7), f32(7)
	spans, err := backend.Profile(b, func(backend.Backend) error { return program.Run() })
	if err != nil || len(spans) != 1 || spans[0].Signature() != "dst f32[3 5], x f32[3 5]" {
		t.Errorf("spans %+v, %v", spans, err)
	}
}

func TestProfileErrors(t *testing.T) {
	p := &plain{}
	b := backend.WithProfiler(p)
	if again := backend.WithProfiler(b); again != b {
		t.Error("what can profile was wrapped again")
	}
	wrong := errors.New("wrong")
	if _, err := backend.Profile(b, func(backend.Backend) error { return wrong }); err != wrong {
		t.Errorf("run failed, Profile says %v", err)
	}
	_, err := backend.Profile(b, func(b backend.Backend) error {
		_, err := backend.Profile(b, func(backend.Backend) error { return nil })
		return err
	})
	wantError(t, err, "null", "Profile within Profile")
	p.Fault = errDevice
	_, err = backend.Profile(b, func(b backend.Backend) error {
		return b.Run(samples()[0])
	})
	if !errors.Is(err, errDevice) {
		t.Errorf("a device that fails: %v", err)
	}
	p.Fault = nil
	p.take()
	if spans, err := backend.Profile(b, func(backend.Backend) error { return b.Run() }); err != nil || len(spans) != 0 {
		t.Errorf("no ops: %v, %v", spans, err)
	}
	if err := b.Run(samples()[0]); err != nil || slices.Contains(p.calls, "read") {
		t.Errorf("after profiles that failed Run gives %v and asks for %q", err, p.take())
	}
}
