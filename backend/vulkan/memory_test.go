//go:build cgo

package vulkan

import (
	"errors"
	"math/rand/v2"
	"slices"
	"testing"

	"caldera/backend"
	"caldera/backend/vulkan/internal/vk"
)

// fakeHeap simulates a driver's memory of a fixed size.
type fakeHeap struct {
	room, used uint64
	refuse     uint64 // allocations from this size on fail, whatever the room
	live       map[vk.Buffer]uint64
	next       vk.Buffer
}

func (h *fakeHeap) memory() *memory {
	h.live = map[vk.Buffer]uint64{}
	return &memory{
		device:    "fake",
		unit:      blockSize,
		largest:   1 << 40,
		available: func() uint64 { return h.room - h.used },
		create: func(size uint64) (deviceMemory, error) {
			if size > h.room-h.used || h.refuse != 0 && size >= h.refuse {
				return deviceMemory{}, vk.ErrOutOfMemory
			}
			h.next++
			h.used += size
			h.live[h.next] = size
			return deviceMemory{Buffer: h.next}, nil
		},
		destroy: func(m deviceMemory) {
			h.used -= h.live[m.Buffer]
			delete(h.live, m.Buffer)
		},
	}
}

// TestMemoryModel allocates and releases at random. Ranges never overlap,
// and in the end all but one block has gone back to the driver.
func TestMemoryModel(t *testing.T) {
	for seed := range uint64(20) {
		rng := rand.New(rand.NewPCG(seed, 9))
		h := &fakeHeap{room: 1 << 30}
		m := h.memory()
		type piece struct {
			b            *block
			offset, size uint64
		}
		var live []piece
		refused := 0
		for range 2000 {
			if len(live) > 0 && rng.IntN(5) < 2 {
				i := rng.IntN(len(live))
				m.release(live[i].b, live[i].offset, live[i].size)
				live = slices.Delete(live, i, i+1)
				continue
			}
			size := 1 + rng.Uint64N(1<<rng.IntN(28))
			b, offset, err := m.alloc(size)
			if err != nil {
				if !errors.Is(err, backend.ErrOutOfMemory) {
					t.Fatal(err)
				}
				refused++
				continue
			}
			if offset%rangeUnit != 0 || offset+size > b.size || h.live[b.Buffer] != b.size {
				t.Fatalf("seed %d: %d bytes at %d of a block of %d", seed, size, offset, b.size)
			}
			for _, p := range live {
				if p.b == b && p.offset < offset+size && offset < p.offset+p.size {
					t.Fatalf("seed %d: [%d, +%d) and [%d, +%d) overlap", seed, p.offset, p.size, offset, size)
				}
			}
			live = append(live, piece{b, offset, size})
		}
		if refused == 0 {
			t.Errorf("seed %d never filled the memory", seed)
		}
		for _, p := range live {
			m.release(p.b, p.offset, p.size)
		}
		if len(h.live) > 1 || h.used > blockSize {
			t.Errorf("seed %d: all is released, and %d blocks of %d bytes are still held", seed, len(h.live), h.used)
		}
		m.close()
		if h.used != 0 {
			t.Errorf("seed %d: %d bytes are held after close", seed, h.used)
		}
	}
}

func TestMemoryGivesTheSpareBlockBack(t *testing.T) {
	h := &fakeHeap{room: 2 * blockSize}
	m := h.memory()
	b, offset, err := m.alloc(1)
	if err != nil {
		t.Fatal(err)
	}
	m.release(b, offset, 1)
	if h.used != blockSize {
		t.Fatalf("%d bytes are held, want a spare block", h.used)
	}
	if _, _, err := m.alloc(2 * blockSize); err != nil {
		t.Errorf("all of the memory: %v", err)
	}
	_, _, err = m.alloc(1)
	var oom *OutOfMemoryError
	if !errors.As(err, &oom) || oom.Wanted != 1 || oom.Available != 0 {
		t.Errorf("one more byte: %v", err)
	}
}

// TestMemoryTakesASmallerBlock where the driver refuses a large one.
func TestMemoryTakesASmallerBlock(t *testing.T) {
	h := &fakeHeap{room: 1 << 30, refuse: blockSize}
	if b, _, err := h.memory().alloc(1000); err != nil || b.size != 1024 {
		t.Errorf("%+v, %v; want a block of 1024", b, err)
	}
}

// TestMemoryIdle checks that unused parts of blocks count as free.
func TestMemoryIdle(t *testing.T) {
	m := (&fakeHeap{room: 1 << 30}).memory()
	b, offset, err := m.alloc(1000)
	if err != nil {
		t.Fatal(err)
	}
	if got := m.idle(); got != blockSize-1024 {
		t.Errorf("%d bytes are idle in a block of %d with 1000 in use, expected all but 1024", got, blockSize)
	}
	m.release(b, offset, 1000)
	if got := m.idle(); got != blockSize {
		t.Errorf("%d bytes are idle in an empty block of %d", got, blockSize)
	}
}
