package view

import (
	"context"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"caldera/backend"
	"caldera/backend/calltrace"
	"caldera/backend/null"
	"caldera/gpt/model"
	"caldera/inspect"
)

// TestMemory looks at a text that fills the context of GPT-2 124M, on a device that
// counts memory: beyond the weights and the cache, no view may take more than 256 MB,
// on the device and on the host together.
func TestMemory(t *testing.T) {
	config, err := model.Shape("gpt2")
	if err != nil {
		t.Fatal(err)
	}
	device := &null.Backend{}
	var peak int64 // bytes that were allocated at a time
	b := calltrace.Wrap(device, calltrace.Hooks{After: func(calltrace.Call) {
		used, _, _ := device.Memory()
		peak = max(peak, used)
	}})
	m := model.New(b, config, model.Placement{})
	for _, w := range m.Weights() {
		if *w.Tensor, err = backend.New(b, backend.F32, w.Shape...); err != nil {
			t.Fatal(err)
		}
	}
	defer m.Close()
	cache := int64(config.Layers * config.Context * config.CacheWidth() * 4)
	weights, _, _ := device.Memory()
	ids := strings.TrimSuffix(strings.Repeat("11,", config.Context), ",")
	defer debug.SetGCPercent(debug.SetGCPercent(20)) // so that little on the heap is garbage
	for _, address := range []string{
		"next?tokens=" + ids, "attention?tokens=" + ids, "attention?weighted=1&layer=5&head=3&tokens=" + ids, "lens?show=lens&tokens=" + ids,
		"lens?show=attribution&tokens=" + ids, "lens?show=ablation&off=3.head.5&tokens=" + ids, "mlp?tokens=" + ids, "mlp?layer=3&neuron=5&tokens=" + ids,
		"lens?show=ablation&each=heads&tokens=11,11", // of many texts at once
		"context?ids=1&at=-1&at=-1&first=" + ids + "&second=" + ids, "forget?predict=2&tokens=" + ids,
	} {
		name, _, _ := strings.Cut(address, "tokens=")
		t.Run(name[:min(len(name), 40)], func(t *testing.T) {
			runtime.GC()
			var before runtime.MemStats
			runtime.ReadMemStats(&before)
			peak = 0
			heap, stop := watchHeap()
			in := inspect.New(m, nil, inspect.Options{})
			defer in.Close()
			v, p, err := parse(t, address)
			if err != nil {
				t.Fatal(err)
			}
			_, err = Ask(context.Background(), in, v, p, Options{})
			stop()
			if err != nil {
				t.Fatal(err)
			}
			device, host := peak-weights-cache, int64(*heap)-int64(before.HeapAlloc)
			t.Logf("%d MB on the device, %d MB on the host", device>>20, host>>20)
			if total := device + host; total > 256e6 {
				t.Errorf("%.0f MB beyond weights and cache: %.0f on the device, %.0f on the host; expected at most 256", float64(total)/1e6, float64(device)/1e6, float64(host)/1e6)
			}
		})
	}
}

// watchHeap measures the largest size of the heap until stop is called.
func watchHeap() (most *uint64, stop func()) {
	most = new(uint64)
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			var s runtime.MemStats
			runtime.ReadMemStats(&s)
			*most = max(*most, s.HeapAlloc)
			select {
			case <-done:
				return
			case <-time.After(2 * time.Millisecond):
			}
		}
	}()
	return most, func() { close(done); <-ended }
}
