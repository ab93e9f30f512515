package calltrace_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"caldera/backend"
	"caldera/backend/calltrace"
	"caldera/backend/null"
	"caldera/conformance"
)

// TestConformance expects a wrapped backend to behave as it does unwrapped.
func TestConformance(t *testing.T) {
	calls := 0
	conformance.TestGroups(t, func(testing.TB) backend.Backend {
		return calltrace.Wrap(conformance.Reference(), calltrace.Hooks{After: func(calltrace.Call) { calls++ }})
	}, "program", "lifetime")
	if calls == 0 {
		t.Error("no call was reported")
	}
}

func TestReports(t *testing.T) {
	var got []string
	b := calltrace.Wrap(&null.Backend{}, calltrace.Hooks{After: func(c calltrace.Call) {
		s := fmt.Sprintf("%v%v%d", c.Method, c.Names(), c.Bytes)
		if c.Buffer != nil {
			s += fmt.Sprint(" of ", c.Buffer.Size())
		}
		if c.Err != nil {
			s += " failed"
		}
		got = append(got, s)
	}})
	x, err := backend.New(b, backend.F32, 4)
	if err != nil {
		t.Fatal(err)
	}
	y, err := backend.New(b, backend.F32, 4)
	if err != nil {
		t.Fatal(err)
	}
	ops := []backend.Op{&backend.Copy{Dst: y, X: x}, &backend.Add{Dst: y, A: x, B: x}}
	p, err := backend.Record(b, ops...)
	if err != nil {
		t.Fatal(err)
	}
	err = errors.Join(backend.SetF32(b, x, make([]float32, 4)), backend.Run(b, ops[0]), p.Run(), backend.GetF32(b, y.Slice(-1, 0, 2), make([]float32, 2)))
	if err != nil {
		t.Fatal(err)
	}
	b.Alloc(-1)
	want := []string{
		"Alloc[]16 of 16", "Alloc[]16 of 16", "Record[copy add]0", "Write[]16 of 16", "Run[copy]0", "Replay[copy add]0", "Read[]8 of 16", "Alloc[]-1 failed",
	}
	if !slices.Equal(got, want) {
		t.Errorf("reported\n%q, expected\n%q", got, want)
	}
}

// TestBefore expects a call that Before refuses not to be made.
func TestBefore(t *testing.T) {
	inner := &null.Backend{}
	var refuse calltrace.Method
	var failed []calltrace.Method
	b := calltrace.Wrap(inner, calltrace.Hooks{
		Before: func(c calltrace.Call) error {
			if c.Method == refuse {
				return backend.ErrDeviceLost
			}
			return nil
		},
		After: func(c calltrace.Call) {
			if errors.Is(c.Err, backend.ErrDeviceLost) {
				failed = append(failed, c.Method)
			}
		},
	})
	if _, err := b.Alloc(4); !errors.Is(err, backend.ErrDeviceLost) || inner.Allocated() != 0 {
		t.Errorf("Alloc: %v, %d bytes were allocated", err, inner.Allocated())
	}
	refuse = calltrace.Record
	x, err := backend.New(b, backend.F32, 4)
	if err != nil {
		t.Fatal(err)
	}
	op := &backend.Softmax{Dst: x, X: null.Tensor(backend.F32, 4)}
	if _, err := backend.Record(b, op); !errors.Is(err, backend.ErrDeviceLost) {
		t.Errorf("Record: %v", err)
	}
	if want := []calltrace.Method{calltrace.Alloc, calltrace.Record}; !slices.Equal(failed, want) {
		t.Errorf("After was told of failed %v, expected %v", failed, want)
	}
}

// mapper maps memory of the host and reports what it has.
type mapper struct {
	null.Backend
	mapped int
}

func (m *mapper) MapHost(p []byte) (backend.Buffer, error) {
	m.mapped += len(p)
	return m.Alloc(len(p))
}

// TestAbilities expects a wrapper to have the abilities of what it wraps, and no others.
func TestAbilities(t *testing.T) {
	if _, ok := backend.As[backend.HostMapper](calltrace.Wrap(&null.Backend{}, calltrace.Hooks{})); ok {
		t.Error("a wrapper maps memory that the backend cannot map")
	}
	m, bytes := &mapper{}, 0
	b := calltrace.Wrap(m, calltrace.Hooks{After: func(c calltrace.Call) {
		if c.Method == calltrace.MapHost {
			bytes += c.Bytes
		}
	}})
	if _, err := backend.MapHost(b, make([]byte, 12)); err != nil || m.mapped != 12 || bytes != 12 {
		t.Errorf("MapHost: %v, %d bytes mapped, %d reported", err, m.mapped, bytes)
	}
	if used, _, _ := backend.Memory(b); used != 12 {
		t.Errorf("Memory tells of %d bytes", used)
	}
}
