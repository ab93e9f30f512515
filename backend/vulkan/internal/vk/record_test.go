//go:build cgo

// The recording path: no allocations, safe under collections, and its price.

package vk_test

import (
	"runtime"
	"sync"
	"testing"

	"caldera/backend/vulkan/internal/vk"
)

// hotCalls are the calls of the recording and submitting path.
func hotCalls(x *adder) map[string]func() {
	d, cb := x.d, x.cb
	set := x.descriptors()
	return map[string]func(){
		"Run": func() {
			var data [4]byte
			d.CmdRun(cb, x.pipeline, x.layout, x.set, data[:], 1, 1, 1)
		},
		"Barrier":             func() { d.CmdBarrier(cb, vk.ComputeStage, vk.ShaderWrite, vk.ComputeStage, vk.ShaderRead) },
		"CopyBuffer":          func() { d.CmdCopyBuffer(cb, x.buffers[0], x.buffers[1], 0, 0, 4) },
		"FillBuffer":          func() { d.CmdFillBuffer(cb, x.buffers[0], 0, 4, 0) },
		"UpdateDescriptorSet": func() { d.UpdateDescriptorSet(x.set, set) },
	}
}

// unvalidated is a device without the layer, as users run it.
func unvalidated(tb testing.TB) *vk.Device {
	i, err := vk.New(vk.Options{})
	ok(tb, err)
	tb.Cleanup(i.Close)
	return openFirst(tb, i)
}

func TestRecordingAllocatesNothing(t *testing.T) {
	d := unvalidated(t)
	x := newAdder(t, d, 64, 1)
	defer x.free()
	for name, call := range hotCalls(x) {
		ok(t, d.Begin(x.cb, 0))
		if n := testing.AllocsPerRun(100, call); n != 0 {
			t.Errorf("%s: %g allocations", name, n)
		}
		ok(t, d.End(x.cb))
	}
	ok(t, d.Begin(x.cb, 0))
	x.dispatch()
	ok(t, d.End(x.cb))
	one := []vk.CommandBuffer{x.cb}
	if n := testing.AllocsPerRun(20, func() {
		ok(t, d.Submit(one, x.fence))
		ok(t, x.wait())
	}); n != 0 {
		t.Errorf("submit and wait: %g allocations", n)
	}
}

// TestCollections records and submits from several goroutines while the
// collector runs all the time and stacks move.
func TestCollections(t *testing.T) {
	d, _ := newDevice(t)
	const workers, rounds, n = 3, 400, 256
	stop := make(chan struct{})
	var collector sync.WaitGroup
	collector.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				runtime.GC()
			}
		}
	})
	var queue sync.Mutex
	var work sync.WaitGroup
	for w := range workers {
		work.Go(func() {
			x := newAdder(t, d, n, uint32(w+1))
			defer x.free()
			for round := range rounds {
				for i := range n {
					x.setFloat(0, i, float32(i))
					x.setFloat(1, i, float32(round))
				}
				d.UpdateDescriptorSet(x.set, x.descriptors())
				if err := d.Begin(x.cb, vk.OneTime); err != nil {
					t.Error(err)
					return
				}
				x.dispatch()
				err := d.End(x.cb)
				if err == nil {
					queue.Lock()
					err = d.Submit([]vk.CommandBuffer{x.cb}, x.fence)
					queue.Unlock()
				}
				if err == nil {
					err = x.wait()
				}
				if err != nil {
					t.Error(err)
					return
				}
				for i := range n {
					if got, want := x.float(2, i), float32((w+1)*i+round); got != want {
						t.Errorf("worker %d, round %d: c[%d] = %g, want %g", w, round, i, got, want)
						return
					}
				}
			}
		})
	}
	work.Wait()
	close(stop)
	collector.Wait()
}

func BenchmarkRecord(b *testing.B) {
	d := unvalidated(b)
	x := newAdder(b, d, 64, 1)
	defer x.free()
	for name, call := range hotCalls(x) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			ok(b, d.Begin(x.cb, 0))
			for i := 0; b.Loop(); i++ {
				if i%4096 == 4095 { // so that the recording does not grow without bound
					ok(b, d.Begin(x.cb, 0))
				}
				call()
			}
			ok(b, d.End(x.cb))
		})
	}
}

// BenchmarkSubmit is an empty submit and the wait for its fence.
func BenchmarkSubmit(b *testing.B) {
	d := unvalidated(b)
	x := newAdder(b, d, 64, 1)
	defer x.free()
	ok(b, d.Begin(x.cb, 0))
	ok(b, d.End(x.cb))
	b.ReportAllocs()
	for b.Loop() {
		ok(b, x.submit())
	}
}
