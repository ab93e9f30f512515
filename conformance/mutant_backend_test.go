package conformance

// Faults of a backend as a whole: memory, order, programs, lifetime.

import (
	"errors"
	"testing"

	"caldera/backend"
)

// program is a backend.Program made of functions.
type program struct {
	run   func() error
	close func() error
}

func (p program) Run() error { return p.run() }
func (p program) Close() error {
	if p.close != nil {
		return p.close()
	}
	return nil
}

// withRecord makes a backend of which only Record is wrong.
func withRecord(record func(r *reference, ops []backend.Op) backend.Program) func() backend.Backend {
	return func() backend.Backend {
		b := &faulty{reference: &reference{}}
		return &recorder{b, func(ops ...backend.Op) (backend.Program, error) { return record(b.reference, ops), nil }}
	}
}

// with makes a backend of a reference that f spoils.
func with(f func(b *faulty, r *reference)) func() backend.Backend {
	return func() backend.Backend {
		r := &reference{}
		b := &faulty{reference: r}
		f(b, r)
		return b
	}
}

var backendMutants = []struct {
	name, group string
	open        func() backend.Backend
}{
	{"lets Write overtake Run", "memory", with(func(b *faulty, r *reference) {
		var queue []backend.Op
		b.run = func(ops ...backend.Op) error { queue = append(queue, backend.Freeze(ops)...); return nil }
		b.read = func(dst []byte, src backend.Buffer, off int) error {
			err := r.Run(queue...)
			queue = nil
			return errors.Join(err, r.Read(dst, src, off))
		}
	})},
	{"reads what was there before the last Run", "memory", with(func(b *faulty, r *reference) {
		var queue []backend.Op
		b.run = func(ops ...backend.Op) error {
			err := r.Run(queue...)
			queue = backend.Freeze(ops)
			return err
		}
	})},
	{"keeps src until Read", "memory", with(func(b *faulty, r *reference) {
		var queue []func() error
		flush := func() (err error) {
			for _, f := range queue {
				err = errors.Join(err, f())
			}
			queue = nil
			return err
		}
		b.write = func(dst backend.Buffer, off int, src []byte) error {
			if _, err := r.window(dst, off, len(src)); err != nil {
				return err
			}
			queue = append(queue, func() error { return r.Write(dst, off, src) })
			return nil
		}
		b.run = func(ops ...backend.Op) error { return errors.Join(flush(), r.Run(ops...)) }
		b.read = func(dst []byte, src backend.Buffer, off int) error {
			return errors.Join(flush(), r.Read(dst, src, off))
		}
	})},
	{"writes whole words", "memory", with(func(b *faulty, r *reference) {
		b.write = func(dst backend.Buffer, off int, src []byte) error {
			if n := dst.Size() - off; len(src)%4 != 0 && off >= 0 && len(src) < n {
				src = append(append([]byte{}, src...), make([]byte, min(n-len(src), 4-len(src)%4))...)
			}
			return r.Write(dst, off, src)
		}
	})},
	{"cuts transfers off at 64 KiB", "memory", with(func(b *faulty, r *reference) {
		b.write = func(dst backend.Buffer, off int, src []byte) error {
			return r.Write(dst, off, src[:min(len(src), 64<<10)])
		}
	})},
	{"does not zero memory", "memory", with(func(b *faulty, r *reference) {
		b.alloc = func(size int) (backend.Buffer, error) {
			buf, err := r.Alloc(size)
			if err == nil {
				buf.(*referenceBuffer).data[size-1] = 1
			}
			return buf, err
		}
	})},
	{"rounds Size up", "memory", with(func(b *faulty, r *reference) {
		b.alloc = func(size int) (backend.Buffer, error) {
			if size <= 0 || size > referenceMemory {
				return r.Alloc(size)
			}
			return r.Alloc((size + 15) &^ 15)
		}
	})},
	{"gives less memory than asked for", "memory", with(func(b *faulty, r *reference) {
		b.alloc = func(size int) (backend.Buffer, error) {
			buf, err := r.Alloc(min(size, 1<<20))
			if err == nil {
				buf.(*referenceBuffer).size = size
			}
			return buf, err
		}
	})},
	{"has another error for too little memory", "memory", with(func(b *faulty, r *reference) {
		b.alloc = func(size int) (backend.Buffer, error) {
			if size > referenceMemory {
				return nil, errFault
			}
			return r.Alloc(size)
		}
	})},
	{"breaks when memory runs out", "memory", with(func(b *faulty, r *reference) {
		b.alloc = func(size int) (backend.Buffer, error) {
			buf, err := r.Alloc(size)
			if errors.Is(err, backend.ErrOutOfMemory) {
				b.alloc = func(int) (backend.Buffer, error) { return nil, errFault }
			}
			return buf, err
		}
	})},
	{"takes a size of 0", "memory", with(func(b *faulty, r *reference) {
		b.alloc = func(size int) (backend.Buffer, error) { return r.Alloc(max(size, 1)) }
	})},
	{"panics at a size below 0", "memory", with(func(b *faulty, r *reference) {
		b.alloc = func(size int) (backend.Buffer, error) {
			if size < 0 {
				_ = make([]byte, size)
			}
			return r.Alloc(size)
		}
	})},
	{"cuts a Write at the end of the buffer", "memory", with(func(b *faulty, r *reference) {
		b.write = func(dst backend.Buffer, off int, src []byte) error {
			if off >= 0 && off < dst.Size() {
				src = src[:min(len(src), dst.Size()-off)]
			}
			return r.Write(dst, off, src)
		}
	})},
	{"has 4096 buffers at most", "memory", with(func(b *faulty, r *reference) {
		n := 0
		b.alloc = func(size int) (backend.Buffer, error) {
			if n++; size == 16 && n > 4096 {
				return nil, errFault
			}
			return r.Alloc(size)
		}
	})},
	{"hands the same memory out twice", "memory", with(func(b *faulty, r *reference) {
		var arena []byte
		b.alloc = func(size int) (backend.Buffer, error) {
			buf, err := r.Alloc(size)
			if err == nil && size < 1<<14 && size > 1<<13 {
				if arena == nil {
					arena = make([]byte, 1<<14)
				}
				buf.(*referenceBuffer).data = arena[:size]
			}
			return buf, err
		}
	})},
	{"runs a list backwards", "program", with(func(b *faulty, r *reference) {
		b.run = func(ops ...backend.Op) error {
			for i := len(ops) - 1; i >= 0; i-- {
				if err := r.Run(ops[i]); err != nil {
					return err
				}
			}
			return nil
		}
	})},
	{"orders ops by buffer and not by window", "program", with(func(b *faulty, r *reference) {
		b.run = func(ops ...backend.Op) error { // two copies within one buffer change places
			ops = backend.Freeze(ops)
			for i := 0; i+1 < len(ops); i++ {
				a, ok := ops[i].(*backend.Copy)
				c, ok2 := ops[i+1].(*backend.Copy)
				if ok && ok2 && a.Dst.Buf == a.X.Buf && c.Dst.Buf == a.X.Buf {
					ops[i], ops[i+1] = c, a
					i++
				}
			}
			return r.Run(ops...)
		}
	})},
	{"drops ops after the 1024th", "program", with(func(b *faulty, r *reference) {
		b.run = func(ops ...backend.Op) error { return r.Run(ops[:min(len(ops), 1024)]...) }
	})},
	{"refuses a list of no ops", "program", with(func(b *faulty, r *reference) {
		b.run = func(ops ...backend.Op) error {
			if len(ops) == 0 {
				return errFault
			}
			return r.Run(ops...)
		}
	})},
	{"replays nothing after the first run", "program", withRecord(func(r *reference, ops []backend.Op) backend.Program {
		ran := false
		ops = backend.Freeze(ops)
		return program{run: func() error {
			if ran {
				return nil
			}
			ran = true
			return r.Run(ops...)
		}}
	})},
	{"replays with the data of the first run", "linear", withRecord(func(r *reference, ops []backend.Op) backend.Program {
		ops = backend.Freeze(ops)
		for _, op := range ops {
			op.Operands(func(_ string, t *backend.Tensor, a backend.Access) {
				if a == backend.Read && t.Rows() > 1 {
					*t = copied(*t, func(v float64) float64 { return v })
					t.Buf.(*referenceBuffer).owner = r
				}
			})
		}
		return program{run: func() error { return r.Run(ops...) }}
	})},
	{"freezes positions when recorded", "attention", withRecord(frozenAt)},
	{"freezes positions when recorded", "store", withRecord(frozenAt)},
	{"freezes positions when recorded", "embedding", withRecord(frozenAt)},
	{"freezes positions when recorded", "model", withRecord(frozenAt)},
	{"follows changes of a recorded struct", "program", withRecord(func(r *reference, ops []backend.Op) backend.Program {
		closed := false
		return program{run: func() error {
			if closed {
				return backend.ErrClosed
			}
			return r.Run(ops...)
		}, close: func() error { closed = true; return nil }}
	})},
	{"runs a closed program", "program", withRecord(func(r *reference, ops []backend.Op) backend.Program {
		ops = backend.Freeze(ops)
		return program{run: func() error { return r.Run(ops...) }}
	})},
	{"closes all programs with one", "program", func() func() backend.Backend {
		closed := false
		return withRecord(func(r *reference, ops []backend.Op) backend.Program {
			closed = false
			ops = backend.Freeze(ops)
			return program{run: func() error {
				if closed {
					return backend.ErrClosed
				}
				return r.Run(ops...)
			}, close: func() error { closed = true; return nil }}
		})
	}()},
	{"runs what comes before a freed buffer", "lifetime", with(func(b *faulty, r *reference) {
		b.run = func(ops ...backend.Op) error {
			for _, op := range ops {
				if err := r.Run(op); err != nil {
					return err
				}
			}
			return nil
		}
	})},
	{"reads freed buffers", "lifetime", with(func(b *faulty, r *reference) {
		b.read = func(dst []byte, src backend.Buffer, off int) error {
			if err := r.Read(dst, src, off); !errors.Is(err, backend.ErrFreed) {
				return err
			}
			return nil
		}
	})},
	{"panics over a freed buffer", "lifetime", with(func(b *faulty, r *reference) {
		b.write = func(dst backend.Buffer, off int, src []byte) error {
			if own, ok := dst.(*referenceBuffer); ok && !r.closed && own.owner == r {
				own.data[off] = src[0]
			}
			return r.Write(dst, off, src)
		}
	})},
	{"has another error for a freed buffer", "lifetime", with(func(b *faulty, r *reference) {
		b.write = func(dst backend.Buffer, off int, src []byte) error {
			if r.Write(dst, off, src) != nil {
				return errFault
			}
			return nil
		}
	})},
	{"goes on after Close", "lifetime", with(func(b *faulty, r *reference) { b.close = func() error { return nil } })},
	{"fails at a second Close", "lifetime", with(func(b *faulty, r *reference) {
		b.close = func() error {
			if r.closed {
				return errFault
			}
			return r.Close()
		}
	})},
	{"takes buffers of another backend", "lifetime", with(func(b *faulty, r *reference) {
		b.run = func(ops ...backend.Op) error {
			for _, op := range ops {
				op.Operands(func(_ string, t *backend.Tensor, _ backend.Access) {
					if own, ok := t.Buf.(*referenceBuffer); ok {
						own.owner = r
					}
				})
			}
			return r.Run(ops...)
		}
	})},
}

// frozenAt records positions as they are at that moment.
func frozenAt(r *reference, ops []backend.Op) backend.Program {
	ops = backend.Freeze(ops)
	for _, op := range ops {
		op.Operands(func(name string, t *backend.Tensor, _ backend.Access) {
			if name == "at" {
				*t = copied(*t, func(v float64) float64 { return v })
				t.Buf.(*referenceBuffer).owner = r
			}
		})
	}
	return program{run: func() error { return r.Run(ops...) }}
}

func TestBackendMutants(t *testing.T) {
	for _, m := range backendMutants {
		t.Run(m.group+"/"+m.name, func(t *testing.T) {
			caught := examine(m.open, m.group)
			if len(caught) == 0 {
				t.Fatal("no check failed")
			}
			t.Log(caught[0])
		})
	}
}

// A backend without an op must not pass. One without f16 or an op that only
// training needs must, and be told what it was not tried with.
func TestWhatIsMandatory(t *testing.T) {
	short := checks(true)
	for name, k := range kinds {
		if _, lowers := k.Op.(backend.Lowerer); lowers {
			continue // Prepare has others
		}
		open := func() backend.Backend { return &lacking{reference: &reference{}, op: name} }
		caught, count := examineAll(open, name, short)
		switch {
		case k.Training && (len(caught) > 0 || count.run != 0 || count.skipped["training"] == 0):
			t.Errorf("without %s: %q, %v; expected all its cases to be skipped", name, caught, count)
		case !k.Training && len(caught) == 0:
			t.Errorf("a backend without %s passed", name)
		}
	}
	skipped := 0
	for name := range kinds {
		open := func() backend.Backend { return &lacking{reference: &reference{}} }
		caught, count := examineAll(open, name, short)
		if len(caught) > 0 {
			t.Errorf("a backend without f16 failed: %s", caught[0])
		}
		skipped += count.skipped["f16"]
	}
	if skipped == 0 {
		t.Error("no case was counted as skipped on a backend without f16")
	}
}

func TestTally(t *testing.T) {
	c := &tally{run: 7, skipped: map[string]int{"q8_0": 2, "f16": 3}}
	if got, want := c.String(), "conformance: 7 cases run, 5 skipped (f16: 3, q8_0: 2)"; got != want {
		t.Errorf("got %q want %q", got, want)
	}
}

// lacking is a reference that lacks an op, or all of f16.
type lacking struct {
	*reference
	op string
}

func (l *lacking) Supports(op backend.Op) bool {
	if l.op == "" {
		return l.reference.Supports(op) && storage(operands(op)) == ""
	}
	return op.Name() != l.op && l.reference.Supports(op)
}
