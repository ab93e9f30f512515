package cpu

import (
	"errors"
	"math"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"caldera/backend"
)

// The results of ops are held against the oracle of package conformance; here
// is what only this backend promises.

func TestSupportsEveryOp(t *testing.T) {
	b := open(t)
	for _, op := range []backend.Op{
		&backend.Add{}, &backend.Argmax{}, &backend.Attention{}, &backend.Copy{}, &backend.Embedding{}, &backend.Activate{},
		&backend.LayerNorm{}, &backend.Linear{}, &backend.Scale{}, &backend.Softmax{}, &backend.Store{},
	} {
		if !b.Supports(op) {
			t.Errorf("%s has no kernel", op.Name())
		}
	}
}

func TestOutOfMemory(t *testing.T) {
	b := open(t)
	for _, size := range []int{1 << 50, math.MaxInt} {
		if _, err := b.Alloc(size); !errors.Is(err, backend.ErrOutOfMemory) || !strings.Contains(err.Error(), "wanted") {
			t.Errorf("Alloc(%d): got %v, want out of memory, with what was wanted and what was there", size, err)
		}
	}
	for _, size := range []int{0, -1} {
		if _, err := b.Alloc(size); err == nil {
			t.Errorf("Alloc(%d) succeeded", size)
		}
	}
}

// Pages that nobody has touched cost nothing yet, and must count all the same.
func TestPromisedMemoryCounts(t *testing.T) {
	b := open(t)
	free, ok := freeMemory(0)
	if !ok {
		t.Skip("this system does not tell how much memory is free")
	}
	first, err := b.Alloc(free / 3 * 2)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Alloc(free / 3 * 2); !errors.Is(err, backend.ErrOutOfMemory) {
		t.Errorf("4/3 of the free memory was handed out: %v", err)
	}
	first.Free()
	again, err := b.Alloc(free / 3 * 2)
	if err != nil {
		t.Fatalf("after Free: %v", err)
	}
	again.Free()
	if b.bytes != 0 {
		t.Errorf("%d bytes still count after everything is freed", b.bytes)
	}
}

func TestBuffersAreAligned(t *testing.T) {
	b := open(t)
	for _, size := range []int{1, 4, 65, 4096, largeSize - 1, largeSize, largeSize + 1} {
		buf, err := b.Alloc(size)
		if err != nil {
			t.Fatal(err)
		}
		p := buf.(*buffer).data
		if len(p) != size || uintptr(unsafe.Pointer(&p[0]))%alignment != 0 {
			t.Errorf("Alloc(%d): %d bytes at %p", size, len(p), &p[0])
		}
	}
}

func TestMapHost(t *testing.T) {
	b := open(t)
	values := []float32{0, 3, 1, 2}
	host := unsafe.Slice((*byte)(unsafe.Pointer(&values[0])), 16)
	buf, err := b.MapHost(host)
	if err != nil {
		t.Fatal(err)
	}
	x, y := backend.Of(buf, backend.F32, 1, 3), tensor(t, b, backend.I32, 1)
	index := []int32{9}
	for _, want := range []int32{0, 2} {
		if err := backend.Run(b, &backend.Argmax{Dst: y, X: x}); err != nil {
			t.Fatal(err)
		}
		if backend.GetI32(b, y, index); index[0] != want {
			t.Errorf("got %d, want %d", index[0], want)
		}
		values[3] = 5 // the backend looks at this memory, not at a copy
	}
	if err := b.Write(buf, 0, host[:4]); !errors.Is(err, errReadOnly) {
		t.Errorf("Write: got %v", err)
	}
	if err := backend.Run(b, &backend.Activate{Dst: x, X: tensor(t, b, backend.F32, 3), Func: backend.GELUTanh}); !errors.Is(err, errReadOnly) {
		t.Errorf("an op that writes: got %v", err)
	}
	odd, err := b.MapHost(host[1:13])
	if err != nil {
		t.Fatal(err)
	}
	if err := backend.Run(b, &backend.Argmax{Dst: y, X: backend.Of(odd, backend.F32, 0, 2)}); err == nil || !strings.Contains(err.Error(), "aligned") {
		t.Errorf("float32 at an odd address: got %v", err)
	}
	buf.Free()
	if err := backend.Run(b, &backend.Argmax{Dst: y, X: x}); err == nil {
		t.Error("an op on a freed mapping ran")
	}
	if _, err := b.MapHost(nil); err == nil {
		t.Error("nothing was mapped")
	}
}

func TestNothingRunsIfOneOpIsWrong(t *testing.T) {
	b := open(t)
	x, y := tensor(t, b, backend.F32, 4), tensor(t, b, backend.F32, 4)
	freed := tensor(t, b, backend.F32, 4)
	freed.Buf.Free()
	before, after := make([]float32, 4), make([]float32, 4)
	backend.GetF32(b, y, before)
	err := b.Run(&backend.Activate{Dst: y, X: x, Func: backend.GELUTanh}, &backend.Activate{Dst: x, X: freed, Func: backend.GELUTanh})
	var at *backend.OpError
	if !errors.As(err, &at) || at.Index != 1 || !errors.Is(err, backend.ErrFreed) {
		t.Errorf("got %v, want op 1 to name a freed buffer", err)
	}
	if backend.GetF32(b, y, after); before[0] != after[0] {
		t.Error("the first op ran")
	}
}

// A row that a query may not see can hold anything, even if it is the row of
// another query of the same run.
func TestAttentionIgnoresWhatComesLater(t *testing.T) {
	b := open(t)
	const time, width = 40, 16
	for _, d := range []backend.DType{backend.F32, backend.F16} {
		q := tensor(t, b, backend.F32, 1, time, width)
		k, v := tensor(t, b, d, 1, time, width), tensor(t, b, d, 1, time, width)
		dst := tensor(t, b, backend.F32, 1, time, width)
		poison := make([]float32, width)
		for i := range poison {
			poison[i] = float32(math.Inf(1 - i%2))
		}
		poison[3] = nan
		for _, kv := range []backend.Tensor{k, v} {
			if err := backend.SetF32(b, kv.Slice(-2, 20, 21), poison); err != nil {
				t.Fatal(err)
			}
		}
		op := &backend.Attention{Dst: dst, Q: q, K: k, V: v, At: places(t, b, time), Heads: 2, Scale: 0.3}
		if err := backend.Run(b, op); err != nil {
			t.Fatal(err)
		}
		got := make([]float32, time*width)
		backend.GetF32(b, dst, got)
		for i, x := range got {
			if i/width < 20 && x != x {
				t.Fatalf("%v: query %d saw the NaN at row 20", d, i/width)
			}
		}
		if x := got[20*width+3]; x == x {
			t.Errorf("%v: query 20 did not see the NaN at its own row", d)
		}
	}
}

// Columns are what threads share in a product, rows where there are few columns.
func TestLinearOnManyThreads(t *testing.T) {
	for _, n := range [][3]int{{301, 17, 5}, {5000, 64, 3}, {1, 700, 1301}, {3, 129, 2000}, {70, 300, 1000}} {
		for _, threads := range []int{1, 3, 8} {
			b := open(t)
			b.pool.stop()
			b.pool = newPool(threads)
			rows, in, out := n[0], n[1], n[2]
			for _, d := range []backend.DType{backend.F32, backend.F16} {
				for _, transposed := range []bool{false, true} {
					w := tensor(t, b, d, out, in)
					if transposed {
						w = tensor(t, b, d, in, out).Transpose()
					}
					x, bias, dst := tensor(t, b, backend.F32, rows, in), tensor(t, b, backend.F32, out), tensor(t, b, backend.F32, rows, out)
					if err := backend.Run(b, &backend.Linear{Dst: dst, X: x, W: w, Bias: bias}); err != nil {
						t.Fatal(err)
					}
					got := make([]float32, rows*out)
					backend.GetF32(b, dst, got)
					value := func(i int) float64 { return float64(1+i%2) / 64 }
					for i, g := range got {
						r, c := i/out, i%out
						want := value(c)
						for k := range in {
							at := c*in + k
							if transposed {
								at = k*out + c
							}
							want += value(r*in+k) * value(at)
						}
						if math.Abs(float64(g)-want) > 1e-5*want {
							t.Fatalf("%v %v threads=%d transposed=%v: dst[%d,%d] is %v, want %v", n, d, threads, transposed, r, c, g, want)
						}
					}
				}
			}
		}
	}
}

func TestPoolDoesEachItemOnce(t *testing.T) {
	var seen [1000]atomic.Int32
	count := func(_ *worker, _ backend.Op, from, to int) {
		for i := from; i < to; i++ {
			seen[i].Add(1)
		}
	}
	for _, threads := range []int{1, 2, 7} {
		p := newPool(threads)
		runs := int32(0)
		for n := 1; n <= len(seen); n += 37 {
			for range 20 {
				p.do(nil, n, 1, 1e6, chunksPerThread, count)
				runs++
				if got := seen[0].Load(); got != runs {
					t.Fatalf("threads=%d n=%d: item 0 was done %d times in %d runs", threads, n, got, runs)
				}
			}
		}
		total := int32(0)
		for i := range seen {
			total += seen[i].Swap(0)
		}
		want := int32(0)
		for n := 1; n <= len(seen); n += 37 {
			want += 20 * int32(n)
		}
		if total != want {
			t.Errorf("threads=%d: %d items were done, want %d", threads, total, want)
		}
		p.stop()
	}
}

// A thread that does not get on holds up one chunk and no more: others do the rest of its share.
func TestPoolDoesNotWaitForSlowThreads(t *testing.T) {
	const n = 1000
	for _, threads := range []int{2, 3, 7} {
		p := newPool(threads)
		var left atomic.Int64
		left.Store(n)
		rest := make(chan struct{}) // closed when only one chunk is left
		var once sync.Once
		largest := int64(0)
		p.do(nil, n, 10, 1e6, chunksPerThread, func(_ *worker, _ backend.Op, from, to int) {
			stuck := false
			once.Do(func() { stuck, largest = true, int64(to-from) })
			if !stuck {
				if left.Add(int64(from-to)) == largest {
					close(rest)
				}
				return
			}
			select {
			case <-rest:
			case <-time.After(time.Minute):
				t.Errorf("threads=%d: %d items are left, %d of them in the chunk of the slow thread", threads, left.Load(), largest)
			}
			left.Add(int64(from - to))
		})
		if left := left.Load(); left != 0 {
			t.Errorf("threads=%d: %d items were not done", threads, left)
		}
		p.stop()
	}
}

// Helpers that have nothing to do sleep, so that they cost nobody a processor, and wake up again.
func TestPoolSleeps(t *testing.T) {
	p := newPool(4)
	defer p.stop()
	for range 3 {
		done := atomic.Int64{}
		p.do(nil, 100, 1, 1e6, chunksPerThread, func(_ *worker, _ backend.Op, from, to int) { done.Add(int64(to - from)) })
		if done.Load() != 100 {
			t.Fatalf("%d items were done, expected 100", done.Load())
		}
		asleep := 0
		for end := time.Now().Add(time.Minute); asleep < p.helpers && time.Now().Before(end); time.Sleep(time.Millisecond) {
			p.mu.Lock()
			asleep = p.asleep
			p.mu.Unlock()
		}
		if asleep != p.helpers {
			t.Fatalf("%d of %d helpers sleep after a minute without work", asleep, p.helpers)
		}
	}
}

func TestDescribe(t *testing.T) {
	b := open(t)
	for _, want := range []string{hostName(), " threads, ", b.library.Name} {
		if got := backend.Describe(b); !strings.Contains(got, want) {
			t.Errorf("%q does not contain %q", got, want)
		}
	}
	devices, err := backend.Devices("cpu")
	if err != nil || len(devices) != 1 || devices[0].Kind != backend.Host || devices[0].Name == "" {
		t.Errorf("devices: %+v, %v", devices, err)
	}
}
