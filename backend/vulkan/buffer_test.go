//go:build cgo

package vulkan

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"testing"

	"caldera/backend"
)

func mustAlloc(tb testing.TB, b *Backend, size int) backend.Buffer {
	tb.Helper()
	buf, err := b.Alloc(size)
	if err != nil {
		tb.Fatal(err)
	}
	return buf
}

func mustRead(tb testing.TB, b *Backend, buf backend.Buffer, off, n int) []byte {
	tb.Helper()
	p := make([]byte, n)
	if err := b.Read(p, buf, off); err != nil {
		tb.Fatal(err)
	}
	return p
}

func randomBytes(rng *rand.Rand, n int) []byte {
	p := make([]byte, n)
	for i := range p {
		p[i] = byte(rng.Uint32())
	}
	return p
}

// TestTransfers compares Write and Read, at any offset and length, with a slice of bytes.
func TestTransfers(t *testing.T) {
	everywhere(t, func(t *testing.T, b *Backend) {
		rng := rand.New(rand.NewPCG(3, 4))
		sizes := []int{1, 3, 4, 255, 256, 257, 1000, 65536 + 5}
		for range 40 {
			size := sizes[rng.IntN(len(sizes))]
			buf := mustAlloc(t, b, size)
			model := make([]byte, size)
			for range 12 {
				off := rng.IntN(size)
				n := rng.IntN(size - off + 1)
				if rng.IntN(4) == 0 {
					off, n = off&^3, n&^3
				}
				if rng.IntN(3) == 0 {
					if got := mustRead(t, b, buf, off, n); !bytes.Equal(got, model[off:off+n]) {
						t.Fatalf("buffer of %d: Read of %d at %d differs", size, n, off)
					}
					continue
				}
				p := randomBytes(rng, n)
				copy(model[off:], p)
				if err := b.Write(buf, off, p); err != nil {
					t.Fatal(err)
				}
				clear(p) // src may be reused at once
			}
			if got := mustRead(t, b, buf, 0, size); !bytes.Equal(got, model) {
				t.Fatalf("buffer of %d differs", size)
			}
			if rng.IntN(2) == 0 {
				buf.Free() // its bytes come back as somebody else's
			}
		}
	})
}

// TestLargeTransfers fills the staging buffers several times.
func TestLargeTransfers(t *testing.T) {
	b := openTest(t, lavapipe, staged)
	rng := rand.New(rand.NewPCG(5, 6))
	size := 3*int(b.stagingSize()) + 12345
	one := randomBytes(rng, size)
	buf := mustAlloc(t, b, size+1)
	other := mustAlloc(t, b, 100)
	for i := range 3 {
		one[7*i]++
		if err := b.Write(other, 0, one[:99]); err != nil {
			t.Fatal(err)
		}
		if err := b.Write(buf, 1, one); err != nil {
			t.Fatal(err)
		}
	}
	if got := mustRead(t, b, buf, 0, size+1); got[0] != 0 || !bytes.Equal(got[1:], one) {
		t.Error("a large write does not come back")
	}
	if got := mustRead(t, b, other, 0, 100); !bytes.Equal(got[:99], one[:99]) || got[99] != 0 {
		t.Error("a small write between large ones does not come back")
	}
}

func TestAllocZeroes(t *testing.T) {
	everywhere(t, func(t *testing.T, b *Backend) {
		for _, size := range []int{1, 5, 255, 4096, 100_001} {
			buf := mustAlloc(t, b, size)
			if err := b.Write(buf, 0, bytes.Repeat([]byte{0xff}, size)); err != nil {
				t.Fatal(err)
			}
			buf.Free()
			// Every way in which a buffer may first be accessed.
			for name, touch := range map[string]func(backend.Buffer) (from, to int){
				"read":   func(backend.Buffer) (int, int) { return 0, 0 },
				"start":  func(x backend.Buffer) (int, int) { return 0, size / 2 },
				"middle": func(x backend.Buffer) (int, int) { return size / 3, 2 * size / 3 },
				"end":    func(x backend.Buffer) (int, int) { return size / 2, size },
			} {
				x := mustAlloc(t, b, size)
				from, to := touch(x)
				if err := b.Write(x, from, bytes.Repeat([]byte{1}, to-from)); err != nil {
					t.Fatal(err)
				}
				for i, v := range mustRead(t, b, x, 0, size) {
					if (v == 1) != (from <= i && i < to) || v > 1 {
						t.Fatalf("%d bytes, %s: byte %d is %d", size, name, i, v)
					}
				}
				if err := b.Write(x, 0, bytes.Repeat([]byte{0xff}, size)); err != nil {
					t.Fatal(err)
				}
				x.Free()
			}
		}
	})
}

func TestBufferErrors(t *testing.T) {
	b := openTest(t, lavapipe, nil)
	other := openTest(t, swiftshader, nil)
	buf := mustAlloc(t, b, 16)
	for _, c := range []struct {
		name string
		err  error
	}{
		{"Alloc(0)", func() error { _, err := b.Alloc(0); return err }()},
		{"Alloc(-1)", func() error { _, err := b.Alloc(-1); return err }()},
		{"Write at -1", b.Write(buf, -1, []byte{1})},
		{"Write past the end", b.Write(buf, 15, []byte{1, 2})},
		{"Write far past the end", b.Write(buf, 1<<62, []byte{1, 2})},
		{"Read past the end", b.Read(make([]byte, 17), buf, 0)},
		{"Write to another backend's", b.Write(mustAlloc(t, other, 4), 0, []byte{1})},
		{"Write to nil", b.Write(nil, 0, []byte{1})},
	} {
		if c.err == nil {
			t.Errorf("%s: no error", c.name)
		}
	}
	buf.Free()
	buf.Free()
	if err := b.Write(buf, 0, []byte{1}); !errors.Is(err, backend.ErrFreed) {
		t.Errorf("Write to a freed buffer: %v", err)
	}
	if err := b.Read([]byte{1}, buf, 0); !errors.Is(err, backend.ErrFreed) {
		t.Errorf("Read of a freed buffer: %v", err)
	}
}

func TestClosed(t *testing.T) {
	b := openTest(t, lavapipe, nil)
	buf := mustAlloc(t, b, 16)
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	_, err := b.Alloc(16)
	_, err2 := b.Record()
	for name, err := range map[string]error{
		"Alloc": err, "Record": err2, "Write": b.Write(buf, 0, []byte{1}), "Read": b.Read([]byte{1}, buf, 0), "Run": b.Run(),
	} {
		if !errors.Is(err, backend.ErrClosed) {
			t.Errorf("%s after Close: %v", name, err)
		}
	}
	buf.Free()
	if err := b.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
}

func TestOutOfMemory(t *testing.T) {
	everywhere(t, func(t *testing.T, b *Backend) {
		for _, size := range []int{1 << 40, 1<<63 - 1} {
			_, err := b.Alloc(size)
			var oom *OutOfMemoryError
			if !errors.Is(err, backend.ErrOutOfMemory) || !errors.As(err, &oom) {
				t.Fatalf("Alloc(%d): %v", size, err)
			}
			if oom.Wanted != uint64(size) || oom.Available == 0 || oom.Available >= 1<<40 {
				t.Errorf("Alloc(%d): %+v", size, oom)
			}
		}
		mustAlloc(t, b, 1000) // it goes on
	})
}

// TestFreeWaits frees buffers that are used by commands that have not run yet.
func TestFreeWaits(t *testing.T) {
	b := openTest(t, lavapipe, staged)
	keep := mustAlloc(t, b, 1<<20)
	want := bytes.Repeat([]byte{7}, 1<<20)
	for range 20 {
		x := mustAlloc(t, b, 1<<20)
		if err := b.Write(x, 0, bytes.Repeat([]byte{9}, 1<<20)); err != nil {
			t.Fatal(err)
		}
		x.Free()
		if err := b.Write(keep, 0, want); err != nil {
			t.Fatal(err)
		}
	}
	if got := mustRead(t, b, keep, 0, 1<<20); !bytes.Equal(got, want) {
		t.Error("a write to a freed buffer reached another")
	}
	if n := len(b.queue.deferred); n != 0 {
		t.Errorf("%d things still wait though all has finished", n)
	}
}
