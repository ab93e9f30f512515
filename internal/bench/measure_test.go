package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"math"
	"regexp"
	"strings"
	"testing"
	"time"

	"caldera/backend"
	_ "caldera/backend/cpu"
	"caldera/gpt"
)

var tiny = gpt.Config{Layers: 2, Heads: 2, Width: 16, Inner: 64, Context: 32, Vocab: 50, Epsilon: 1e-5, TieEmbeddings: true}

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
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

func TestMeasure(t *testing.T) {
	d := openCPU(t)
	steps := 0
	o := Options{Repetitions: 3, DType: backend.F16, Progress: func(_ string, done, total int) {
		if done != steps || total != 9 {
			t.Errorf("progress: %d of %d, expected %d of 9", done, total, steps)
		}
		steps++
	}}
	results, err := d.Measure(t.Context(), Random("tiny", tiny), []Test{{Prompt: 20}, {Gen: 5}}, o)
	if err != nil {
		t.Fatal(err)
	}
	if steps != 9 || len(results) != 2 {
		t.Fatalf("%d steps and %d results, expected 9 and 2", steps, len(results))
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
		if r.AvgShare <= 0 || r.AvgYardstick <= 0 {
			t.Errorf("%s: share %v of %v", name, r.AvgShare, r.AvgYardstick)
		}
		// Matrices as f16; vectors, which are 2·(4·16 + 3·16+16+64+16) + 2·16 = 448 numbers, as f32.
		matrices := tiny.Parameters() - 448
		if want := int64(2*matrices + 4*448); r.ModelSize != want || r.DType != "f16" || r.TypeK != "f32" {
			t.Errorf("%s: %d bytes of %s, keys %s; expected %d of f16, f32", name, r.ModelSize, r.DType, r.TypeK, want)
		}
		if r.Device != "cpu:0" || r.BLAS == "" || r.GPUInfo != "" {
			t.Errorf("%s: device %q, BLAS %q, GPU %q", name, r.Device, r.BLAS, r.GPUInfo)
		}
	}
}

// slow is a device on which every product takes at least 5 ms, by itself.
type slow struct{ backend.Backend }

func (s slow) Unwrap() backend.Backend { return s.Backend }

func (s slow) Run(ops ...backend.Op) error {
	for _, op := range ops {
		switch op.(type) {
		case *backend.Linear, *backend.LinearAdd, *backend.LinearGELU:
			time.Sleep(5 * time.Millisecond)
		}
	}
	return s.Backend.Run(ops...)
}

// TestShare holds the yardstick to a device on which the answer is known: where
// nothing but products takes time, a prompt's share of them is all.
func TestShare(t *testing.T) {
	d := openCPU(t)
	d.b.Backend = slow{d.b.Backend}
	results, err := d.Measure(t.Context(), Random("tiny", tiny), []Test{{Prompt: 32}},
		Options{Repetitions: 3, Progress: func(string, int, int) {}})
	if err != nil {
		t.Fatal(err)
	}
	if s := results[0].AvgShare; s < 0.7 || s > 1.2 {
		t.Errorf("share of matrix products: got %v, expected about 1", s)
	}
}

func TestMeasureErrors(t *testing.T) {
	d := openCPU(t)
	quiet := Options{Repetitions: 1, Progress: func(string, int, int) {}}
	t.Run("interrupted", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		o := quiet
		o.Progress = func(what string, _, _ int) {
			if strings.HasPrefix(what, "tg") {
				cancel()
			}
		}
		results, err := d.Measure(ctx, Random("tiny", tiny), []Test{{Prompt: 4}, {Gen: 4}}, o)
		if !errors.Is(err, context.Canceled) || len(results) != 1 {
			t.Errorf("got %d results and %v, expected the one before and context.Canceled", len(results), err)
		}
	})
	t.Run("too little memory", func(t *testing.T) {
		huge := tiny
		huge.Width, huge.Inner, huge.Layers = 1<<14, 1<<16, 256 // 3.3 TB of weights
		_, err := d.Measure(t.Context(), Random("huge", huge), []Test{{Prompt: 4}}, quiet)
		if !errors.Is(err, backend.ErrOutOfMemory) || !strings.Contains(err.Error(), "smaller shape") {
			t.Errorf("got %v, expected too little memory and what to do", err)
		}
	})
}

func TestSummarise(t *testing.T) {
	r := Result{SamplesNS: []int64{1e9, 2e9, 4e9}, SamplesShare: []float64{0.5, 0.5, 0.5}}
	r.summarise(8)
	// Tokens a second are 8, 4 and 2: mean 14/3, variance (8²+4²+2² − 3·(14/3)²)/2 = 28/3.
	if math.Abs(r.AvgTS-14.0/3) > 1e-12 || math.Abs(r.StddevTS-math.Sqrt(28.0/3)) > 1e-12 {
		t.Errorf("got %v ± %v tokens a second, want %v ± %v", r.AvgTS, r.StddevTS, 14.0/3, math.Sqrt(28.0/3))
	}
	if r.AvgNS != 2333333333 || r.AvgShare != 0.5 || r.StddevShare != 0 {
		t.Errorf("got %d ns, share %v ± %v", r.AvgNS, r.AvgShare, r.StddevShare)
	}
	one := Result{SamplesNS: []int64{5}, SamplesShare: []float64{1}}
	one.summarise(1)
	if one.StddevNS != 0 || one.StddevTS != 0 || one.StddevShare != 0 {
		t.Errorf("one sample has deviations %v, %v, %v, expected 0", one.StddevNS, one.StddevTS, one.StddevShare)
	}
}

func example() (Host, []Result) {
	h := Host{Commit: "abc123", CPU: "A | CPU", Threads: 2, Time: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	r := []Result{{
		ModelType: "gpt2", ModelSize: 497_759_232, ModelNParams: 124_439_808, Backends: "vulkan",
		Device: "vulkan:1", DeviceName: "Some GPU", DeviceKind: "discrete GPU", Driver: "Mesa 25", GPUInfo: "Some GPU",
		DType: "f32", NPrompt: 512, SamplesNS: []int64{1e9, 1e9}, SamplesShare: []float64{0.58, 0.6},
		Yardstick: "matrix products", YardstickUnit: UnitFLOPs, AvgYardstick: 207e9, StddevYardstick: 1e9,
		LoadNS: 1_500_000, RecordNS: 2_000_000, FirstNS: 5_000_000, PeakRSS: 3 << 20,
	}}
	r[0].summarise(512)
	h.Mark(r)
	return h, r
}

func TestWriteMarkdown(t *testing.T) {
	h, results := example()
	var out bytes.Buffer
	if err := WriteMarkdown(&out, h, results); err != nil {
		t.Fatal(err)
	}
	spaces := regexp.MustCompile(` +`)
	text := spaces.ReplaceAllString(out.String(), " ")
	for _, want := range []string{
		"- caldera abc123, go", ", 2026-01-02\n",
		"- host: A | CPU, 2 threads\n",
		"- vulkan:1: Some GPU (discrete GPU), Mesa 25\n",
		"| model | size | params | device | dtype | test | t/s | share | of |\n|-------|",
		"| gpt2 | 474.70 MiB | 124.44 M | vulkan:1 | f32 | pp512 | 512.00 ± 0.00 | 59.0 ± 1.4 % | matrix products, 207.0 ± 1.0 GFLOP/s |\n",
		"| gpt2 | vulkan:1 | f32 | pp512 | 1.5 ms | 2.0 ms | 3.0 ms | 3.00 MiB |\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("missing: %q in\n%s", want, text)
		}
	}
}

func TestWriteJSON(t *testing.T) {
	h, results := example()
	var out bytes.Buffer
	if err := WriteJSON(&out, results); err != nil {
		t.Fatal(err)
	}
	var list []map[string]any
	if err := json.Unmarshal(out.Bytes(), &list); err != nil || len(list) != 1 {
		t.Fatalf("%d objects, %v", len(list), err)
	}
	for name, want := range map[string]any{
		"build_commit": h.Commit, "cpu_info": h.CPU, "gpu_info": "Some GPU", "backends": "vulkan", "model_type": "gpt2",
		"model_size": 497759232.0, "model_n_params": 124439808.0, "n_threads": 2.0, "n_prompt": 512.0, "n_gen": 0.0,
		"n_depth": 0.0, "test_time": "0001-01-01T00:00:00Z", "avg_ns": 1e9, "stddev_ns": 0.0, "avg_ts": 512.0, "stddev_ts": 0.0,
		"dtype": "f32", "device": "vulkan:1", "driver": "Mesa 25", "blas": "", "avg_yardstick": 207e9,
	} {
		if got, ok := list[0][name]; !ok || got != want {
			t.Errorf("%s: got %v, want %v", name, got, want)
		}
	}
	if got := list[0]["samples_ts"].([]any); len(got) != 2 || got[0] != 512.0 {
		t.Errorf("samples_ts: %v", got)
	}
}
