package result

import (
	"cmp"
	"fmt"
	"strings"
)

// StartupResult is how long a new process takes from its start to the first
// token that it makes of a short prompt. Times are those of all repetitions.
type StartupResult struct {
	Common
	ModelType    string  `json:"model_type"`
	ModelNParams int64   `json:"model_n_params"`
	DType        string  `json:"dtype"`
	NPrompt      int     `json:"n_prompt"`
	Caches       string  `json:"caches"` // "cold": there are no compiled pipelines on disk; "warm": a process before left its own
	AvgNS        int64   `json:"avg_ns"` // to the first token
	StddevNS     int64   `json:"stddev_ns"`
	SamplesNS    []int64 `json:"samples_ns"`

	// How much longer the first prompt takes than the same one again in a new
	// session of the same process: compiling, as far as it was not done while the model was
	// loaded, and memory touched first.
	AvgCompileNS     int64   `json:"avg_compile_ns"`
	StddevCompileNS  int64   `json:"stddev_compile_ns"`
	SamplesCompileNS []int64 `json:"samples_compile_ns"`

	OpenNS int64 `json:"open_ns"` // finding and opening the device, on average
	LoadNS int64 `json:"load_ns"` // weights, on average; making them where they are random
}

// Summarise fills in what follows from the samples.
func (r *StartupResult) Summarise() {
	total, compile := r.time(), r.compile()
	r.AvgNS, r.StddevNS = int64(total.Mean), int64(total.SD)
	r.AvgCompileNS, r.StddevCompileNS = int64(compile.Mean), int64(compile.SD)
}

func (r *StartupResult) time() Spread    { return spreadOfNS(r.SamplesNS) }
func (r *StartupResult) compile() Spread { return spreadOfNS(r.SamplesCompileNS) }

func (r *StartupResult) key() string {
	return fmt.Sprintf("%s first token of %d, %s, %s", r.ModelType, r.NPrompt, r.Caches, r.DType)
}

func (r *StartupResult) figures() []figure {
	return []figure{{Spread: r.time().times(1e-6), unit: "ms", lower: true}}
}

func (r *StartupResult) size() string { return repetitions(len(r.SamplesNS)) }

func (r *StartupResult) work() []quantity {
	return []quantity{{"parameters", float64(r.ModelNParams)}}
}

func (r *StartupResult) check() error {
	err := cmp.Or(plausible(r, "avg_compile_ns", "samples_compile_ns"), positive("samples_ns", r.SamplesNS))
	if err != nil {
		return err
	}
	if len(r.SamplesCompileNS) != len(r.SamplesNS) {
		return fmt.Errorf("samples_compile_ns has %d samples, expected %d as samples_ns", len(r.SamplesCompileNS), len(r.SamplesNS))
	}
	total, compile := r.time(), r.compile()
	return cmp.Or(
		near("avg_ns", float64(r.AvgNS), float64(int64(total.Mean)), "stddev_ns", float64(r.StddevNS), float64(int64(total.SD))),
		near("avg_compile_ns", float64(r.AvgCompileNS), float64(int64(compile.Mean)), "stddev_compile_ns", float64(r.StddevCompileNS), float64(int64(compile.SD))),
	)
}

func (r *StartupResult) goBench() goBench {
	b := goBench{name: "FirstToken", special: []metric{{"compile-ns", r.compile().Mean}}}
	b.labels = append([][2]string{{"model", r.ModelType}}, r.deviceLabels([2]string{"dtype", r.DType}, [2]string{"caches", r.Caches})...)
	for _, ns := range r.SamplesNS {
		b.ns = append(b.ns, float64(ns))
	}
	return b
}

func startupTables(s *strings.Builder, records []Record) {
	t := table{{"model", "device", "dtype", "caches", "first token", "of it compiling", "opening", "loading"}}
	for _, x := range records {
		r := x.(*StartupResult)
		t = append(t, []string{
			r.ModelType, r.Device, r.DType, r.Caches, r.time().times(1e-6).format(1) + " ms", r.compile().times(1e-6).format(1) + " ms",
			milliseconds(r.OpenNS), milliseconds(r.LoadNS),
		})
	}
	t.write(s)
	fmt.Fprintf(s, `
First token: from the start of a new process until it has read a prompt of %d tokens and knows the next. Cold: no
compiled pipelines on disk, neither Caldera's nor the driver's; the program and the model may be in memory. Compiling:
how much longer the first prompt took than the same one again in a new session of that process. What was compiled while
the model was loaded is not in it.
`, records[0].(*StartupResult).NPrompt)
}
