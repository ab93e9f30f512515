// Package calltrace wraps a backend and reports the calls that it gets: to count
// them, to note what was allocated, or to make one of them fail in a test.
package calltrace

import "caldera/backend"

// Method says which call it is.
type Method uint8

const (
	Alloc   Method = iota // Backend.Alloc
	MapHost               // HostMapper.MapHost
	Write                 // Backend.Write
	Read                  // Backend.Read
	Run                   // Backend.Run
	Record                // Recorder.Record
	Replay                // Program.Run of a program that was recorded through the wrapper
)

func (m Method) String() string {
	return [...]string{"Alloc", "MapHost", "Write", "Read", "Run", "Record", "Replay"}[m]
}

// Call is one call of a method that does work.
type Call struct {
	Method Method
	Ops    []backend.Op   // of Run, Record and Replay, as Prepare gave them
	Bytes  int            // that Alloc, MapHost, Write and Read are about
	Buffer backend.Buffer // of Write and Read; of Alloc and MapHost once it is there
	Err    error          // what the call returned
}

// Hooks are what a wrapper calls. Either may be nil.
type Hooks struct {
	// Before is called before the call is passed on. If it returns an error,
	// the call is not made and returns that error.
	Before func(c Call) error

	// After is called when the call has returned.
	After func(c Call)
}

// Wrap returns a backend that passes everything on to b and calls the hooks. Other
// abilities of b are found through it by [backend.As]; their calls are not
// reported. Run and Replay may return before the ops have finished, as ever.
func Wrap(b backend.Backend, h Hooks) backend.Backend {
	w := &wrapper{b, h}
	if _, ok := backend.As[backend.HostMapper](b); ok {
		return mapping{w}
	}
	return w
}

// Names are the names of the ops of a call, in order.
func (c Call) Names() []string {
	names := make([]string, len(c.Ops))
	for i, op := range c.Ops {
		names[i] = op.Name()
	}
	return names
}

type wrapper struct {
	backend.Backend
	hooks Hooks
}

func (w *wrapper) Unwrap() backend.Backend { return w.Backend }

// call passes a call on, between the hooks.
func (w *wrapper) call(c *Call, pass func() error) error {
	if w.hooks.Before != nil {
		c.Err = w.hooks.Before(*c)
	}
	if c.Err == nil {
		c.Err = pass()
	}
	if w.hooks.After != nil {
		w.hooks.After(*c)
	}
	return c.Err
}

func (w *wrapper) Alloc(size int) (backend.Buffer, error) {
	c := Call{Method: Alloc, Bytes: size}
	return w.buffer(&c, func() (backend.Buffer, error) { return w.Backend.Alloc(size) })
}

// buffer is call for what returns a buffer.
func (w *wrapper) buffer(c *Call, pass func() (backend.Buffer, error)) (backend.Buffer, error) {
	err := w.call(c, func() (err error) { c.Buffer, err = pass(); return err })
	return c.Buffer, err
}

func (w *wrapper) Write(dst backend.Buffer, off int, src []byte) error {
	return w.call(&Call{Method: Write, Bytes: len(src), Buffer: dst}, func() error { return w.Backend.Write(dst, off, src) })
}

func (w *wrapper) Read(dst []byte, src backend.Buffer, off int) error {
	return w.call(&Call{Method: Read, Bytes: len(dst), Buffer: src}, func() error { return w.Backend.Read(dst, src, off) })
}

func (w *wrapper) Run(ops ...backend.Op) error {
	return w.call(&Call{Method: Run, Ops: ops}, func() error { return w.Backend.Run(ops...) })
}

// Record implements [backend.Recorder], for backends that do and those that do not.
func (w *wrapper) Record(ops ...backend.Op) (backend.Program, error) {
	p := &program{w: w, ops: backend.Freeze(ops)}
	err := w.call(&Call{Method: Record, Ops: ops}, func() (err error) {
		if err = w.Backend.Run(); err == nil { // no ops: it tells whether the backend is closed
			p.Program, err = backend.Record(w.Backend, ops...)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return p, nil
}

type program struct {
	backend.Program
	w   *wrapper
	ops []backend.Op
}

func (p *program) Run() error { return p.w.call(&Call{Method: Replay, Ops: p.ops}, p.Program.Run) }

// mapping is a wrapper of a backend that maps memory of the host.
type mapping struct{ *wrapper }

func (m mapping) MapHost(p []byte) (backend.Buffer, error) {
	c := Call{Method: MapHost, Bytes: len(p)}
	return m.buffer(&c, func() (backend.Buffer, error) { return backend.MapHost(m.Backend, p) })
}
