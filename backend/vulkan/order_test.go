//go:build cgo

package vulkan

import (
	"bytes"
	"testing"

	"caldera/backend"
	"caldera/backend/vulkan/internal/vk"
)

// TestHostKeepsOff simulates a device that is still busy: the host must not write to memory
// that the work uses.
func TestHostKeepsOff(t *testing.T) {
	busy := false
	waits := func(vk.Fence) {}
	b, err := openWithHooks(t, lavapipe, nil, &vk.Hooks{
		Submit: func() (commands, fence bool) { return true, !busy },
		Wait: func(f vk.Fence, nanoseconds uint64) {
			if nanoseconds > 0 { // else it only looks
				waits(f)
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if !b.limits.Unified {
		t.Fatal("the driver's memory is not mapped: this shows nothing")
	}
	x, y := vector(t, b, 1, 2, 3, 4), vector(t, b, 0, 0, 0, 0)
	xs, op := x.Buf.(*buffer), &backend.Activate{Dst: y, X: x, Func: backend.GELUTanh}
	if err := b.Run(op); err != nil { // the first one tests the device
		t.Fatal(err)
	}
	if err := b.waitAll(); err != nil || !xs.hostIdle() {
		t.Fatalf("%v, or a buffer is busy when all has finished", err)
	}
	t.Cleanup(func() { // Close waits for the last submit
		busy = false
		b.Run(op)
	})
	was := bytes.Clone(xs.mapped())
	busy = true
	if err := b.Run(op); err != nil {
		t.Fatal(err)
	}
	if xs.hostIdle() || y.Buf.(*buffer).hostIdle() {
		t.Error("buffers of work that has not finished are taken for idle")
	}
	waited := false
	release := func(f vk.Fence) { // the device has finished
		if !waited {
			waited = true
			if err := b.dev.Submit(nil, f); err != nil {
				t.Error(err)
			}
		}
	}
	busy, waits = false, release
	if err := b.Write(xs, 0, make([]byte, 8)); err != nil { // as a command
		t.Fatal(err)
	}
	if waits = func(vk.Fence) {}; waited || b.pending == nil {
		t.Fatal("the write is not put behind the work")
	}
	if !bytes.Equal(xs.mapped(), was) {
		t.Error("the host wrote to memory that the device still reads")
	}

	// The fence of a later submit covers that of the work.
	if err := b.waitAll(); err != nil {
		t.Fatal(err)
	}
	if bytes.Equal(xs.mapped(), was) {
		t.Error("the write never came")
	}

	// Bytes that are no whole words are no command: the host waits.
	was = bytes.Clone(xs.mapped())
	busy = true
	if err := b.Run(op); err != nil {
		t.Fatal(err)
	}
	busy = false
	waits = func(f vk.Fence) {
		if !waited && !bytes.Equal(xs.mapped(), was) {
			t.Error("the host wrote bytes to memory that the device still reads")
		}
		release(f)
	}
	if err := b.Write(xs, 9, []byte{1, 2, 3}); err != nil {
		t.Fatal(err)
	}
	if !waited {
		t.Error("the write did not wait for the device")
	}
	if copy(was[9:], []byte{1, 2, 3}); !bytes.Equal(xs.mapped(), was) {
		t.Error("the write never came")
	}
}
