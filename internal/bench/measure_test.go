package bench

import (
	"context"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"caldera/backend"
	_ "caldera/backend/cpu"
	"caldera/gpt/model"
)

var tiny = model.Config{Family: "gpt2", Layers: 2, Heads: 2, Width: 16, Inner: 64, Context: 32, Vocab: 50, Epsilon: 1e-5, TieEmbeddings: true}

func openCPU(t *testing.T) *Device {
	t.Helper()
	found, _, err := Devices([]string{"cpu"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	d, err := Open(found[0])
	if err != nil {
		t.Fatal(err)
	}
	d.sizes = sizes{read: [2]int{1024, 1024}, copy: 1 << 20, leastCopy: 1 << 20, squares: []int{64, 128}}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

func TestMeasure(t *testing.T) {
	d := openCPU(t)
	var steps []string
	o := Options{Repetitions: 3, DType: backend.F16, Cache: backend.F16, Ceilings: true, Progress: func(what string, done, total int) {
		if done != len(steps) || total != 11 {
			t.Errorf("progress: %d of %d, expected %d of 11", done, total, len(steps))
		}
		steps = append(steps, what)
	}}
	results, err := d.Measure(t.Context(), Random("tiny", tiny), []Test{{Prompt: 20}, {Gen: 5, Depth: 7}}, o)
	if err != nil {
		t.Fatal(err)
	}
	want := "loading|pp20 warm-up|tg5 @ d7 warm-up|copy bandwidth|arithmetic peak|" +
		"pp20 1/3|tg5 @ d7 1/3|pp20 2/3|tg5 @ d7 2/3|pp20 3/3|tg5 @ d7 3/3" // in turns
	if got := strings.Join(steps, "|"); got != want || len(results) != 2 {
		t.Fatalf("%d results of\n%s, expected 2 of\n%s", len(results), got, want)
	}
	if results[0].YardstickUnit != UnitFLOPs || results[1].YardstickUnit != UnitBytes {
		t.Errorf("yardsticks in %s and %s", results[0].YardstickUnit, results[1].YardstickUnit)
	}
	for _, r := range results {
		name := r.Test().String()
		if len(r.SamplesNS) != 3 || len(r.SamplesTS) != 3 || len(r.SamplesShare) != 3 {
			t.Errorf("%s: %d, %d and %d samples, expected 3 of each", name, len(r.SamplesNS), len(r.SamplesTS), len(r.SamplesShare))
		}
		for i, ns := range r.SamplesNS {
			if got := r.SamplesTS[i] * float64(ns) * 1e-9; math.Abs(got-float64(r.Test().Tokens())) > 1e-6 {
				t.Errorf("%s: %v tokens a second for %v ns are %v tokens", name, r.SamplesTS[i], ns, got)
			}
		}
		if r.RecordNS <= 0 || r.FirstNS < r.RecordNS || r.LoadNS <= 0 || r.PeakRSS < 1<<20 {
			t.Errorf("%s: record %d ns, first run %d ns, load %d ns, peak RSS %d", name, r.RecordNS, r.FirstNS, r.LoadNS, r.PeakRSS)
		}
		if r.AvgShare <= 0 || r.AvgYardstick <= 0 || r.AvgCopyShare <= 0 || r.AvgPeakShare <= 0 {
			t.Errorf("%s: share %v of %v, %v of the copy bandwidth, %v of the peak", name, r.AvgShare, r.AvgYardstick, r.AvgCopyShare, r.AvgPeakShare)
		}
		if len(r.Lowered) > 0 || r.DeviceMemory <= 0 {
			t.Errorf("%s: lowered %v, %d bytes of device memory", name, r.Lowered, r.DeviceMemory)
		}
		if err := reread(r); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		// Matrices as f16; vectors, which are 2·(4·16 + 3·16+16+64+16) + 2·16 = 448 numbers, as f32.
		matrices := tiny.Parameters() - 448
		if want := int64(2*matrices + 4*448); r.ModelSize != want || r.DType != "f16" || r.TypeK != "f16" || r.TypeV != "f16" || r.Incomplete {
			t.Errorf("%s: %d bytes of %s, keys %s; expected %d of f16, f16", name, r.ModelSize, r.DType, r.TypeK, want)
		}
		if r.Device != "cpu:0" || r.BLAS == "" || r.GPUInfo != "" {
			t.Errorf("%s: device %q, BLAS %q, GPU %q", name, r.Device, r.BLAS, r.GPUInfo)
		}
	}
}

// timed is a device on which every product takes 5 ms, one of blocks 1 ms, and one that rounds to
// the precision of f16 itself 2 ms, by a clock that nothing else advances.
type timed struct {
	backend.Backend
	clock *time.Time
}

func (d timed) Unwrap() backend.Backend { return d.Backend }

func (d timed) Supports(op backend.Op) bool {
	l, ok := op.(*backend.Linear)
	return ok && l.Rounded.DType == backend.F32 && !l.Joined() || d.Backend.Supports(op)
}

func (d timed) Run(ops ...backend.Op) error {
	var run []backend.Op
	for _, op := range ops {
		l, product := op.(*backend.Linear)
		switch {
		case !product:
		case l.X.DType.Quantized():
			*d.clock = d.clock.Add(time.Millisecond)
		case !l.Rounded.Absent():
			*d.clock = d.clock.Add(2 * time.Millisecond)
			run = append(run, l.Lower()...)
			continue
		default:
			*d.clock = d.clock.Add(5 * time.Millisecond)
		}
		run = append(run, op)
	}
	return d.Backend.Run(run...)
}

// TestShare holds the yardstick to a device on which the answer is known: where
// nothing but products takes time, a prompt's share of them is all, however these round
// what they read.
func TestShare(t *testing.T) {
	config := tiny
	config.Width, config.Inner = 32, 64
	for _, c := range []struct{ dtype, activations, device backend.DType }{
		{backend.F32, backend.None, backend.Q8_A},
		{backend.F16, backend.None, backend.F16},
		{backend.F16, backend.F32, backend.F16},
		{backend.Q8_0, backend.None, backend.Q8_A},
		{backend.Q8_0, backend.Q8_A, backend.F32},
		{backend.Q8_0, backend.F32, backend.Q8_A},
	} {
		d := openCPU(t)
		clock := time.Unix(0, 0)
		d.b.Backend = rounds{timed{d.b.Backend, &clock}, c.device}
		d.now = func() time.Time { return clock }
		o := quiet(3)
		o.DType, o.Activations = c.dtype, c.activations
		results, err := d.Measure(t.Context(), Random("tiny", config), []Test{{Prompt: 32}}, o)
		if err != nil {
			t.Fatal(err)
		}
		if s := results[0].AvgShare; s < 0.999 || s > 1.001 {
			t.Errorf("%+v: share of matrix products: got %v, expected 1", c, s)
		}
	}
}

func TestMeasureErrors(t *testing.T) {
	d := openCPU(t)
	t.Run("interrupted", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		o := quiet(3)
		o.Progress = func(what string, _, _ int) {
			if what == "tg4 2/3" {
				cancel()
			}
		}
		results, err := d.Measure(ctx, Random("tiny", tiny), []Test{{Prompt: 4}, {Gen: 4}}, o)
		if !errors.Is(err, context.Canceled) || len(results) != 2 {
			t.Fatalf("got %d results and %v, expected those of before and context.Canceled", len(results), err)
		}
		if !results[0].Incomplete || !results[1].Incomplete {
			t.Error("results of fewer repetitions than were asked for are not marked as incomplete")
		}
		if a, b := len(results[0].SamplesTS), len(results[1].SamplesTS); a != 2 || b != 1 {
			t.Errorf("%d and %d samples, expected 2 and 1", a, b)
		}
	})
	t.Run("too little memory", func(t *testing.T) {
		huge := tiny
		huge.Width, huge.Inner, huge.Layers = 1<<14, 1<<16, 256 // 3.3 TB of weights
		_, err := d.Measure(t.Context(), Random("huge", huge), []Test{{Prompt: 4}}, quiet(1))
		if !errors.Is(err, backend.ErrOutOfMemory) || !strings.Contains(err.Error(), "smaller model") {
			t.Errorf("got %v, expected too little memory and what to do", err)
		}
	})
}

// TestCheckpoint names models for people: what is published does not tell where
// a machine keeps its files, unless it was asked so.
func TestCheckpoint(t *testing.T) {
	m, err := Checkpoint(tinyModel)
	if err != nil || m.Name != "gpt2-tiny" || m.File != tinyModel {
		t.Errorf("%q of %q, %v; expected gpt2-tiny of %q", m.Name, m.File, err, tinyModel)
	}
	t.Chdir(tinyModel)
	if m, err = Checkpoint("."); err != nil || m.Name != "gpt2-tiny" || m.File != "." {
		t.Errorf("%q of %q, %v; expected gpt2-tiny of .", m.Name, m.File, err)
	}
}

// TestMeasureDrawn generates on a device that draws tokens: no scores are read, the next step
// is submitted before a token is waited for, and the record says so.
func TestMeasureDrawn(t *testing.T) {
	for _, draws := range []bool{false, true} {
		p := &played{hostRun: 1000, submit: 20000, dispatch: 3000, read: 5000, flops: 1e9, bandwidth: 1e10, draws: draws}
		results, err := playedDevice(p).Measure(t.Context(), Random("tiny", tiny), []Test{{Gen: 4}, {Prompt: 4}, {Gen: 4, Depth: 3}}, quiet(2))
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range results {
			if want := draws && r.NGen > 0; r.DrawnOnDevice != want {
				t.Errorf("%v: drawn_on_device is %v, expected %v", r.Test(), r.DrawnOnDevice, want)
			}
			if err := reread(r); err != nil {
				t.Error(err)
			}
		}
		if want := 2 * 3 * 4; draws && p.fetched != want || !draws && p.fetched != 0 {
			t.Errorf("a device that draws is %v: %d tokens were waited for, expected %d of two tests, run three times", draws, p.fetched, want)
		}
	}
}
