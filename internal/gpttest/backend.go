package gpttest

import (
	"context"
	"testing"

	"caldera/backend"
	"caldera/backend/calltrace"
	_ "caldera/backend/cpu"
)

// OpenCPU opens the CPU backend, under an account of its memory.
func OpenCPU(t *testing.T) *Account {
	t.Helper()
	b, err := backend.Open("cpu")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return AccountOf(b)
}

// Account keeps an account of a backend's buffers.
type Account struct {
	backend.Backend
	live      map[backend.Buffer]bool
	Allocated int   // bytes that Alloc gave, freed ones included
	Most      int   // bytes that buffers had at a time
	Mapped    []int // bytes that MapHost was given each time
	Recorded  int   // programs
	Replayed  int   // runs of programs
	Err       error // what Run reports
}

func (a *Account) Unwrap() backend.Backend { return a.Backend }

// AccountOf is b, under an account of its memory.
func AccountOf(b backend.Backend) *Account {
	a := &Account{live: map[backend.Buffer]bool{}}
	a.Backend = calltrace.Wrap(b, calltrace.Hooks{
		Before: func(c calltrace.Call) error {
			if c.Method == calltrace.Run || c.Method == calltrace.Replay {
				return a.Err
			}
			return nil
		},
		After: func(c calltrace.Call) {
			switch {
			case c.Method == calltrace.Record:
				a.Recorded++
			case c.Method == calltrace.Replay:
				a.Replayed++
			case c.Method == calltrace.Alloc && c.Err == nil:
				a.Allocated += c.Bytes
				a.live[c.Buffer] = true
				a.Most = max(a.Most, a.Bytes())
			case c.Method == calltrace.MapHost && c.Err == nil:
				a.Mapped = append(a.Mapped, c.Bytes)
				a.live[c.Buffer] = true
			}
		},
	})
	return a
}

// InUse is the number of buffers that have not been freed.
func (a *Account) InUse() int {
	n := 0
	for buf := range a.live {
		if buf.Size() > 0 {
			n++
		}
	}
	return n
}

// Bytes is how many bytes the buffers have that have not been freed.
func (a *Account) Bytes() int {
	n := 0
	for buf := range a.live {
		n += buf.Size()
	}
	return n
}

// DeviceOf is a backend that has memory of its own and no other ability, as a
// GPU has: matrices are transposed on their way into it.
func DeviceOf(b backend.Backend) backend.Backend { return device{b} }

type device struct{ backend.Backend }

// Countdown is a context that ends once it has been asked n times.
func Countdown(ctx context.Context, n int) context.Context { return &countdown{ctx, n} }

type countdown struct {
	context.Context
	n int
}

func (c *countdown) Err() error {
	if c.n--; c.n < 0 {
		return context.Canceled
	}
	return nil
}

// FullAfter is a backend that has memory for so many allocations.
func FullAfter(a *Account, left int) *Full { return &Full{a, left} }

// Full has no memory left after a number of allocations.
type Full struct {
	*Account
	Left int
}

func (f *Full) Alloc(size int) (backend.Buffer, error) {
	if f.Left--; f.Left < 0 {
		return nil, backend.ErrOutOfMemory
	}
	return f.Account.Alloc(size)
}
