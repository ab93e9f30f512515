package conformance

// Lifetime: Free and Close, and what belongs to another backend. These checks
// come last, and those that close a backend open one of their own.

import (
	"errors"

	"caldera/backend"
)

var lifetimeChecks = []check{
	{"lifetime/use after Free", useAfterFree},
	{"lifetime/program of a freed buffer", programOfFreed},
	{"lifetime/use after Close", useAfterClose},
	{"lifetime/Close with work under way", closeBusy},
	{"lifetime/buffers of another backend", foreign},
}

// refused fails the check unless err is want.
func (e *env) refused(what string, err, want error) {
	switch {
	case err == nil:
		e.Errorf("%s: %s went through; expected %q", e.name, what, want)
	case !errors.Is(err, want):
		e.Errorf("%s: %s gave %q; expected an error that wraps %q", e.name, what, err, want)
	}
}

func useAfterFree(e *env) {
	a, b, c := e.tensorOf(repeat(1, 8)), e.tensorOf(repeat(2, 8)), e.tensorOf(repeat(3, 8))
	ops, err := backend.Prepare(e.b, &backend.Copy{Dst: b, X: c}, &backend.Copy{Dst: b, X: a})
	e.must(err, "Prepare")
	a.Buf.Free()
	a.Buf.Free()
	p := make([]byte, 4)
	e.refused("Read of a freed buffer", e.b.Read(p, a.Buf, 0), backend.ErrFreed)
	e.refused("Write to a freed buffer", e.b.Write(a.Buf, 0, p), backend.ErrFreed)
	e.refused("Run of an op on a freed buffer", e.b.Run(ops...), backend.ErrFreed)
	d := e.tensorOf(repeat(4, 8)) // may lie where a was
	a.Buf.Free()                  // and must survive this
	e.all("a buffer made after a Free, when the freed one was freed again", d, 4)
	e.usable()
	free(b, c, d)
}

func programOfFreed(e *env) {
	a, b, c, d := e.tensorOf(repeat(1, 8)), e.tensorOf(repeat(2, 8)), e.tensorOf(repeat(3, 8)), e.tensorOf(repeat(4, 8))
	p := e.record(&backend.Copy{Dst: b, X: c}, &backend.Copy{Dst: d, X: a})
	e.must(p.Run(), "Run")
	e.must(backend.SetF32(e.b, b, repeat(2, 8)), "Write")
	a.Buf.Free()
	e.refused("a program that names a freed buffer", p.Run(), backend.ErrFreed)
	e.all("what an op wrote that stands before the one on a freed buffer: nothing may run", b, 2)
	other := e.tensorOf(repeat(9, 8))
	e.refused("that program, when another buffer took the place", p.Run(), backend.ErrFreed)
	e.must(p.Close(), "Close")
	e.usable()
	free(b, c, d, other)
}

func useAfterClose(e *env) {
	e.b = e.open()
	a, b := e.tensorOf(repeat(1, 8)), e.tensorOf(repeat(2, 8))
	op := &backend.Copy{Dst: b, X: a}
	ops, err := backend.Prepare(e.b, op)
	e.must(err, "Prepare")
	program := e.record(op)
	e.must(program.Run(), "Run")
	e.must(e.b.Close(), "Close")
	if err := e.b.Close(); err != nil && !errors.Is(err, backend.ErrClosed) {
		e.Errorf("%s: a second Close gave %q; expected nil or ErrClosed", e.name, err)
	}
	p := make([]byte, 4)
	_, err = e.b.Alloc(4)
	e.refused("Alloc after Close", err, backend.ErrClosed)
	e.refused("Read after Close", e.b.Read(p, a.Buf, 0), backend.ErrClosed)
	e.refused("Write after Close", e.b.Write(a.Buf, 0, p), backend.ErrClosed)
	e.refused("Run after Close", e.b.Run(ops...), backend.ErrClosed)
	e.refused("a program of a closed backend", program.Run(), backend.ErrClosed)
	if r, ok := backend.As[backend.Recorder](e.b); ok {
		_, err := r.Record(ops...)
		e.refused("Record after Close", err, backend.ErrClosed)
	}
	if m, ok := backend.As[backend.HostMapper](e.b); ok {
		_, err := m.MapHost(make([]byte, 64))
		e.refused("MapHost after Close", err, backend.ErrClosed)
	}
	if e.b.Name() == "" {
		e.Errorf("%s: Name is empty after Close", e.name)
	}
	free(a, b) // these must not crash
	if err := program.Close(); err != nil && !errors.Is(err, backend.ErrClosed) {
		e.Errorf("%s: closing a program of a closed backend gave %q; expected nil or ErrClosed", e.name, err)
	}
}

// closeBusy closes without waiting for what was submitted, with buffers and
// programs alive.
func closeBusy(e *env) {
	for range 2 {
		e.b = e.open()
		a, b := e.tensorOf(repeat(1, 1<<20)), e.tensorOf(repeat(0, 1<<20))
		p := e.record(&backend.Add{Dst: b, A: a, B: a})
		for range 10 {
			e.must(p.Run(), "Run")
		}
		e.must(e.b.Close(), "Close")
	}
}

func foreign(e *env) {
	other := e.open()
	defer other.Close()
	theirs, err := backend.New(other, backend.F32, 8)
	e.must(err, "New")
	e.must(backend.SetF32(other, theirs, repeat(5, 8)), "Write")
	ours := e.tensorOf(repeat(1, 8))
	defer free(ours)
	onHost := packed.Tensor(backend.F32, 8) // of no backend at all
	for _, t := range []backend.Tensor{theirs, onHost} {
		p := make([]byte, 4)
		refused := func(what string, err error) {
			if err == nil {
				e.Errorf("%s: %s of another backend (%T) went through; expected an error", e.name, what, t.Buf)
			}
		}
		refused("Read of a buffer", e.b.Read(p, t.Buf, 0))
		refused("Write to a buffer", e.b.Write(t.Buf, 0, p))
		ops, err := backend.Prepare(e.b, &backend.Copy{Dst: ours, X: t})
		if err == nil {
			err = e.b.Run(ops...)
		}
		refused("Run of an op on a buffer", err)
		program, err := backend.Record(e.b, &backend.Copy{Dst: t, X: ours})
		if err == nil {
			err = program.Run()
		}
		refused("a program on a buffer", err)
	}
	e.all("a buffer that foreign ones were to be copied to", ours, 1)
	v := make([]float32, 8)
	e.must(backend.GetF32(other, theirs, v), "Read")
	if v[0] != 5 {
		e.Errorf("%s: the other backend's buffer changed from 5 to %v", e.name, v[0])
	}
	e.usable()
}
