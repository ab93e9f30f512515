package bench

import (
	"encoding/json"
	"io"
	"runtime"
	"strings"
	"time"

	"gonum.org/v1/gonum/stat"

	"caldera/backend"
	"caldera/gpt"
)

// Result is a test of a model on a device. Fields up to SamplesTS have the
// names and meanings of llama-bench's JSON; the others are Caldera's.
type Result struct {
	BuildCommit   string    `json:"build_commit"`
	CPUInfo       string    `json:"cpu_info"`
	GPUInfo       string    `json:"gpu_info"` // empty on the CPU backend
	Backends      string    `json:"backends"`
	ModelFilename string    `json:"model_filename"` // empty for one that is not from a file
	ModelType     string    `json:"model_type"`
	ModelSize     int64     `json:"model_size"` // bytes of the weights, in memory
	ModelNParams  int64     `json:"model_n_params"`
	NThreads      int       `json:"n_threads"`
	TypeK         string    `json:"type_k"` // of keys and values in the cache
	TypeV         string    `json:"type_v"`
	NPrompt       int       `json:"n_prompt"`
	NGen          int       `json:"n_gen"`
	NDepth        int       `json:"n_depth"`   // tokens in the context before the test
	TestTime      time.Time `json:"test_time"` // when it began
	AvgNS         int64     `json:"avg_ns"`    // of a repetition
	StddevNS      int64     `json:"stddev_ns"`
	AvgTS         float64   `json:"avg_ts"` // tokens a second
	StddevTS      float64   `json:"stddev_ts"`
	SamplesNS     []int64   `json:"samples_ns"`
	SamplesTS     []float64 `json:"samples_ts"`

	DType      string `json:"dtype"`  // of matrices
	Device     string `json:"device"` // as --device takes it: "vulkan:0"
	DeviceName string `json:"device_name"`
	DeviceKind string `json:"device_kind"`
	Driver     string `json:"driver"` // or library, with its version
	BLAS       string `json:"blas"`   // empty where none is used
	GoVersion  string `json:"go_version"`
	OS         string `json:"os"`

	LoadNS   int64 `json:"load_ns"`        // until weights are on the device
	RecordNS int64 `json:"record_ns"`      // making programs: compiling shaders, recording commands
	FirstNS  int64 `json:"first_ns"`       // the warm-up, RecordNS included
	PeakRSS  int64 `json:"peak_rss_bytes"` // of the process until then, all that ran before included; 0 if unknown

	FLOP  float64 `json:"flop"`  // arithmetic of a repetition, by Count
	Bytes float64 `json:"bytes"` // read by a repetition, by Count

	Yardstick       string    `json:"yardstick"`      // what the share is of
	YardstickUnit   string    `json:"yardstick_unit"` // UnitFLOPs or UnitBytes
	AvgYardstick    float64   `json:"avg_yardstick"`
	StddevYardstick float64   `json:"stddev_yardstick"`
	AvgShare        float64   `json:"avg_share"` // 1 where a repetition takes as long as the yardstick's work
	StddevShare     float64   `json:"stddev_share"`
	SamplesShare    []float64 `json:"samples_share"`
}

// Test is what was measured.
func (r *Result) Test() Test { return Test{Prompt: r.NPrompt, Gen: r.NGen} }

func (r *Result) model(from Model, m *gpt.Model) {
	r.ModelType, r.ModelFilename = from.Name, from.File
	r.ModelSize, r.ModelNParams = bytesOf(m), int64(m.Parameters())
	r.DType = m.Tokens.DType.String()
	r.TypeK, r.TypeV = backend.F32.String(), backend.F32.String()
}

func (r *Result) device(d *Device) {
	r.Backends, r.Device, r.DeviceName = d.Backend, d.Spec(), d.Name
	r.DeviceKind, r.Driver = d.Kind.String(), d.Driver
	if d.Kind == backend.Host {
		r.BLAS = d.Driver
	} else {
		r.GPUInfo = d.Name
	}
}

// summarise fills in what follows from the samples of a test of n tokens.
func (r *Result) summarise(n int) {
	ns := make([]float64, len(r.SamplesNS))
	for i, s := range r.SamplesNS {
		ns[i] = float64(s)
		r.SamplesTS = append(r.SamplesTS, float64(n)/(float64(s)*1e-9))
	}
	mean, sd := meanStdDev(ns)
	r.AvgNS, r.StddevNS = int64(mean), int64(sd)
	r.AvgTS, r.StddevTS = meanStdDev(r.SamplesTS)
	r.AvgShare, r.StddevShare = meanStdDev(r.SamplesShare)
}

// meanStdDev is the mean and the sample standard deviation, which is 0 for a
// single sample, as llama-bench has it.
func meanStdDev(x []float64) (mean, sd float64) {
	if len(x) == 1 {
		return x[0], 0
	}
	return stat.MeanStdDev(x, nil)
}

// Host is what the results of one run of a command have in common.
type Host struct {
	Commit  string // of Caldera; empty if unknown
	CPU     string
	Threads int
	Time    time.Time
}

// NewHost describes this process. The processor's name is that which the CPU
// backend tells.
func NewHost(commit string) Host {
	h := Host{Commit: commit, CPU: runtime.GOARCH, Threads: runtime.GOMAXPROCS(0), Time: time.Now().UTC()}
	if devices, err := backend.Devices("cpu"); err == nil {
		h.CPU = strings.Join(strings.Fields(devices[0].Name), " ")
	}
	return h
}

// Mark adds what the host is to results.
func (h Host) Mark(results []Result) {
	for i := range results {
		r := &results[i]
		r.BuildCommit, r.CPUInfo, r.NThreads = h.Commit, h.CPU, h.Threads
		r.GoVersion, r.OS = runtime.Version(), platform()
	}
}

func platform() string { return runtime.GOOS + "/" + runtime.GOARCH }

// WriteJSON writes results as llama-bench does: an array of one object a test.
func WriteJSON(w io.Writer, results []Result) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(results)
}
