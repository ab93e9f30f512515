//go:build cgo

package vulkan

import (
	"math/rand/v2"
	"testing"
)

func TestFreeListCoalesces(t *testing.T) {
	const unit = 256
	for _, order := range [][4]int{{0, 1, 2, 3}, {3, 2, 1, 0}, {0, 2, 1, 3}, {1, 3, 0, 2}, {2, 0, 3, 1}} {
		f := newFreeList(4*unit, unit)
		for i := range uint64(4) {
			if at, ok := f.alloc(1); !ok || at != i*unit {
				t.Fatalf("alloc %d = %d, %v", i, at, ok)
			}
		}
		if _, ok := f.alloc(1); ok {
			t.Fatal("a full block gave more")
		}
		for _, i := range order {
			f.release(uint64(i)*unit, 1)
		}
		if !f.empty() {
			t.Errorf("released in order %v: %v is free, want one range", order, f.free)
		}
		if _, ok := f.alloc(4 * unit); !ok {
			t.Errorf("released in order %v: the whole block is not to be had", order)
		}
	}
}

func TestFreeListTakesTheBestFit(t *testing.T) {
	f := newFreeList(1000, 1)
	a, _ := f.alloc(100)
	f.alloc(1)
	b, _ := f.alloc(50)
	f.alloc(1)
	f.release(a, 100)
	f.release(b, 50)
	if at, _ := f.alloc(40); at != b {
		t.Errorf("40 bytes came from %d, want them from the hole of 50 at %d", at, b)
	}
}

// FuzzFreeList compares a script of allocations and releases with a map of the owner of
// each unit.
func FuzzFreeList(f *testing.F) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 20 {
		script := make([]byte, 400)
		for i := range script {
			script[i] = byte(rng.Uint32())
		}
		f.Add(script)
	}
	f.Fuzz(func(t *testing.T, script []byte) {
		const units, align = 64, 256
		type piece struct{ at, size uint64 }
		list := newFreeList(units*align, align)
		var owner [units]int
		var live []piece
		for step, b := range script {
			if b&1 == 0 && len(live) > 0 {
				i := int(b>>1) % len(live)
				p := live[i]
				live = append(live[:i], live[i+1:]...)
				list.release(p.at, p.size)
				for u := p.at / align; u < roundUp(p.at+p.size, align)/align; u++ {
					owner[u] = 0
				}
				continue
			}
			size := uint64(b)*8 + 1
			need := int(roundUp(size, align) / align)
			run, longest := 0, 0
			for _, o := range owner {
				if run++; o != 0 {
					run = 0
				}
				longest = max(longest, run)
			}
			at, ok := list.alloc(size)
			if ok != (longest >= need) {
				t.Fatalf("step %d: alloc(%d) = %v with %d units free in a row, %d needed", step, size, ok, longest, need)
			}
			if !ok {
				continue
			}
			if at%align != 0 || at+size > units*align {
				t.Fatalf("step %d: alloc(%d) = %d: out of place", step, size, at)
			}
			for u := at / align; u < at/align+uint64(need); u++ {
				if owner[u] != 0 {
					t.Fatalf("step %d: unit %d belongs to %d already", step, u, owner[u])
				}
				owner[u] = step + 1
			}
			live = append(live, piece{at, size})
		}
		for _, p := range live {
			list.release(p.at, p.size)
		}
		if !list.empty() {
			t.Fatalf("everything was released, and %v is free", list.free)
		}
	})
}
