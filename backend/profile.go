package backend

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// Profiler is an optional interface of backends that can measure how long each op
// takes: a GPU by its own clock.
type Profiler interface {
	// Profile calls run, waits for the device, and returns a Span for each op that
	// ran during the call, in order. Ops of programs that were recorded before count
	// too. While a profile is made the ops do not overlap, so that each time is that
	// of one op. So all of them together may take longer than usual.
	//
	// An error of run is returned as it is. The error is [errors.ErrUnsupported] if
	// the device has no clock. Calling Profile within run is an error.
	Profile(run func() error) ([]Span, error)
}

// Span is the time that one op took.
type Span struct {
	Op       string // its label: see Label
	Operands []Operand
	Work     Op // a copy of the op, its tensors without buffers; for [Cost]

	Begin    time.Duration // since the begin of the first op
	Duration time.Duration // from the begin of its first kernel to the end of its last

	Dispatches int      // number of shader dispatches and copies, or of calls of kernels
	Variants   []string // names of the shader variants, each once; nil if the backend has none
}

// Operand is an operand of an op: its name, its access, and its Tensor without buffer.
type Operand struct {
	Name   string
	Access Access
	Tensor
}

// NewSpan returns a Span of op without times.
func NewSpan(op Op) Span {
	s := Span{Op: Label(op), Work: Freeze([]Op{op})[0]}
	s.Work.Operands(func(name string, t *Tensor, a Access) {
		t.Buf = nil
		s.Operands = append(s.Operands, Operand{name, a, *t})
	})
	return s
}

// Signature lists the operands with dtypes and shapes: "dst f32[2 3], x f32[2 5], …".
func (s Span) Signature() string {
	parts := make([]string, len(s.Operands))
	for i, o := range s.Operands {
		parts[i] = o.Name + " " + o.String()
	}
	return strings.Join(parts, ", ")
}

// Profile calls run with b, or with [WithProfiler] of b, and returns a Span for each
// op that ran on it during the call: see [Profiler].
func Profile(b Backend, run func(b Backend) error) ([]Span, error) {
	b = WithProfiler(b)
	p, _ := As[Profiler](b)
	return p.Profile(func() error { return run(b) })
}

// WithProfiler returns b if it is a [Profiler], else a wrapper of b that is one.
// While a profile is made the wrapper runs ops one by one and reads a result of each,
// so the times include starting the op and waiting for it. Only ops that are run and
// recorded through the wrapper are measured.
func WithProfiler(b Backend) Backend {
	if _, ok := As[Profiler](b); ok {
		return b
	}
	return &timed{Backend: b}
}

// timed is a backend that measures each op by the host's clock.
type timed struct {
	Backend
	profiling bool
	spans     []Span
	begin     time.Time // of the first op
}

func (t *timed) Unwrap() Backend { return t.Backend }

func (t *timed) Profile(run func() error) ([]Span, error) {
	if t.profiling {
		return nil, fmt.Errorf("%s: Profile within Profile", t.Name())
	}
	t.profiling = true
	defer func() { t.profiling, t.spans = false, nil }()
	if err := run(); err != nil {
		return nil, err
	}
	return t.spans, nil
}

func (t *timed) Run(ops ...Op) error {
	if !t.profiling || len(ops) == 0 {
		return t.Backend.Run(ops...)
	}
	if err := t.wait(ops[0]); err != nil { // for earlier work
		return err
	}
	for i, op := range ops {
		start := time.Now()
		err := t.Backend.Run(op)
		if err == nil {
			err = t.wait(op)
		}
		if err != nil {
			var inner *OpError // its index is 0, because the list has one op
			if errors.As(err, &inner) {
				err = inner.Err
			}
			return &OpError{i, op.Name(), err}
		}
		if len(t.spans) == 0 {
			t.begin = start
		}
		s := NewSpan(op)
		s.Begin, s.Duration, s.Dispatches = start.Sub(t.begin), time.Since(start), 1
		t.spans = append(t.spans, s)
	}
	return nil
}

// wait waits for all work: it reads from an operand of op.
func (t *timed) wait(op Op) error {
	var err error
	waited := false
	op.Operands(func(_ string, x *Tensor, _ Access) {
		if waited {
			return
		}
		waited = true
		from, _ := x.Span()
		err = t.Read(make([]byte, x.DType.BlockBytes()), x.Buf, from)
	})
	return err
}

// Record implements [Recorder], so that the ops of programs are measured.
func (t *timed) Record(ops ...Op) (Program, error) {
	p, err := Record(t.Backend, ops...)
	if err != nil {
		return nil, err
	}
	return &timedProgram{p, t, Freeze(ops)}, nil
}

type timedProgram struct {
	Program
	t   *timed
	ops []Op
}

func (p *timedProgram) Run() error {
	if p.t.profiling {
		return p.t.Run(p.ops...)
	}
	return p.Program.Run()
}
