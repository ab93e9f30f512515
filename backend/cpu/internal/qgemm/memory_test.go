//go:build unix

package qgemm

import (
	"math/rand/v2"
	"os"
	"slices"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// atEnd returns n elements in memory whose end is the end of what may be accessed.
func atEnd[E any](t *testing.T, n int) []E {
	size, page := n*int(unsafe.Sizeof(*new(E))), os.Getpagesize()
	pages := (size + page - 1) / page * page
	p, err := unix.Mmap(-1, 0, pages+page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Munmap(p) })
	if err := unix.Mprotect(p[pages:], unix.PROT_NONE); err != nil {
		t.Fatal(err)
	}
	return unsafe.Slice((*E)(unsafe.Pointer(&p[pages-size])), n)
}

// TestMemoryBehind multiplies and quantises what ends where memory does. An access behind it ends
// the test's process.
func TestMemoryBehind(t *testing.T) {
	eachSet(t, func(t *testing.T) {
		for name, f := range formats {
			for i, n := range [][3]int{{1, 32, 1}, {1, 2304, 67}, {1, 96, 32}, {7, 96, 33}, {4, 64, 32}, {6, 32, 47}} {
				rows, in, out := n[0], (n[1]+f.Len-1)/f.Len*f.Len, n[2]
				p := newProblem(rand.New(rand.NewPCG(uint64(i), 8)), f, rows, in, out)
				p.init = nil
				want := p.run(new(Workspace), 0, rows)
				packed, w, dst := atEnd[byte](t, f.PackedBytes(rows, in)), atEnd[byte](t, len(p.w)), atEnd[float32](t, rows*out)
				copy(w, p.w)
				for r := range rows {
					x := atEnd[byte](t, len(p.xRow(r)))
					copy(x, p.xRow(r))
					f.PackRow(packed, r, rows, x)
				}
				k := f.Kernels(rows)
				if k.Unpacked() {
					packed = atEnd[byte](t, len(p.xRow(0)))
					copy(packed, p.xRow(0))
				}
				product := Product{Kernels: k, Dst: dst, DstStride: out, X: packed, Rows: rows, W: w, WStride: p.stride, In: in}
				product.Columns(new(Workspace), 0, rows, 0, out)
				if !slices.Equal(dst, want) {
					t.Errorf("%s %v: other numbers at the end of memory", name, n)
				}
			}
		}
		values, blocks := atEnd[float32](t, 96), atEnd[byte](t, 3*q8aBytes)
		ToQ8A(blocks, values)
	})
}
