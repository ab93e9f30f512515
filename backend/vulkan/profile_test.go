//go:build cgo

package vulkan

import (
	"cmp"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"caldera/backend"
)

// filled is a tensor of small numbers.
func filled(tb testing.TB, b *Backend, dims ...int) backend.Tensor {
	tb.Helper()
	x, err := backend.New(b, backend.F32, dims...)
	if err != nil {
		tb.Fatal(err)
	}
	v := make([]float32, x.Len())
	for i := range v {
		v[i] = float32(i%7-3) / 8
	}
	if err := backend.SetF32(b, x, v); err != nil {
		tb.Fatal(err)
	}
	return x
}

// checkSpans holds spans to the ops that they must be of and to the time that all took.
func checkSpans(t *testing.T, spans []backend.Span, ops []backend.Op, wall time.Duration) {
	t.Helper()
	if len(spans) != len(ops) {
		t.Fatalf("%d spans, want %d", len(spans), len(ops))
	}
	var end, sum time.Duration
	for i, s := range spans {
		want := backend.NewSpan(ops[i])
		if s.Op != want.Op || s.Signature() != want.Signature() {
			t.Errorf("span %d is of %s(%s), want %s(%s)", i, s.Op, s.Signature(), want.Op, want.Signature())
		}
		if i == 0 && s.Begin != 0 {
			t.Errorf("the first span begins at %v", s.Begin)
		}
		if s.Begin < end || s.Duration < 0 {
			t.Errorf("span %d (%s) begins at %v and takes %v; the one before ends at %v", i, s.Op, s.Begin, s.Duration, end)
		}
		shader, _, _ := strings.Cut(s.Op, "+") // that of a label's name
		named := slices.ContainsFunc(s.Variants, func(v string) bool { return strings.HasPrefix(v, shader) })
		if s.Dispatches < 1 || !named && s.Op != "copy" { // which can do without a shader
			t.Errorf("span %d (%s) has %d dispatches of %q", i, s.Op, s.Dispatches, s.Variants)
		}
		end = s.Begin + s.Duration
		sum += s.Duration
	}
	if sum > wall || end > wall {
		t.Errorf("spans sum up to %v and end at %v, within %v", sum, end, wall)
	}
}

// profileOf is Profile with the time that it took.
func profileOf(t *testing.T, b *Backend, run func() error) ([]backend.Span, time.Duration) {
	t.Helper()
	start := time.Now()
	spans, err := backend.Profile(b, func(backend.Backend) error { return run() })
	if err != nil {
		t.Fatal(err)
	}
	return spans, time.Since(start)
}

func TestProfile(t *testing.T) {
	everywhere(t, func(t *testing.T, b *Backend) {
		x, w, bias, h := filled(t, b, 64, 256), filled(t, b, 512, 256), filled(t, b, 512), filled(t, b, 64, 512)
		g, sum, tiny := filled(t, b, 64, 512), filled(t, b, 64, 512), filled(t, b, 4)
		ops := []backend.Op{
			&backend.Copy{Dst: tiny, X: x.Slice(-1, 0, 4).Slice(-2, 0, 1)},
			&backend.Linear{Dst: h, X: x, W: w, Bias: bias},
			&backend.Activate{Dst: g, X: h, Func: backend.GELUTanh},
			&backend.Add{Dst: sum, A: g, B: h}, // does not wait for what is not timed
			&backend.Linear{Dst: h, X: x, W: w, Bias: bias, Sum: g, Activation: backend.GELUTanh},
		}
		program, err := backend.Record(b, ops...) // before there is a profile
		if err != nil {
			t.Fatal(err)
		}
		defer program.Close()
		if err := program.Run(); err != nil {
			t.Fatal(err)
		}
		want := values(t, b, sum)
		for try := 1; ; try++ { // others who use this machine may make a copy long
			spans, wall := profileOf(t, b, func() error {
				if err := backend.SetF32(b, sum, make([]float32, sum.Len())); err != nil {
					return err
				}
				if err := backend.Run(b, ops...); err != nil {
					return err
				}
				for range 2 {
					if err := program.Run(); err != nil {
						return err
					}
				}
				return nil
			})
			checkSpans(t, spans, slices.Concat(ops, ops, ops), wall)
			least := func(op int) time.Duration {
				return min(spans[op].Duration, spans[op+len(ops)].Duration, spans[op+2*len(ops)].Duration)
			}
			product, tiny := least(1), least(0)
			if product > tiny && product >= 10*time.Microsecond {
				break
			}
			if try == 50 {
				t.Fatalf("a product of %s takes %v, a copy of 4 numbers %v", spans[1].Signature(), product, tiny)
			}
		}
		if got := values(t, b, sum); !slices.Equal(got, want) {
			t.Error("under a profile the ops give another result")
		}
	})
}

// TestProfileOfPieces splits an op into dispatches, and then into submits.
func TestProfileOfPieces(t *testing.T) {
	b := openTest(t, lavapipe, small)
	x, y := filled(t, b, 300, 1000), filled(t, b, 300, 1000) // 1.2 MB in windows of 256 KiB
	op := &backend.Activate{Dst: y, X: x, Func: backend.GELUTanh}
	var ops []backend.Op
	for range 2*maxCommands/8 + 1 {
		ops = append(ops, op)
	}
	before := b.queue.last
	spans, wall := profileOf(t, b, func() error { return backend.Run(b, ops...) })
	checkSpans(t, spans, ops, wall)
	for i, s := range spans {
		if s.Dispatches != 8 || !slices.Equal(s.Variants, []string{"activate.x4"}) || s.Duration == 0 {
			t.Errorf("span %d: %d dispatches of %q in %v, want 8 of activate.x4", i, s.Dispatches, s.Variants, s.Duration)
		}
	}
	if n := b.queue.last - before; n < 3 {
		t.Fatalf("%d dispatches went in %d submits", 8*len(ops), n)
	}

	// An op of which a submit holds all dispatches but one.
	one, whole := vector(t, b, 1, 2), 4
	ops = nil
	for range maxCommands - 7 {
		ops = append(ops, &backend.Activate{Dst: vector(t, b, 0, 0), X: one, Func: backend.GELUTanh})
	}
	cut := len(ops)
	for range 1 + whole {
		ops = append(ops, op)
	}
	if err := b.waitAll(); err != nil {
		t.Fatal(err)
	}
	spans, wall = profileOf(t, b, func() error {
		return b.encode(func(e *encoder) error {
			err := e.encodeAll(ops)
			if parts := e.rec.times.parts; err == nil && (len(parts) != 1+whole || parts[0].Dispatches != 8 || parts[0] == parts[1]) {
				t.Errorf("the second submit has %d parts of ops, want the rest of one and %d", len(parts), whole)
			}
			return err
		})
	})
	checkSpans(t, spans, ops, wall)
	least := slices.MinFunc(spans[cut+1:], func(a, b backend.Span) int { return cmp.Compare(a.Duration, b.Duration) })
	if spans[cut].Duration < least.Duration/2 {
		t.Errorf("an op in two submits takes %v, the same in one %v: not all of it is counted", spans[cut].Duration, least.Duration)
	}
}

// TestProfileRecycles makes several profiles, with more than one submit in flight: query
// pools are reused.
func TestProfileRecycles(t *testing.T) {
	everywhere(t, func(t *testing.T, b *Backend) {
		x, y := filled(t, b, 100), filled(t, b, 100)
		op := &backend.Activate{Dst: y, X: x, Func: backend.GELUTanh}
		pools := 0
		for round := range 4 {
			spans, _ := profileOf(t, b, func() error {
				for range 2 * maxInFlight {
					if err := backend.Run(b, op); err != nil {
						return err
					}
				}
				return nil
			})
			if len(spans) != 2*maxInFlight {
				t.Fatalf("%d spans of %d ops", len(spans), 2*maxInFlight)
			}
			if n := len(b.queries); n == 0 || n > maxInFlight+1 || round > 0 && n > max(pools, 1)+maxInFlight {
				t.Errorf("round %d: %d query pools, before %d", round, n, pools)
			} else {
				pools = n
			}
		}
	})
}

// TestProfileOff: without a profile there are no queries and nothing more is
// allocated, before and after one.
func TestProfileOff(t *testing.T) {
	b, err := Open(Options{Device: index(t, lavapipe)}) // as users run it
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	x, y := filled(t, b, 100), filled(t, b, 100)
	op := &backend.Activate{Dst: y, X: x, Func: backend.GELUTanh}
	program, err := backend.Record(b, op)
	if err != nil {
		t.Fatal(err)
	}
	defer program.Close()
	measure := func(when string) (run, replay float64) {
		if err := b.encode(func(e *encoder) error {
			if err := e.encodeAll([]backend.Op{op}); err != nil {
				return err
			}
			if e.rec.times != nil {
				t.Errorf("%s: timestamps without a profile", when)
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		allocations := func(do func() error) float64 {
			return testing.AllocsPerRun(50, func() {
				if err := do(); err != nil {
					t.Fatal(err)
				}
				if err := b.waitAll(); err != nil {
					t.Fatal(err)
				}
			})
		}
		return allocations(func() error { return b.Run(op) }), allocations(program.Run)
	}
	run, replay := measure("before")
	if len(b.queries) != 0 {
		t.Errorf("%d query pools before the first profile", len(b.queries))
	}
	var during backend.Program
	profileOf(t, b, func() (err error) {
		if during, err = backend.Record(b, op); err != nil {
			return err
		}
		return program.Run()
	})
	defer during.Close()
	pools := len(b.queries)
	if runAfter, replayAfter := measure("after"); runAfter != run || replayAfter != replay {
		t.Errorf("allocations of Run and of a program: %v and %v before a profile, %v and %v after", run, replay, runAfter, replayAfter)
	}
	before := b.queue.last
	if err := during.Run(); err != nil {
		t.Fatal(err)
	}
	if err := b.waitAll(); err != nil {
		t.Fatal(err)
	}
	if b.queue.last != before+1 || len(b.queries) != pools {
		t.Errorf("a program that was recorded during a profile: %d submits, %d pools, before %d", b.queue.last-before, len(b.queries), pools)
	}
}

func TestProfileErrors(t *testing.T) {
	for want, clamp := range map[string]func(*Limits){
		"no timestamps": func(l *Limits) { l.TimestampBits = 0 },
		"takes 0 ns":    func(l *Limits) { l.TimestampPeriod = 0 },
		"takes -1 ns":   func(l *Limits) { l.TimestampPeriod = -1 },
		"takes NaN ns":  func(l *Limits) { l.TimestampPeriod = math.NaN() },
	} {
		b := openTest(t, lavapipe, clamp)
		_, err := backend.Profile(b, func(backend.Backend) error { t.Error("it runs all the same"); return nil })
		if !errors.Is(err, errors.ErrUnsupported) || !strings.Contains(err.Error(), "llvmpipe") || !strings.Contains(err.Error(), want) {
			t.Errorf("a device of which %s: %v", want, err)
		}
	}

	b := openTest(t, lavapipe, nil)
	x, y := vector(t, b, 1, 2), vector(t, b, 0, 0)
	op := &backend.Activate{Dst: y, X: x, Func: backend.GELUTanh}
	program, err := backend.Record(b, op)
	if err != nil {
		t.Fatal(err)
	}
	wrong := errors.New("wrong")
	if _, err := b.Profile(func() error { return wrong }); err != wrong {
		t.Errorf("run failed, Profile says %v", err)
	}
	spans, err := b.Profile(func() error {
		if _, err := b.Profile(func() error { return nil }); err == nil {
			t.Error("a profile within another: no error")
		}
		freed := vector(t, b, 1, 2)
		freed.Buf.Free()
		if err := b.Run(op, &backend.Activate{Dst: y, X: freed, Func: backend.GELUTanh}); !errors.Is(err, backend.ErrFreed) {
			t.Errorf("Run of an op whose operand is freed: %v", err)
		}
		return program.Run()
	})
	if err != nil || len(spans) != 1 {
		t.Errorf("after an error within: %d spans, %v", len(spans), err)
	}
	x.Buf.Free()
	if _, err := b.Profile(program.Run); !errors.Is(err, backend.ErrFreed) {
		t.Errorf("a program whose operand is freed: %v", err)
	}
	program.Close()
	if _, err := b.Profile(program.Run); !errors.Is(err, backend.ErrClosed) {
		t.Errorf("a program that is closed: %v", err)
	}
	b.Close()
	if _, err := b.Profile(func() error { return nil }); !errors.Is(err, backend.ErrClosed) {
		t.Errorf("a backend that is closed: %v", err)
	}
}

func TestProfileTicks(t *testing.T) {
	for _, c := range []struct {
		name   string
		bits   uint32
		period float64
		ticks  []uint64
		want   []time.Duration
	}{
		{"64 bits", 64, 1, []uint64{1000, 1000, 1500, 1 << 40}, []time.Duration{0, 0, 500, 1<<40 - 1000}},
		{"64 bits that wrap", 64, 1, []uint64{math.MaxUint64 - 9, 10}, []time.Duration{0, 20}},
		{"36 bits that wrap", 36, 2.5, []uint64{1<<36 - 4, 4, 104}, []time.Duration{0, 20, 270}},
		{"bits that are not valid", 36, 1, []uint64{5<<36 | 100, 9<<36 | 130, 1<<36 | 131}, []time.Duration{0, 30, 31}},
		{"one that runs backwards", 48, 1, []uint64{1000, 998, 1010}, []time.Duration{0, 0, 12}},
		{"all the way round", 36, 1, []uint64{0, 1 << 34, 1 << 35, 3 << 34, 0}, []time.Duration{0, 1 << 34, 1 << 35, 3 << 34, 1 << 36}},
		{"a period that is no whole number", 40, 52.08, []uint64{0, 100, 19201}, []time.Duration{0, 5208, 999988}},
		{"half a nanosecond, for weeks", 64, 0.5, []uint64{3, 1<<52 + 3}, []time.Duration{0, 1 << 51}},
	} {
		k := ticks{bits: c.bits, period: c.period}
		var got []time.Duration
		for _, tick := range c.ticks {
			at, err := k.at(tick)
			if err != nil {
				t.Errorf("%s: %v", c.name, err)
			}
			got = append(got, at)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: timestamps %d are %v, want %v", c.name, c.ticks, got, c.want)
		}
	}
}
