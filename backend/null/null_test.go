package null_test

import (
	"bytes"
	"errors"
	"testing"

	"caldera/backend"
	"caldera/backend/null"
	"caldera/conformance"
)

// computing is a null backend whose ops another one computes, so that the suite
// can hold its memory, its order of calls and its errors to what backends promise.
type computing struct {
	*null.Backend
	by backend.Backend
}

// Run copies the operands to the other backend, runs the ops there and copies
// them back.
func (c *computing) Run(ops ...backend.Op) error {
	if err := c.Backend.Run(ops...); err != nil {
		return err
	}
	for _, op := range ops {
		there := map[backend.Buffer]backend.Buffer{}
		var err error
		clone := backend.Clone(op)
		clone.Operands(func(_ string, t *backend.Tensor, _ backend.Access) {
			if there[t.Buf] == nil && err == nil {
				there[t.Buf], err = copyTo(c.by, c, t.Buf)
			}
			t.Buf = there[t.Buf]
		})
		if err == nil {
			err = c.by.Run(clone)
		}
		for here, buf := range there {
			p := make([]byte, here.Size())
			err = errors.Join(err, c.by.Read(p, buf, 0), c.Write(here, 0, p))
			buf.Free()
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func copyTo(b, from backend.Backend, buf backend.Buffer) (backend.Buffer, error) {
	p := make([]byte, buf.Size())
	if err := from.Read(p, buf, 0); err != nil {
		return nil, err
	}
	return backend.MapHost(b, p)
}

// TestConformance holds what a null backend has to the suite: all but the results
// of ops, which are the reference's.
func TestConformance(t *testing.T) {
	conformance.TestGroups(t, func(testing.TB) backend.Backend {
		return &computing{&null.Backend{}, conformance.Reference()}
	}, "memory", "program", "lifetime")
}

func alloc(t *testing.T, b *null.Backend, size int) backend.Buffer {
	t.Helper()
	buf, err := b.Alloc(size)
	if err != nil {
		t.Fatal(err)
	}
	return buf
}

func TestCounts(t *testing.T) {
	b := &null.Backend{Limit: 100}
	x, y := alloc(t, b, 60), alloc(t, b, 40)
	if used, free, total := b.Memory(); used != 100 || free != 0 || total != 100 || b.Live() != 2 || b.Allocated() != 100 {
		t.Errorf("two buffers of 60 and 40: used %d, free %d of %d, %d live, %d allocated", used, free, total, b.Live(), b.Allocated())
	}
	if _, err := b.Alloc(1); !errors.Is(err, backend.ErrOutOfMemory) {
		t.Errorf("one byte too many: %v", err)
	}
	x.Free()
	x.Free()
	alloc(t, b, 10)
	if used, free, _ := b.Memory(); used != 50 || free != 50 || b.Live() != 2 || b.Allocated() != 110 {
		t.Errorf("then 60 freed and 10 more: used %d, free %d, %d live, %d allocated", used, free, b.Live(), b.Allocated())
	}
	y.Free()
	if err := b.Close(); err != nil || b.Live() != 0 {
		t.Errorf("closed: %v, %d live", err, b.Live())
	}
}

// TestLargeModels expects buffers that no machine has memory for, and what is
// written to them to be read back.
func TestLargeModels(t *testing.T) {
	b := &null.Backend{}
	buf := alloc(t, b, 1<<45)
	p := bytes.Repeat([]byte{7}, 10_000)
	if err := b.Write(buf, 1<<44-3, p); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len(p)+2)
	if err := b.Read(got, buf, 1<<44-4); err != nil {
		t.Fatal(err)
	}
	if want := append(append([]byte{0}, p...), 0); !bytes.Equal(got, want) {
		t.Error("what was written is not what is read")
	}
	if used, free, total := b.Memory(); used != 1<<45 || free != 0 || total != 0 {
		t.Errorf("without a limit: used %d, free %d of %d", used, free, total)
	}
}

func TestOps(t *testing.T) {
	b := &null.Backend{Lacks: func(op backend.Op) bool { return op.Name() == "softmax" }}
	x, err := backend.New(b, backend.F32, 4)
	if err != nil {
		t.Fatal(err)
	}
	y, err := backend.New(b, backend.F32, 4)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := backend.Prepare(b, &backend.Softmax{Dst: y, X: x}); err == nil {
		t.Error("it prepared an op that it lacks")
	}
	p, err := backend.Record(b, &backend.Copy{Dst: y, X: x})
	if err != nil {
		t.Fatal(err)
	}
	values := []float32{1, 2, 3, 4}
	if err := errors.Join(backend.SetF32(b, x, values), p.Run(), backend.GetF32(b, y, values)); err != nil {
		t.Fatal(err)
	}
	if values[3] != 0 {
		t.Errorf("an op left %v", values)
	}
	b.Fault = backend.ErrDeviceLost
	for what, err := range map[string]error{
		"Write": b.Write(x.Buf, 0, []byte{1}), "Read": b.Read([]byte{1}, x.Buf, 0), "Run": b.Run(), "a program": p.Run(),
	} {
		if !errors.Is(err, backend.ErrDeviceLost) {
			t.Errorf("%s on a lost device: %v", what, err)
		}
	}
}

// TestAs expects ops to be those that the other backend supports, on buffers of
// both, and nothing to happen there.
func TestAs(t *testing.T) {
	real := &null.Backend{Lacks: func(op backend.Op) bool { return op.Name() == "argmax" }}
	w, err := backend.New(real, backend.F32, 4)
	if err != nil {
		t.Fatal(err)
	}
	b := &null.Backend{As: real}
	x, err := backend.New(b, backend.F32, 4)
	if err != nil {
		t.Fatal(err)
	}
	op := &backend.Add{Dst: x, A: w, B: w}
	p, err := backend.Record(b, op)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(backend.Run(b, op), p.Run()); err != nil {
		t.Error(err)
	}
	if b.Supports(&backend.Argmax{}) || !b.Supports(op) || b.Name() != real.Name() {
		t.Error("it does not answer as the backend whose place it takes")
	}
	if err := b.Write(w.Buf, 0, []byte{1}); err == nil {
		t.Error("it wrote to a buffer of the other backend")
	}
	x.Buf.Free()
	if err := p.Run(); !errors.Is(err, backend.ErrFreed) {
		t.Errorf("a program on a freed buffer: %v", err)
	}
	if real.Allocated() != 16 || b.Allocated() != 16 {
		t.Errorf("allocated %d and %d bytes, expected 16 each", real.Allocated(), b.Allocated())
	}
}

func TestTensor(t *testing.T) {
	x := null.Tensor(backend.F16, 3, 5)
	if x.Buf.Size() != 30 || !x.Contiguous() || x.String() != "f16[3 5]" {
		t.Errorf("%v over %d bytes", x, x.Buf.Size())
	}
	b := &null.Backend{}
	if err := backend.Run(b, &backend.Copy{Dst: x, X: null.Tensor(backend.F16, 3, 5)}); err != nil || b.Allocated() != 0 {
		t.Errorf("an op on tensors of no backend: %v, %d bytes counted", err, b.Allocated())
	}
	x.Buf.Free()
	if err := b.Run(&backend.Copy{Dst: x, X: x}); !errors.Is(err, backend.ErrFreed) {
		t.Errorf("an op on a freed tensor of no backend: %v", err)
	}
}

// rounder is a backend that multiplies integers faster.
type rounder struct{ backend.Backend }

func (rounder) Rounding(w backend.DType) backend.DType {
	if w.Quantized() {
		return backend.Q8_A
	}
	return backend.F32
}

// TestRounding asks the backend that a null one stands in for, which plans with the activations
// that it will have.
func TestRounding(t *testing.T) {
	for _, c := range []struct {
		as   backend.Backend
		w    backend.DType
		want backend.DType
	}{
		{nil, backend.Q8_0, backend.F32},
		{conformance.Reference(), backend.Q8_0, backend.F32},
		{rounder{conformance.Reference()}, backend.Q8_0, backend.Q8_A},
		{rounder{conformance.Reference()}, backend.F16, backend.F32},
	} {
		if got := backend.Rounding(&null.Backend{As: c.as}, c.w); got != c.want {
			t.Errorf("standing in for %T, weights of %v: %v, expected %v", c.as, c.w, got, c.want)
		}
	}
}
