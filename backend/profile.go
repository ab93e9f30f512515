package backend

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// Profiler is the optional ability to tell how long each op takes where it
// runs: on a GPU by the device's own clock.
type Profiler interface {
	// Profile calls run and returns a Span for each op that ran meanwhile, in
	// order, also those of programs that were recorded before. Ops run one
	// after another, each alone on the device, so that the time of one says
	// nothing of its neighbours; all of them may take longer than without Profile.
	//
	// It waits for the device. If run fails, Profile returns its error unchanged.
	// The error is [errors.ErrUnsupported] where the device has no clock. A
	// Profile within run is an error.
	Profile(run func() error) ([]Span, error)
}

// Span is the time that one op took.
type Span struct {
	Op       string // its label: see Label
	Operands []Operand
	Work     Op // the op itself, its tensors without their memory, to ask for its [Cost]

	Begin    time.Duration // since the first op began
	Duration time.Duration // from the begin of its first kernel to the end of its last

	Dispatches int      // of shaders and copies, or calls of kernels
	Variants   []string // of the shaders, each once, as far as the backend names them
}

// Operand is what an op was given: a Tensor without its memory.
type Operand struct {
	Name   string
	Access Access
	Tensor
}

// NewSpan is a Span of op whose time is not known yet.
func NewSpan(op Op) Span {
	s := Span{Op: Label(op), Work: Freeze([]Op{op})[0]}
	s.Work.Operands(func(name string, t *Tensor, a Access) {
		t.Buf = nil
		s.Operands = append(s.Operands, Operand{name, a, *t})
	})
	return s
}

// Signature lists the operands: "dst f32[2 3], x f32[2 5], …".
func (s Span) Signature() string {
	parts := make([]string, len(s.Operands))
	for i, o := range s.Operands {
		parts[i] = o.Name + " " + o.String()
	}
	return strings.Join(parts, ", ")
}

// Profile calls run and tells how long each op took that ran meanwhile on the
// backend that run is given: b, or [WithProfiler] of it.
func Profile(b Backend, run func(b Backend) error) ([]Span, error) {
	b = WithProfiler(b)
	p, _ := As[Profiler](b)
	return p.Profile(func() error { return run(b) })
}

// WithProfiler returns b, or a wrapper that is a [Profiler] where b is none. The
// wrapper runs ops one by one during a profile and reads a result of each. So its
// times include what it takes to start an op and to wait for it. It sees only ops
// that are run and recorded through itself.
func WithProfiler(b Backend) Backend {
	if _, ok := As[Profiler](b); ok {
		return b
	}
	return &timed{Backend: b}
}

// timed is a backend with the host's clock around each op.
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
	if err := t.wait(ops[0]); err != nil { // for what came before
		return err
	}
	for i, op := range ops {
		start := time.Now()
		err := t.Backend.Run(op)
		if err == nil {
			err = t.wait(op)
		}
		if err != nil {
			var of *OpError // of a list of one
			if errors.As(err, &of) {
				err = of.Err
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

// wait reads from an operand of op, which no backend does before all is done.
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

// Record implements [Recorder], so that programs are seen.
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
