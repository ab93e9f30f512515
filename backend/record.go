package backend

// Program is a recorded list of ops, to be run many times. Between runs only the
// contents of tensors may change. Buffers, shapes and Go values stay as they were
// when the ops were recorded.
type Program interface {
	// Run runs the ops in order. It may return before they have finished. If a
	// buffer of the ops has been freed it returns an error and runs nothing.
	Run() error

	// Close frees what the program holds. A second call does nothing.
	Close() error
}

// Recorder is an optional interface of backends that can record a list of ops, so
// that each run costs less.
type Recorder interface {
	// Record takes ops that come from [Prepare].
	Record(ops ...Op) (Program, error)
}

// Record prepares ops and records them. If b is no [Recorder], each run of the
// program passes the ops to b.Run.
func Record(b Backend, ops ...Op) (Program, error) {
	ops, err := Prepare(b, ops...)
	if err != nil {
		return nil, err
	}
	if r, ok := As[Recorder](b); ok {
		return r.Record(ops...)
	}
	return &list{b, Freeze(ops)}, nil
}

// Freeze returns clones of the ops, so that a program does not change if the caller
// changes an op later.
func Freeze(ops []Op) []Op {
	out := make([]Op, len(ops))
	for i, op := range ops {
		out[i] = Clone(op)
	}
	return out
}

// list is the Program of a backend that is no Recorder.
type list struct {
	b   Backend
	ops []Op
}

func (l *list) Run() error {
	if l.b == nil {
		return ErrClosed
	}
	return l.b.Run(l.ops...)
}

func (l *list) Close() error {
	l.b, l.ops = nil, nil
	return nil
}
