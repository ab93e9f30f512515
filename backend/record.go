package backend

// Program is a list of ops, made ready once and run many times. Between runs
// the contents of tensors may change and nothing else: buffers, shapes and
// every Go value are those of the moment it was recorded.
type Program interface {
	// Run runs the ops in order and may return before they have finished.
	// It is an error, and nothing runs, once a buffer that the ops name has
	// been freed.
	Run() error
	Close() error
}

// Recorder is the optional ability to make a list of ops cheaper to run again.
type Recorder interface {
	// Record takes ops that come from [Prepare].
	Record(ops ...Op) (Program, error)
}

// Record prepares ops for many runs. Where b is no [Recorder] each run hands
// the same ops to b.Run.
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

// Freeze clones the ops, so that a caller who changes one later does not change
// a program.
func Freeze(ops []Op) []Op {
	out := make([]Op, len(ops))
	for i, op := range ops {
		out[i] = Clone(op)
	}
	return out
}

// list is a program of a backend that is no Recorder.
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
