package conformance

// Order: lists of ops, hazards between them, programs and what they share.

import (
	"errors"
	"fmt"
	"strings"

	"caldera/backend"
)

var programChecks = []check{
	{"program/no ops", noOps},
	{"program/2000 ops", longList},
	{"program/read after write", readAfterWrite},
	{"program/write after read", writeAfterRead},
	{"program/write after write", writeAfterWrite},
	{"program/random windows of one buffer", randomWindows},
	{"program/100 replays", hundredReplays},
	{"program/two programs share buffers", twoPrograms},
	{"program/Go values are frozen", frozen},
	{"program/fresh operands", freshOperands},
	{"program/Prepare names the op", prepareNames},
	{"program/profiled", profiled},
}

func noOps(e *env) {
	e.must(e.b.Run(), "Run of no ops")
	p := e.record()
	e.must(p.Run(), "a program of no ops")
	e.must(p.Run(), "a program of no ops, again")
	e.must(p.Close(), "Close")
	e.usable()
}

// longList counts to 2000 in one Run, then in one Program.
func longList(e *env) {
	const n, steps = 97, 2000
	one, a, b := e.tensorOf(repeat(1, n)), e.tensorOf(repeat(0, n)), e.tensorOf(repeat(0, n))
	defer free(one, a, b)
	var ops []backend.Op
	for i := range steps {
		if i%2 == 0 {
			ops = append(ops, &backend.Add{Dst: b, A: a, B: one})
		} else {
			ops = append(ops, &backend.Add{Dst: a, A: b, B: one})
		}
	}
	e.run(ops...)
	e.all("ones added in a chain", a, steps)
	p := e.record(ops...)
	e.must(p.Run(), "Run")
	e.must(p.Run(), "Run")
	e.all("ones added in a chain by a program", a, 3*steps)
	e.must(p.Close(), "Close")
}

// bothWays runs ops at once and recorded, from the same beginnings.
func (e *env) bothWays(ops []backend.Op, begin, check func(mode string)) {
	begin("run")
	e.run(ops...)
	check("run")
	p := e.record(ops...)
	for i := range 2 {
		mode := fmt.Sprintf("replay%d", i+1)
		begin(mode)
		e.must(p.Run(), mode)
		check(mode)
	}
	e.must(p.Close(), "Close")
}

// windows cuts a buffer of n·count elements into tensors of n.
func (e *env) windows(n, count int) (whole backend.Tensor, cut []backend.Tensor) {
	whole = e.tensorOf(repeat(0, n*count))
	for i := range count {
		cut = append(cut, whole.Slice(-1, i*n, (i+1)*n))
	}
	return whole, cut
}

const hazardLen = 1 << 15 // long enough to overlap with the next op

func readAfterWrite(e *env) {
	whole, w := e.windows(hazardLen, 12)
	defer free(whole)
	var ops []backend.Op // each window is twice the one before
	for i := 1; i < len(w); i++ {
		ops = append(ops, &backend.Add{Dst: w[i], A: w[i-1], B: w[i-1]})
	}
	e.bothWays(ops, func(string) {
		e.must(backend.SetF32(e.b, whole, repeat(-1, whole.Len())), "Write")
		e.must(backend.SetF32(e.b, w[0], repeat(1, hazardLen)), "Write")
	}, func(mode string) {
		for i := range w {
			e.all(fmt.Sprintf("%s: window %d, which reads what the op before wrote", mode, i), w[i], float32(int(1)<<i))
		}
	})
}

func writeAfterRead(e *env) {
	whole, w := e.windows(hazardLen, 12)
	defer free(whole)
	var ops []backend.Op // shift everything by one window, from the front
	for i := 1; i < len(w); i++ {
		ops = append(ops, &backend.Copy{Dst: w[i-1], X: w[i]})
	}
	e.bothWays(ops, func(string) {
		for i := range w {
			e.must(backend.SetF32(e.b, w[i], repeat(float32(i), hazardLen)), "Write")
		}
	}, func(mode string) {
		for i := range w[1:] {
			e.all(fmt.Sprintf("%s: window %d, overwritten after the op before read it", mode, i), w[i], float32(i+1))
		}
	})
}

func writeAfterWrite(e *env) {
	whole, w := e.windows(hazardLen, 8)
	defer free(whole)
	target := e.tensorOf(repeat(0, 2*hazardLen))
	defer free(target)
	var ops []backend.Op // windows of target that overlap by half: the last writer holds
	for i := range w {
		from := i % 3 * hazardLen / 2
		ops = append(ops, &backend.Copy{Dst: target.Slice(-1, from, from+hazardLen), X: w[i]})
	}
	e.bothWays(ops, func(string) {
		for i := range w {
			e.must(backend.SetF32(e.b, w[i], repeat(float32(i+1), hazardLen)), "Write")
		}
	}, func(mode string) {
		// The last three wrote 6 from one window on, 7 from the start, 8 from half a window on.
		half := hazardLen / 2
		for i, want := range []float32{7, 8, 8, 6} {
			e.all(fmt.Sprintf("%s: half window %d, written several times", mode, i), target.Slice(-1, i*half, (i+1)*half), want)
		}
	})
}

// randomWindows runs lists of Copy and Add between random windows of one
// buffer, in integers, which float32 adds exactly, and holds the buffer
// against a slice that went through the same.
func randomWindows(e *env) {
	const n, ops = 5000, 60
	whole := e.tensorOf(repeat(0, n))
	defer free(whole)
	r := seed(e.name, 0)
	for range 6 {
		type step struct{ dst, a, b, n int }
		var steps []step
		var list []backend.Op
		for len(steps) < ops {
			s := step{r.IntN(n), r.IntN(n), r.IntN(n), 1 + r.IntN(1500)}
			apart := func(i int) bool { return s.dst+s.n <= i || i+s.n <= s.dst }
			if max(s.dst, s.a, s.b)+s.n > n || !apart(s.a) || !apart(s.b) {
				continue
			}
			w := func(i int) backend.Tensor { return whole.Slice(-1, i, i+s.n) }
			if r.IntN(2) == 0 {
				s.b = -1
				list = append(list, &backend.Copy{Dst: w(s.dst), X: w(s.a)})
			} else {
				list = append(list, &backend.Add{Dst: w(s.dst), A: w(s.a), B: w(s.b)})
			}
			steps = append(steps, s)
		}
		begin := make([]float32, n)
		for i := range begin {
			begin[i] = float32(r.IntN(8))
		}
		want := append([]float32{}, begin...)
		for _, s := range steps {
			for i := range s.n {
				v := want[s.a+i]
				if s.b >= 0 {
					v += want[s.b+i]
				}
				want[s.dst+i] = v
			}
		}
		e.bothWays(list, func(string) { e.must(backend.SetF32(e.b, whole, begin), "Write") }, func(mode string) {
			for i, got := range e.values(whole) {
				if got != want[i] && !(got != got && want[i] != want[i]) {
					e.Fatalf("%s/%s: element %d got %v want %v: an op ran before one that it depends on had ended", e.name, mode, i, got, want[i])
				}
			}
		})
	}
}

func hundredReplays(e *env) {
	const n = 33
	one, a, b := e.tensorOf(repeat(1, n)), e.tensorOf(repeat(0, n)), e.tensorOf(repeat(0, n))
	defer free(one, a, b)
	p := e.record(&backend.Add{Dst: b, A: a, B: one}, &backend.Copy{Dst: a, X: b})
	for range 100 {
		e.must(p.Run(), "Run")
	}
	e.all("count of replays", a, 100)
	e.must(backend.SetF32(e.b, one, repeat(-3, n)), "Write")
	for range 10 {
		e.must(p.Run(), "Run")
	}
	e.all("count after an operand changed", a, 70)
	e.must(p.Close(), "Close")
	e.must(p.Close(), "a second Close")
	if p.Run() == nil {
		e.Errorf("%s: a program that was closed ran; expected an error", e.name)
	}
	e.all("what a closed program left alone", a, 70)
}

func twoPrograms(e *env) {
	const n = 4097
	one, a, b := e.tensorOf(repeat(1, n)), e.tensorOf(repeat(1, n)), e.tensorOf(repeat(0, n))
	defer free(one, a, b)
	increment := e.record(&backend.Add{Dst: b, A: a, B: one})
	double := e.record(&backend.Add{Dst: a, A: b, B: b})
	want := float32(1)
	for range 8 {
		e.must(increment.Run(), "Run")
		e.must(double.Run(), "Run")
		e.run(&backend.Add{Dst: b, A: a, B: one}, &backend.Copy{Dst: a, X: b})
		want = (want+1)*2 + 1
	}
	e.all("two programs and a Run in turns", a, want)
	e.must(increment.Close(), "Close")
	e.must(double.Run(), "Run after another program was closed")
	e.must(double.Close(), "Close")
	e.all("the program that stayed", a, 2*want)
}

// frozen changes the structs after they were recorded. A Go value is that of
// the moment of recording.
func frozen(e *env) {
	const n = 8
	a, b, dst := e.tensorOf(repeat(1, n)), e.tensorOf(repeat(2, n)), e.tensorOf(repeat(0, n))
	defer free(a, b, dst)
	op := &backend.Add{Dst: dst, A: a, B: a}
	list := []backend.Op{op}
	p := e.record(list...)
	op.A, op.B = b, b
	list[0] = &backend.Copy{Dst: dst, X: b}
	e.must(p.Run(), "Run")
	e.all("dst of an op that was changed after Record: a program keeps the ops as they were then", dst, 2)
	e.must(p.Close(), "Close")
}

// freshOperands runs the same op on other buffers each time: nothing about
// earlier ones may be remembered.
func freshOperands(e *env) {
	for i := range 50 {
		v := float32(i)
		a, b := e.tensorOf(repeat(v, 10)), e.tensorOf(repeat(1, 10))
		dst := e.tensorOf(repeat(0, 10))
		e.run(&backend.Add{Dst: dst, A: a, B: b})
		e.all(fmt.Sprintf("buffers of round %d", i), dst, v+1)
		free(a, b, dst)
	}
}

func prepareNames(e *env) {
	a, b, short := e.tensorOf(repeat(1, 8)), e.tensorOf(repeat(2, 8)), e.tensorOf(repeat(0, 7))
	defer free(a, b, short)
	ok := &backend.Copy{Dst: b, X: a}
	past := a
	past.Shape[3] = 9
	for _, bad := range []backend.Op{
		&backend.Add{Dst: a, A: b, B: short},
		&backend.Copy{Dst: b, X: past},
		&backend.Activate{Dst: a, X: a, Func: backend.GELUTanh},
		&backend.LayerNorm{Dst: a, X: b, Gamma: b, Beta: b},
		&backend.Softmax{Dst: a},
		&backend.Argmax{Dst: a, X: b},
	} {
		_, err := backend.Prepare(e.b, ok, ok, bad, ok)
		var oe *backend.OpError
		if !errors.As(err, &oe) || oe.Index != 2 || oe.Op != bad.Name() || !strings.Contains(err.Error(), bad.Name()) {
			e.Errorf("%s: Prepare of a bad %s as the third op gave %v; expected an OpError with index 2 and its name", e.name, bad.Name(), err)
		}
	}
	e.all("what a refused list left alone", b, 2)
}
