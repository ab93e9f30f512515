//go:build cgo

package vulkan

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"caldera/backend"
	"caldera/backend/vulkan/internal/vk"
	"caldera/shaders"
)

func vector(tb testing.TB, b *Backend, values ...float32) backend.Tensor {
	tb.Helper()
	t, err := backend.New(b, backend.F32, len(values))
	if err == nil {
		err = backend.SetF32(b, t, values)
	}
	if err != nil {
		tb.Fatal(err)
	}
	return t
}

func values(tb testing.TB, b *Backend, t backend.Tensor) []float32 {
	tb.Helper()
	v := make([]float32, t.Len())
	if err := backend.GetF32(b, t, v); err != nil {
		tb.Fatal(err)
	}
	return v
}

// TestOrder writes, runs and reads in turn: each Write is seen by the Runs after it
// and by none before.
func TestOrder(t *testing.T) {
	everywhere(t, func(t *testing.T, b *Backend) {
		const n = 1000
		x, sum := vector(t, b, make([]float32, n)...), vector(t, b, make([]float32, n)...)
		next := vector(t, b, make([]float32, n)...)
		step := []backend.Op{&backend.Add{Dst: next, A: sum, B: x}, &backend.Copy{Dst: sum, X: next}}
		program, err := backend.Record(b, step...)
		if err != nil {
			t.Fatal(err)
		}
		defer program.Close()
		fill := make([]float32, n)
		want := float32(0)
		for i := range 50 {
			for j := range fill {
				fill[j] = float32(i)
			}
			want += float32(i)
			if err := backend.SetF32(b, x, fill); err != nil {
				t.Fatal(err)
			}
			if i%2 == 0 {
				err = program.Run()
			} else {
				err = backend.Run(b, step...)
			}
			if err != nil {
				t.Fatal(err)
			}
			if i%7 != 0 { // most of the time nothing waits
				continue
			}
			if got := values(t, b, sum); got[0] != want || slices.Min(got) != want || slices.Max(got) != want {
				t.Fatalf("after step %d: from %v to %v, want %v", i, slices.Min(got), slices.Max(got), want)
			}
		}
	})
}

// TestDecodeStepIsOneSubmit counts: few bytes written, a program, and its
// result read.
func TestDecodeStepIsOneSubmit(t *testing.T) {
	for _, c := range []struct {
		name    string
		clamp   func(*Limits)
		submits uint64
	}{{"unified", nil, 1}, {"staged", staged, 2}} { // the second copies the result
		t.Run(c.name, func(t *testing.T) {
			b := openTest(t, lavapipe, c.clamp)
			x, y := vector(t, b, 1, 2), vector(t, b, 0, 0)
			program, err := backend.Record(b, &backend.Add{Dst: y, A: x, B: x})
			if err != nil {
				t.Fatal(err)
			}
			defer program.Close()
			for i := range 5 {
				before := b.queue.last
				v := float32(i)
				if err := backend.SetF32(b, x, []float32{v, v + 1}); err != nil {
					t.Fatal(err)
				}
				if err := program.Run(); err != nil {
					t.Fatal(err)
				}
				if got := values(t, b, y); got[0] != 2*v || got[1] != 2*v+2 {
					t.Fatalf("step %d gave %v", i, got)
				}
				if n := b.queue.last - before; i > 0 && n != c.submits { // the first one also clears memory
					t.Errorf("step %d took %d submits, want %d", i, n, c.submits)
				}
			}
		})
	}
}

// TestManyOps takes more ops than a submit holds.
func TestManyOps(t *testing.T) {
	everywhere(t, func(t *testing.T, b *Backend) {
		one, a, c := vector(t, b, 1, 2), vector(t, b, 0, 0), vector(t, b, 0, 0)
		var ops []backend.Op
		for range maxCommands {
			ops = append(ops, &backend.Add{Dst: c, A: a, B: one}, &backend.Add{Dst: a, A: c, B: one})
		}
		program, err := backend.Record(b, ops...)
		if err != nil {
			t.Fatal(err)
		}
		defer program.Close()
		before := b.queue.last
		if err := program.Run(); err != nil {
			t.Fatal(err)
		}
		if n := b.queue.last - before; n < 2 {
			t.Errorf("%d ops went in %d submit", len(ops), n)
		}
		if err := backend.Run(b, ops...); err != nil {
			t.Fatal(err)
		}
		if err := program.Run(); err != nil {
			t.Fatal(err)
		}
		const want = 3 * 2 * maxCommands
		if got := values(t, b, a); got[0] != want || got[1] != 2*want {
			t.Errorf("got %v, want [%d %d]", got, want, 2*want)
		}
	})
}

func TestProgramOfFreedBuffers(t *testing.T) {
	everywhere(t, func(t *testing.T, b *Backend) {
		x, y := vector(t, b, 1, 2), vector(t, b, 0, 0)
		ops := []backend.Op{&backend.Add{Dst: y, A: x, B: x}}
		program, err := b.Record(ops...)
		if err != nil {
			t.Fatal(err)
		}
		if err := program.Run(); err != nil {
			t.Fatal(err)
		}
		x.Buf.Free() // while the program may still run
		if err := program.Run(); !errors.Is(err, backend.ErrFreed) {
			t.Errorf("Run of a program whose operand is freed: %v", err)
		}
		if err := b.Run(ops...); !errors.Is(err, backend.ErrFreed) || !strings.Contains(err.Error(), "op 0 (add): a:") {
			t.Errorf("Run of an op whose operand is freed: %v", err)
		}
		if _, err := b.Record(ops...); !errors.Is(err, backend.ErrFreed) {
			t.Errorf("Record of an op whose operand is freed: %v", err)
		}
		if err := b.Run(&backend.Copy{Dst: vector(t, b, 0, 0), X: y}); err != nil {
			t.Errorf("what failed stands in the way of what comes after: %v", err)
		}
		if got := values(t, b, y); got[1] != 4 {
			t.Errorf("the first run gave %v", got)
		}
		if err := program.Close(); err != nil {
			t.Error(err)
		}
		if err := program.Run(); !errors.Is(err, backend.ErrClosed) {
			t.Errorf("Run of a closed program: %v", err)
		}
		if err := program.Close(); err != nil {
			t.Error(err)
		}
	})
}

// TestValidationSpeaksUp makes a mistake on purpose: two dispatches without the barrier
// between them. It shows that the validation layer, on which the other tests rely, works.
func TestValidationSpeaksUp(t *testing.T) {
	heard := 0
	b, err := Open(Options{Device: index(t, lavapipe), Validation: true, OnMessage: func(string) { heard++ }})
	if err != nil {
		t.Fatal(err)
	}
	x, y, z := vector(t, b, 1, 2), vector(t, b, 0, 0), vector(t, b, 0, 0)
	err = b.encode(func(e *encoder) error {
		if err := encodeOp(e, &backend.Add{Dst: y, A: x, B: x}); err != nil {
			return err
		}
		e.rec.hazards.reset() // as if there were a barrier
		return encodeOp(e, &backend.Add{Dst: z, A: y, B: y})
	})
	if err != nil {
		t.Fatal(err)
	}
	if heard == 0 {
		t.Fatal("validation says nothing of a missing barrier")
	}
	for name, err := range map[string]error{
		"Read": b.Read(make([]byte, 4), z.Buf, 0),
		"Run":  b.Run(&backend.Add{Dst: y, A: x, B: x}),
	} {
		if err == nil || !strings.Contains(err.Error(), "SYNC-HAZARD") {
			t.Errorf("%s: %v, want the message", name, err)
		}
	}
	if err := b.Close(); err == nil {
		t.Error("Close: no error")
	}
}

func TestDeviceLost(t *testing.T) {
	q := queue{inFlight: []submission{{serial: 1, what: "op 3 (linear) to op 40 (add)"}}}
	err := q.failed(&vk.CallError{Call: "vkQueueSubmit", Result: -4})
	if !errors.Is(err, backend.ErrDeviceLost) || !strings.Contains(err.Error(), "op 3 (linear) to op 40 (add)") {
		t.Errorf("a lost device is told as: %v", err)
	}
	if err := q.submit("more"); !errors.Is(err, backend.ErrDeviceLost) {
		t.Errorf("submit to a lost device: %v", err)
	}
	if err := q.wait(1); !errors.Is(err, backend.ErrDeviceLost) {
		t.Errorf("wait for a lost device: %v", err)
	}
}

// TestDispatchChecks: a mistake of a kernel is an error, not a crash.
func TestDispatchChecks(t *testing.T) {
	b := openTest(t, lavapipe, func(l *Limits) { l.BindingRange = 1 << 10 })
	x := vector(t, b, make([]float32, 1000)...)
	small := x.Slice(-1, 0, 8)
	spec := pipelineSpec{variant: selftestVariant()}
	foreign := spec
	foreign.spec = shaders.AdamWSpec{Lanes: 64}
	one := [3]uint32{1, 1, 1}
	for _, c := range []struct {
		name string
		do   func(e *encoder) error
	}{
		{"maximal binding", func(e *encoder) error {
			to, _ := e.operand(x, backend.Write)
			return e.dispatch(spec, nil, one, to)
		}},
		{"no groups", func(e *encoder) error {
			to, _ := e.operand(small, backend.Write)
			return e.dispatch(spec, nil, [3]uint32{1, 0, 1}, to)
		}},
		{"too many groups", func(e *encoder) error {
			to, _ := e.operand(small, backend.Write)
			return e.dispatch(spec, nil, [3]uint32{1 << 31, 1, 1}, to)
		}},
		{"no bindings", func(e *encoder) error { return e.dispatch(spec, nil, one) }},
		{"writing what is absent", func(e *encoder) error {
			to, _ := e.operand(backend.Tensor{}, backend.Write)
			return e.dispatch(spec, nil, one, to)
		}},
		{"push constants", func(e *encoder) error {
			to, _ := e.operand(small, backend.Write)
			return e.dispatch(spec, struct{ N uint32 }{1}, one, to)
		}},
		{"push constants of no fixed size", func(e *encoder) error {
			to, _ := e.operand(small, backend.Write)
			return e.dispatch(spec, struct{ N int }{1}, one, to)
		}},
		{"constants", func(e *encoder) error {
			to, _ := e.operand(small, backend.Write)
			return e.dispatch(foreign, nil, one, to)
		}},
		{"texels", func(e *encoder) error {
			to, _, _ := e.texel(small, texelF32x4)
			return e.dispatch(spec, nil, one, to)
		}},
	} {
		if err := b.encode(c.do); err == nil {
			t.Errorf("%s: no error", c.name)
		}
	}
	if n := maxAlong(&b.limits, x, -1); n < 200 || n > 256 {
		t.Errorf("%d floats of %d fit into a binding of 1 KiB", n, x.Len())
	}
}

// TestSubmitsAreBounded holds what one submit has to compute within reach of
// what a slow GPU does before its watchdog fires: many ops, and one large op.
func TestSubmitsAreBounded(t *testing.T) {
	b := openTest(t, lavapipe, nil)
	tensor := func(dims ...int) backend.Tensor {
		x, err := backend.New(b, backend.F32, dims...)
		if err != nil {
			t.Fatal(err)
		}
		return x
	}
	segments := func(ops ...backend.Op) int {
		p, err := backend.Record(b, ops...)
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		return len(p.(*program).segments)
	}
	w := tensor(6400, 1600)
	linear := &backend.Linear{Dst: tensor(512, 6400), X: tensor(512, 1600), W: w} // 5.2e9 multiply-adds
	if n := segments(linear, linear, linear, linear, linear, linear, linear, linear); n < 2 || n > 4 {
		t.Errorf("8 products of 5.2e9 multiply-adds each go in %d submits", n)
	}
	large := &backend.Linear{Dst: tensor(6000, 6400), X: tensor(6000, 1600), W: w} // 61e9
	if n := segments(large); n < 3 || n > 5 {
		t.Errorf("a product of 61e9 multiply-adds goes in %d submits", n)
	}
	wide := tensor(1, 8192, 1600)
	at := placesOn(t, b, 1, 8192, 0)
	attention := &backend.Attention{Dst: tensor(1, 8192, 1600), Q: wide, K: wide, V: wide, At: at, Heads: 25, Scale: 0.125} // 215e9
	if n := segments(attention); n < 5 || n > 11 {
		t.Errorf("attention of 215e9 multiply-adds goes in %d submits", n)
	}
}

// TestWritesAreBounded: many small writes through staging buffers are submitted from time to
// time, and not all at once at the next read.
func TestWritesAreBounded(t *testing.T) {
	b := openTest(t, lavapipe, staged)
	buf := mustAlloc(t, b, 8*maxCommands)
	before := b.queue.last
	want := make([]byte, buf.Size())
	for at := 0; at < buf.Size(); at += 2 {
		want[at] = byte(at/2 + at>>9)
		if err := b.Write(buf, at, want[at:at+2]); err != nil {
			t.Fatal(err)
		}
	}
	if n := b.queue.last - before; n < 4 {
		t.Errorf("%d writes went in %d submits", buf.Size()/2, n)
	}
	if got := mustRead(t, b, buf, 0, buf.Size()); !bytes.Equal(got, want) {
		t.Error("what was written does not come back")
	}
}

// TestMinBindings counts the storage buffers that shaders have. A device that binds fewer than
// linear_one.comp's does without it (supportsLinear).
func TestMinBindings(t *testing.T) {
	most := 0
	for _, v := range shaders.Variants {
		if v.Source != "linear_one" {
			most = max(most, len(v.Bindings))
		}
	}
	if most != minBindings {
		t.Errorf("shaders have up to %d buffers, minBindings is %d", most, minBindings)
	}
}
