package conformance

// Memory: Alloc, Write, Read and Free, and their order among Runs.

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"runtime/debug"
	"strings"

	"caldera/backend"
)

var memoryChecks = []check{
	{"memory/offsets", offsets},
	{"memory/transfers", transfers},
	{"memory/src may be reused after Write", writeCopies},
	{"memory/Write after Run", writeAfterRun},
	{"memory/Write between Runs", writeBetweenRuns},
	{"memory/zeroed", zeroed},
	{"memory/too large", tooLarge},
	{"memory/bad sizes", badSizes},
	{"memory/out of range", outOfRange},
	{"memory/many small buffers", manyBuffers},
	{"memory/fragments", fragments},
	{"memory/returned", returned},
	{"memory/freed while in use", freedInUse},
	{"memory/fetched", fetched},
	{"memory/mapped", mapped},
	{"memory/reported", reported},
}

func (e *env) write(dst backend.Buffer, off int, src []byte) {
	e.must(e.b.Write(dst, off, src), fmt.Sprintf("Write of %d bytes at %d", len(src), off))
}

func (e *env) read(src backend.Buffer, off, n int) []byte {
	dst := bytes.Repeat([]byte{0xa5}, n)
	e.must(e.b.Read(dst, src, off), fmt.Sprintf("Read of %d bytes at %d", n, off))
	return dst
}

// same fails the check where got is not want.
func (e *env) same(what string, got, want []byte) {
	if bytes.Equal(got, want) {
		return
	}
	bad, first := 0, -1
	for i := range want {
		if got[i] != want[i] {
			if bad++; first < 0 {
				first = i
			}
		}
	}
	e.Fatalf("%s/%s: %d of %d bytes differ; the first at %d got %#02x want %#02x", e.name, what, bad, len(want), first, got[first], want[first])
}

// noise is n bytes that are unlike each other.
func noise(r *rand.Rand, n int) []byte {
	p := make([]byte, n)
	for i := range p {
		p[i] = byte(r.Uint32())
	}
	return p
}

// offsets mirrors Writes of odd lengths at odd offsets, many of them over one
// another, in Go.
func offsets(e *env) {
	r := seed(e.name, 0)
	for _, size := range []int{1, 2, 3, 5, 7, 257, 4099} {
		buf := e.alloc(size)
		if buf.Size() != size {
			e.Fatalf("%s: Size is %d after Alloc(%d)", e.name, buf.Size(), size)
		}
		mirror := make([]byte, size)
		for range 40 {
			n := min(size, []int{1, 2, 3, 4, 5, 7, 8, 13, 64, 255}[r.IntN(10)])
			off := r.IntN(size - n + 1)
			p := noise(r, n)
			e.write(buf, off, p)
			copy(mirror[off:], p)
			if r.IntN(3) == 0 {
				n := 1 + r.IntN(size)
				off := r.IntN(size - n + 1)
				e.same(fmt.Sprintf("%d bytes at %d of %d", n, off, size), e.read(buf, off, n), mirror[off:off+n])
			}
		}
		e.same(fmt.Sprintf("all of %d", size), e.read(buf, 0, size), mirror)
		e.write(buf, 0, nil)
		e.read(buf, 0, 0)
		buf.Free()
	}
}

func transfers(e *env) {
	r := seed(e.name, 0)
	const size = 9<<20 + 11
	buf := e.alloc(size)
	defer buf.Free()
	mirror := noise(r, size)
	e.write(buf, 0, mirror)
	for _, n := range []int{64 << 10, 64<<10 + 1, 64<<10 - 3, 1 << 20, 3<<20 + 5, 8<<20 + 1} {
		off := r.IntN(size - n)
		p := noise(r, n)
		e.write(buf, off, p)
		copy(mirror[off:], p)
		at := max(0, off-5)
		m := min(size-at, n+9)
		e.same(fmt.Sprintf("%d bytes at %d", m, at), e.read(buf, at, m), mirror[at:at+m])
	}
	e.same("everything", e.read(buf, 0, size), mirror)
}

func writeCopies(e *env) {
	r := seed(e.name, 0)
	for _, n := range []int{3, 4096, 1 << 20} {
		buf := e.alloc(n)
		p := noise(r, n)
		want := bytes.Clone(p)
		e.write(buf, 0, p)
		clear(p)
		e.same(fmt.Sprintf("%d bytes", n), e.read(buf, 0, n), want)
		buf.Free()
	}
}

// tensorOf allocates a tensor on the backend with values in it.
func (e *env) tensorOf(values []float32) backend.Tensor {
	t, err := backend.New(e.b, backend.F32, len(values))
	e.must(err, "New")
	e.must(backend.SetF32(e.b, t, values), "Write")
	return t
}

func (e *env) values(t backend.Tensor) []float32 {
	v := make([]float32, t.Len())
	e.must(backend.GetF32(e.b, t, v), "Read")
	return v
}

func (e *env) run(ops ...backend.Op) { e.must(backend.Run(e.b, ops...), "Run") }

func (e *env) record(ops ...backend.Op) backend.Program {
	p, err := backend.Record(e.b, ops...)
	e.must(err, "Record")
	return p
}

// all fails the check where t does not hold v everywhere.
func (e *env) all(what string, t backend.Tensor, v float32) {
	for i, g := range e.values(t) {
		if g != v {
			e.Fatalf("%s/%s: element %d of %d got %v want %v", e.name, what, i, t.Len(), g, v)
		}
	}
}

func repeat(v float32, n int) []float32 {
	p := make([]float32, n)
	for i := range p {
		p[i] = v
	}
	return p
}

func writeAfterRun(e *env) {
	const n = 1 << 18
	a, b, c := e.tensorOf(repeat(0, n)), e.tensorOf(repeat(0, n)), e.tensorOf(repeat(0, n))
	defer free(a, b, c)
	for i := range 8 {
		v := float32(i + 1)
		e.must(backend.SetF32(e.b, a, repeat(v, n)), "Write")
		e.run(&backend.Copy{Dst: b, X: a}, &backend.Add{Dst: c, A: a, B: b})
		e.must(backend.SetF32(e.b, a, repeat(-v, n)), "Write") // must not overtake the Run
		e.must(backend.SetF32(e.b, b, repeat(-v, n)), "Write")
		e.all("a Write overtook the Run before it: what the Run gave", c, 2*v)
		e.all("what was written", a, -v)
		e.all("what was written over a Run's result", b, -v)
	}
}

func writeBetweenRuns(e *env) {
	const n = 4099
	a, sum := e.tensorOf(repeat(0, n)), e.tensorOf(repeat(0, n))
	next := e.tensorOf(repeat(0, n))
	defer free(a, sum, next)
	want := float32(0)
	for i := range 20 {
		v := float32(i*i + 1)
		e.must(backend.SetF32(e.b, a, repeat(v, n)), "Write")
		e.run(&backend.Add{Dst: next, A: sum, B: a})
		e.run(&backend.Copy{Dst: sum, X: next})
		want += v
	}
	e.all("sum of what was written before each Run", sum, want)
	part := a.Slice(-1, 17, 31)
	e.must(backend.SetF32(e.b, part, repeat(7, 14)), "Write")
	e.run(&backend.Copy{Dst: sum.Slice(-1, 100, 114), X: part})
	e.must(backend.SetF32(e.b, a.Slice(-1, 0, 64), repeat(8, 64)), "Write")
	e.all("a window written before a Run", sum.Slice(-1, 100, 114), 7)
	e.all("beside that window", sum.Slice(-1, 114, 200), want)
}

func free(ts ...backend.Tensor) {
	for _, t := range ts {
		t.Buf.Free()
	}
}

func zeroed(e *env) {
	r := seed(e.name, 0)
	for round := range 3 { // later rounds reuse what earlier ones dirtied
		var bufs []backend.Buffer
		for _, n := range []int{1, 3, 5, 64, 1000, 4097, 70001, 1 << 20, 5<<20 + 3} {
			buf := e.alloc(n)
			bufs = append(bufs, buf)
			e.same(fmt.Sprintf("round %d, a new buffer of %d bytes must be zero", round, n), e.read(buf, 0, n), make([]byte, n))
			e.write(buf, 0, noise(r, n))
		}
		for _, b := range bufs {
			b.Free()
		}
	}
	// Zeroed for ops too, not only for Read.
	x := e.tensorOf(repeat(1, 1000))
	y, err := backend.New(e.b, backend.F32, 1000)
	e.must(err, "New")
	dst := e.tensorOf(repeat(5, 1000))
	e.run(&backend.Add{Dst: dst, A: x, B: y})
	e.all("1 + a new tensor", dst, 1)
	free(x, y, dst)
}

func tooLarge(e *env) {
	for _, size := range []int{1 << 50, 1 << 62, math.MaxInt} {
		buf, err := e.b.Alloc(size)
		if err == nil {
			buf.Free()
			e.Fatalf("%s: Alloc(%d) gave a buffer; expected an error that wraps ErrOutOfMemory", e.name, size)
		}
		if !errors.Is(err, backend.ErrOutOfMemory) {
			e.Errorf("%s: Alloc(%d): %q does not wrap backend.ErrOutOfMemory", e.name, size, err)
		}
	}
	e.usable()
}

// usable fails the check where the backend does not work any more.
func (e *env) usable() {
	a, b := e.tensorOf(repeat(2, 5)), e.tensorOf(repeat(0, 5))
	e.run(&backend.Add{Dst: b, A: a, B: a})
	e.all("the backend must go on working after an error", b, 4)
	free(a, b)
}

func badSizes(e *env) {
	for _, size := range []int{0, -1, -4096, math.MinInt} {
		if buf, err := e.b.Alloc(size); err == nil {
			buf.Free()
			e.Errorf("%s: Alloc(%d) gave a buffer; expected an error", e.name, size)
		}
	}
	e.usable()
}

func outOfRange(e *env) {
	buf := e.alloc(100)
	defer buf.Free()
	want := noise(seed(e.name, 0), 100)
	e.write(buf, 0, want)
	for _, w := range [][2]int{{-1, 1}, {-1, 100}, {0, 101}, {100, 1}, {99, 2}, {50, 51}, {101, 0}, {1000, 4}, {math.MaxInt, 1}, {math.MaxInt - 1, 4}, {math.MinInt, 4}} {
		p := make([]byte, w[1])
		if err := e.b.Write(buf, w[0], p); err == nil {
			e.Errorf("%s: Write of %d bytes at %d of a buffer of 100: expected an error", e.name, w[1], w[0])
		}
		if err := e.b.Read(p, buf, w[0]); err == nil {
			e.Errorf("%s: Read of %d bytes at %d of a buffer of 100: expected an error", e.name, w[1], w[0])
		}
	}
	e.same("a refused Write must change nothing", e.read(buf, 0, 100), want)
}

func manyBuffers(e *env) {
	const n = 10_000
	bufs := make([]backend.Buffer, n)
	stamp := func(i int) []byte { return []byte{byte(i), byte(i >> 8), 0x5a} }
	for i := range bufs {
		buf, err := e.b.Alloc(16)
		if err != nil {
			e.Fatalf("%s: buffer %d of 16 bytes: %v: sub-allocate small buffers from large blocks", e.name, i, err)
		}
		bufs[i] = buf
		e.write(buf, i%14, stamp(i))
	}
	for i := 0; i < n; i += 37 {
		e.same(fmt.Sprintf("buffer %d", i), e.read(bufs[i], i%14, 3), stamp(i))
	}
	for _, b := range bufs {
		b.Free()
	}
	e.usable()
}

// fragments allocates and frees in random order and looks for buffers that overlap.
func fragments(e *env) {
	type held struct {
		backend.Buffer
		stamp []byte
	}
	r := seed(e.name, 0)
	var live []held
	total := 0
	drop := func(i int) {
		h := live[i]
		n := h.Size()
		e.same(fmt.Sprintf("first bytes of a buffer of %d", n), e.read(h.Buffer, 0, 8), h.stamp)
		e.same(fmt.Sprintf("last bytes of a buffer of %d", n), e.read(h.Buffer, n-8, 8), h.stamp)
		h.Free()
		total -= n
		live[i] = live[len(live)-1]
		live = live[:len(live)-1]
	}
	for range 1500 {
		n := 16 + r.IntN(1<<(4+r.IntN(17)))
		for total+n > 24<<20 || len(live) > 200 {
			drop(r.IntN(len(live)))
		}
		h := held{e.alloc(n), noise(r, 8)}
		e.write(h.Buffer, 0, h.stamp)
		e.write(h.Buffer, n-8, h.stamp)
		live = append(live, h)
		total += n
	}
	for len(live) > 0 {
		drop(len(live) - 1)
	}
}

// returned allocates and frees 2 GiB in all, 64 MiB at a time. Where the
// backend uses the host's memory, the process must not grow by it.
func returned(e *env) {
	if e.most > 0 {
		e.skip("large")
		return
	}
	const size, rounds = 64 << 20, 32
	before := resident()
	for range rounds {
		buf := e.alloc(size)
		e.write(buf, size-1, []byte{1})
		e.read(buf, size-1, 1)
		buf.Free()
	}
	if grown := resident() - before; grown > size*rounds/2 {
		e.Errorf("%s: the process grew by %d MiB over %d buffers of %d MiB, each freed before the next: Free must return memory",
			e.name, grown>>20, rounds, size>>20)
	}
}

// resident is the process's resident memory in bytes, or 0 where the system
// does not tell it the way Linux does.
func resident() int {
	debug.FreeOSMemory()
	data, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	var total, pages int
	if _, err := fmt.Fscan(strings.NewReader(string(data)), &total, &pages); err != nil {
		return 0
	}
	return pages * os.Getpagesize()
}

// freedInUse frees buffers whose Run may still be under way and lets others
// take their place.
func freedInUse(e *env) {
	const n = 1 << 18
	dst := e.tensorOf(repeat(0, n))
	defer free(dst)
	for i := range 10 {
		v := float32(i + 1)
		a, b := e.tensorOf(repeat(v, n)), e.tensorOf(repeat(v, n))
		e.run(&backend.Add{Dst: dst, A: a, B: b})
		free(a, b)
		c, d := e.tensorOf(repeat(-100, n)), e.tensorOf(repeat(-100, n))
		e.all("what was added before its operands were freed", dst, 2*v)
		free(c, d)
	}
}

// mapped computes from memory of the caller, or from a copy where the backend
// cannot map it: backend.MapHost decides.
func mapped(e *env) {
	for _, d := range backend.PlainDTypes() {
		host := newBlock(d, 33*65)
		w := backend.Of(host, d, 0, 65, 33)
		Normal(w, seed(e.name, 0), 0, 1)
		before := bytes.Clone(host.data)
		buf, err := backend.MapHost(e.b, host.data)
		e.must(err, "MapHost")
		if buf.Size() != len(host.data) {
			e.Fatalf("%s: Size of a mapped buffer is %d, expected %d", e.name, buf.Size(), len(host.data))
		}
		e.same("Read of a mapped buffer", e.read(buf, 7, 100), before[7:107])
		x := make([]float32, 33)
		x[5] = 1 // picks a column
		on := e.tensorOf(x)
		dst := e.tensorOf(repeat(0, 65))
		w.Buf = buf
		op := &backend.Linear{Dst: dst, X: on, W: w}
		if _, err := backend.Prepare(e.b, op); d == backend.F32 || err == nil {
			e.run(op)
			for i, got := range e.values(dst) {
				if want := float32(decode(d, before, i*33+5)); got != want {
					e.Fatalf("%s: linear with w=%v mapped: dst[%d] got %v want %v", e.name, d, i, got, want)
				}
			}
		}
		buf.Free()
		buf.Free()
		free(on, dst)
		e.same("memory of the caller after Free", host.data, before)
	}
}

// reported holds what a backend.MemoryReporter tells to a buffer that comes and goes.
func reported(e *env) {
	if _, ok := backend.As[backend.MemoryReporter](e.b); !ok {
		return
	}
	const size = 80 << 20
	before, _, _ := backend.Memory(e.b)
	buf := e.alloc(size)
	e.write(buf, size-1, []byte{1})
	with, free, total := backend.Memory(e.b)
	e.read(buf, size-1, 1)
	buf.Free()
	after, _, _ := backend.Memory(e.b)
	if with < before+size || after > with-size || free < 0 || total > 0 && free > total {
		e.Errorf("%s: a buffer of %d bytes took the bytes used from %d to %d, and Free to %d, with %d of %d free: expected them to follow",
			e.name, size, before, with, after, free, total)
	}
}
