package result

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"math"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/perf/benchfmt"
)

func example() (Host, []Record) {
	h := Host{Commit: "abc123", CPU: "A | CPU", Threads: 2, Time: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	r := &TestResult{
		Common: Common{
			Format: Format, Kind: "test", Backends: "vulkan",
			Device: "vulkan:1", TestTime: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), DeviceName: "Some GPU", DeviceKind: "discrete GPU", Driver: "Mesa 25", GPUInfo: "Some GPU",
		},
		ModelType: "gpt2", ModelSize: 497_759_232, ModelNParams: 124_439_808,
		DType: "f32", TypeK: "f32", TypeV: "f32", NPrompt: 512, NDepth: 256, Lowered: []string{"linear+gelu_tanh"}, FLOP: 50e9, Bytes: 25e9, SamplesNS: []int64{1e9, 1e9}, SamplesShare: []float64{0.58, 0.6},
		Yardstick: "matrix products", YardstickUnit: "FLOP/s", AvgYardstick: 207e9, StddevYardstick: 1e9,
		LoadNS: 1_500_000, RecordNS: 2_000_000, FirstNS: 5_000_000, PeakRSS: 3 << 20, DeviceMemory: 7 << 20,
	}
	r.Summarise(Ceilings{Copy: "copy of much", AvgCopy: 100e9, StddevCopy: 10e9, Peak: "linear of much", AvgPeak: 200e9, StddevPeak: 0, CeilingSamples: 2})
	list := []Record{r}
	h.Mark(list)
	return h, list
}

func TestWriteMarkdown(t *testing.T) {
	_, results := example()
	var out bytes.Buffer
	if err := Write(&out, "md", results); err != nil {
		t.Fatal(err)
	}
	spaces := regexp.MustCompile(` +`)
	text := spaces.ReplaceAllString(out.String(), " ")
	for _, want := range []string{
		"- caldera abc123, go", ", 2026-01-02\n",
		"- host: A | CPU, 2 threads\n",
		"- vulkan:1: Some GPU (discrete GPU), Mesa 25\n",
		" - copies 100 ± 10 GB/s, both ways counted (copy of much)\n", " - computes 200 ± 0 GFLOP/s at most (linear of much)\n",
		"- lowered: linear+gelu_tanh on vulkan:1 with f32: the backend lacks it, so simpler ops ran\n",
		"| gpt2 | vulkan:1 | f32 | pp512 @ d256 | 25.0 ± 0.0 | 25.0 ± 2.5 % | 50.0 ± 0.0 | 25.0 ± 0.0 % |\n",
		"| model | size | params | device | dtype | test | t/s | share | of |\n|-------|",
		"| gpt2 | 474.70 MiB | 124.44 M | vulkan:1 | f32 | pp512 @ d256 | 512.00 ± 0.00 | 59.0 ± 1.4 % | matrix products, 207.0 ± 1.0 GFLOP/s |\n",
		"| gpt2 | vulkan:1 | f32 | pp512 @ d256 | 1.5 ms | 2.0 ms | 3.0 ms | 3.00 MiB | 7.00 MiB |\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("missing: %q in\n%s", want, text)
		}
	}
}

func TestWriteJSON(t *testing.T) {
	h, results := example()
	var out bytes.Buffer
	if err := Write(&out, "json", results); err != nil {
		t.Fatal(err)
	}
	var list []map[string]any
	if err := json.Unmarshal(out.Bytes(), &list); err != nil || len(list) != 1 {
		t.Fatalf("%d objects, %v", len(list), err)
	}
	for name, want := range map[string]any{
		"build_commit": h.Commit, "cpu_info": h.CPU, "gpu_info": "Some GPU", "backends": "vulkan", "model_type": "gpt2",
		"model_size": 497759232.0, "model_n_params": 124439808.0, "n_threads": 2.0, "n_prompt": 512.0, "n_gen": 0.0,
		"n_depth": 256.0, "caldera_format": 7.0, "kind": "test", "incomplete": false, "test_time": "2026-01-02T03:04:05Z", "avg_ns": 1e9, "stddev_ns": 0.0, "avg_ts": 512.0, "stddev_ts": 0.0,
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

func TestWriteCSV(t *testing.T) {
	_, results := example()
	results[0].(*TestResult).Lowered = []string{"linear+residual", "linear+gelu_tanh"}
	results[0].(*TestResult).ModelType = `gpt, "two"`
	var out bytes.Buffer
	if err := Write(&out, "csv", results); err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(&out).ReadAll()
	if err != nil || len(rows) != 2 {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	cells := map[string]string{}
	for i, name := range rows[0] {
		cells[name] = rows[1][i]
	}
	for name, want := range map[string]string{
		"build_commit": "abc123", "cpu_info": "A | CPU", "model_type": `gpt, "two"`, "n_prompt": "512", "n_depth": "256",
		"avg_ns": "1000000000", "avg_ts": "512", "test_time": "2026-01-02T03:04:05Z", "lowered": "linear+residual linear+gelu_tanh",
	} {
		if cells[name] != want {
			t.Errorf("%s: got %q, want %q", name, cells[name], want)
		}
	}
	if _, ok := cells["samples_ns"]; ok {
		t.Error("samples are among the columns")
	}
}

// TestGoBench reads the lines as benchstat does.
func TestGoBench(t *testing.T) {
	_, results := example()
	r := results[0].(*TestResult)
	r.ModelType, r.SamplesNS = "my model/v2", []int64{1e9, 2e9}
	results = append(results,
		&OpResult{Common: r.Common, ModelType: "gpt2", Op: "linear+gelu_tanh", Shape: "1x2x3", DType: "f16", SamplesNS: []float64{1500.5}, FLOP: 12, Bytes: 3001},
		&OverheadResult{Common: r.Common, Overhead: "barrier", SamplesNS: []float64{-2.5}},
		&StartupResult{Common: r.Common, ModelType: "gpt2", DType: "f32", Caches: "cold", SamplesNS: []int64{7e6}, SamplesCompileNS: []int64{2e6}},
		beside(r.Common),
	)
	var out bytes.Buffer
	if err := Write(&out, "bench", results); err != nil {
		t.Fatal(err)
	}
	type line struct {
		name   string
		values map[string]float64
	}
	var got []line
	units := 0
	reader := benchfmt.NewReader(bytes.NewReader(out.Bytes()), "out")
	for reader.Scan() {
		switch x := reader.Result().(type) {
		case *benchfmt.Result:
			l := line{x.Name.String(), map[string]float64{}}
			for _, v := range x.Values {
				if v.OrigUnit != "" {
					v.Value, v.Unit = v.OrigValue, v.OrigUnit
				}
				l.values[v.Unit] = v.Value
			}
			got = append(got, l)
			if x.GetConfig("cpu") != "A | CPU" || x.GetConfig("pkg") != "caldera" || x.GetConfig("goos") == "" || x.Iters != 1 {
				t.Errorf("%s: cpu %q, pkg %q, %d iterations", l.name, x.GetConfig("cpu"), x.GetConfig("pkg"), x.Iters)
			}
		case *benchfmt.UnitMetadata:
			units++
		case *benchfmt.SyntaxError:
			t.Error(x)
		}
	}
	want := []line{
		{"PP512/model=my_model_v2/device=vulkan:1/dtype=f32/depth=256-2", map[string]float64{"ns/op": 1e9, "t/s": 512}},
		{"PP512/model=my_model_v2/device=vulkan:1/dtype=f32/depth=256-2", map[string]float64{"ns/op": 2e9, "t/s": 256}},
		{"LinearGeluTanh/model=gpt2/shape=1x2x3/device=vulkan:1/dtype=f16-2", map[string]float64{"ns/op": 1500.5, "GB/s": 2, "GFLOP/s": 12 / 1500.5}},
		{"Overhead/of=barrier/device=vulkan:1-2", map[string]float64{"ns/op": -2.5}},
		{"FirstToken/model=gpt2/device=vulkan:1/dtype=f32/caches=cold-2", map[string]float64{"ns/op": 7e6, "compile-ns": 2e6}},
		{"PeerTG4/model=gpt2/device=vulkan:1/dtype=f32/peer=pytorch/threads=2-2", map[string]float64{"ns/op": 12e6, "t/s": 4 / 12e-3, "ratio": math.Sqrt(3)}},
		{"PeerTG4/model=gpt2/device=vulkan:1/dtype=f32/peer=pytorch/threads=2-2", map[string]float64{"ns/op": 20e6, "t/s": 200, "ratio": math.Sqrt(3)}},
	}
	if len(got) != len(want) || units != 3 {
		t.Fatalf("%d lines and %d units, expected %d and 3:\n%s", len(got), units, len(want), out.String())
	}
	for i, w := range want {
		if got[i].name != w.name {
			t.Errorf("line %d: got %s, want %s", i, got[i].name, w.name)
		}
		for unit, v := range w.values {
			if !closeTo(got[i].values[unit]/v, 1) {
				t.Errorf("%s: got %v %s, want %v", w.name, got[i].values[unit], unit, v)
			}
		}
	}
}
