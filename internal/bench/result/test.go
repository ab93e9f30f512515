package result

import (
	"cmp"
	"fmt"
	"math"
)

// Test is one thing to measure on a model. Prompt or Gen is 0.
type Test struct {
	Prompt int // tokens fed at once
	Gen    int // tokens fed one after another: those that the device draws, or if it draws none any, with scores read back after each
	Depth  int // tokens in the context before that

	// Sequences is how many a batch runs together, each of which has all of the above. Then
	// the tokens after the first are those that are drawn, the likeliest ones. 0 is one
	// sequence, in a session.
	Sequences int
}

// MaxSequences is the most that a batch has.
const MaxSequences = 512

// String is the name that llama-bench gives the test: "pp512", "tg128 @ d256". A batch adds
// how many sequences it has: "tg128 b8".
func (t Test) String() string {
	name := fmt.Sprintf("tg%d", t.Gen)
	if t.Prompt > 0 {
		name = fmt.Sprintf("pp%d", t.Prompt)
	}
	if t.Sequences > 0 {
		name += fmt.Sprintf(" b%d", t.Sequences)
	}
	if t.Depth > 0 {
		name += fmt.Sprintf(" @ d%d", t.Depth)
	}
	return name
}

// Tokens is the number of tokens that a repetition is timed over, of all sequences.
func (t Test) Tokens() int { return (t.Prompt + t.Gen) * max(1, t.Sequences) }

// Positions is how many tokens a sequence has in the end.
func (t Test) Positions() int { return t.Depth + t.Prompt + t.Gen }

// TestResult is a test of a model on a device. Fields up to SamplesTS have the
// names and meanings of llama-bench's JSON; the others are Caldera's.
type TestResult struct {
	Common
	ModelFilename string    `json:"model_filename"` // empty for one that is not from a file
	ModelType     string    `json:"model_type"`
	ModelSize     int64     `json:"model_size"` // bytes of the weights, in memory
	ModelNParams  int64     `json:"model_n_params"`
	TypeK         string    `json:"type_k"` // of keys and values in the cache
	TypeV         string    `json:"type_v"`
	NPrompt       int       `json:"n_prompt"`
	NGen          int       `json:"n_gen"`
	NDepth        int       `json:"n_depth"` // tokens in the context before the test
	AvgNS         int64     `json:"avg_ns"`  // of a repetition
	StddevNS      int64     `json:"stddev_ns"`
	AvgTS         float64   `json:"avg_ts"` // tokens a second
	StddevTS      float64   `json:"stddev_ts"`
	SamplesNS     []int64   `json:"samples_ns"`
	SamplesTS     []float64 `json:"samples_ts"`

	// Generation read the tokens that the device drew, the likeliest ones, a step ahead of the host.
	DrawnOnDevice bool `json:"drawn_on_device" since:"6"`

	DType   string   `json:"dtype"`   // of matrices
	Lowered []string `json:"lowered"` // ops that the backend lacks, for which simpler ones ran

	LoadNS       int64 `json:"load_ns"`             // until weights are on the device
	RecordNS     int64 `json:"record_ns"`           // making programs: compiling shaders, recording commands
	FirstNS      int64 `json:"first_ns"`            // the warm-up, RecordNS and filling the context included
	PeakRSS      int64 `json:"peak_rss_bytes"`      // of the process from loading to then; 0 if unknown
	DeviceMemory int64 `json:"device_memory_bytes"` // that the backend held then; 0 if unknown

	FLOP  float64 `json:"flop"`  // arithmetic of a repetition
	Bytes float64 `json:"bytes"` // read by a repetition

	Yardstick       string    `json:"yardstick"`      // what the share is of
	YardstickUnit   string    `json:"yardstick_unit"` // "FLOP/s" or "B/s"
	AvgYardstick    float64   `json:"avg_yardstick"`
	StddevYardstick float64   `json:"stddev_yardstick"`
	AvgShare        float64   `json:"avg_share"` // 1 where a repetition takes as long as the yardstick's work
	StddevShare     float64   `json:"stddev_share"`
	SamplesShare    []float64 `json:"samples_share"`

	Ceilings
	Shares

	Batched `since:"5"`
}

// Test is what was measured.
func (r *TestResult) Test() Test {
	return Test{Prompt: r.NPrompt, Gen: r.NGen, Depth: r.NDepth, Sequences: r.NSequences}
}

// speed is tokens a second, seconds those of a repetition.
func (r *TestResult) speed() Spread   { return Spread{r.AvgTS, r.StddevTS, len(r.SamplesTS)} }
func (r *TestResult) seconds() Spread { return spreadOfNS(r.SamplesNS).times(1e-9) }

func spreadOfNS(ns []int64) Spread {
	samples := make([]float64, len(ns))
	for i, n := range ns {
		samples[i] = float64(n)
	}
	return SpreadOf(samples)
}

// Summarise fills in what follows from the samples.
func (r *TestResult) Summarise(c Ceilings) {
	r.SamplesTS = nil
	for _, ns := range r.SamplesNS {
		r.SamplesTS = append(r.SamplesTS, float64(r.Test().Tokens())/(float64(ns)*1e-9))
	}
	ns := spreadOfNS(r.SamplesNS)
	r.AvgNS, r.StddevNS = int64(ns.Mean), int64(ns.SD)
	r.AvgTS, r.StddevTS = meanStdDev(r.SamplesTS)
	r.Batched.summarise(r.speed())
	r.AvgShare, r.StddevShare = meanStdDev(r.SamplesShare)
	r.Ceilings, r.Shares = c, c.shares(r.seconds(), r.Bytes, r.FLOP)
}

func (r *TestResult) key() string {
	return fmt.Sprintf("%s %v %s%s", r.ModelType, r.Test(), r.DType, CacheNote(r.TypeK, r.TypeV))
}

func (r *TestResult) size() string { return repetitions(len(r.SamplesNS)) }

// cacheTypes is the type of keys and values, or both.
func cacheTypes(k, v string) string {
	if k == v {
		return k
	}
	return k + "/" + v
}

// CacheNote is a note on keys and values that are not f32; else empty.
func CacheNote(k, v string) string {
	if c := cacheTypes(k, v); c != "f32" {
		return ", cache " + c
	}
	return ""
}

// figures are the speed, and the share of the yardstick. The share does not fall
// where the whole machine is slower, or busy.
func (r *TestResult) figures() []figure {
	share := Spread{r.AvgShare, r.StddevShare, len(r.SamplesShare)}
	return []figure{{Spread: r.speed(), unit: "t/s"}, {Spread: share.times(100), unit: "% of " + r.Yardstick}}
}

func (r *TestResult) work() []quantity {
	return []quantity{{"parameters", float64(r.ModelNParams)}, {"FLOP a repetition", r.FLOP}}
}

func (r *TestResult) check() error {
	t := r.Test()
	if t.Prompt < 0 || t.Gen < 0 || t.Depth < 0 || (t.Prompt > 0) == (t.Gen > 0) {
		return fmt.Errorf("n_prompt %d, n_gen %d, n_depth %d: expected one of the first two above 0, and none below", t.Prompt, t.Gen, t.Depth)
	}
	if err := cmp.Or(plausible(r), positive("samples_ns", r.SamplesNS), r.Batched.check()); err != nil {
		return err
	}
	if r.DrawnOnDevice && (t.Gen == 0 || t.Sequences > 0) {
		return fmt.Errorf("drawn_on_device is true of %v, expected it of generation of one sequence alone", t)
	}
	if r.TypeK == "" || r.TypeV == "" {
		return fmt.Errorf("type_k is %q and type_v %q: expected types such as f32", r.TypeK, r.TypeV)
	}
	if len(r.SamplesShare) != len(r.SamplesNS) {
		return fmt.Errorf("samples_share has %d samples, expected %d as samples_ns", len(r.SamplesShare), len(r.SamplesNS))
	}
	again := *r
	again.Summarise(r.Ceilings)
	return cmp.Or(
		near("avg_ns", float64(r.AvgNS), float64(again.AvgNS), "stddev_ns", float64(r.StddevNS), float64(again.StddevNS)),
		near("avg_ts", r.AvgTS, again.AvgTS, "stddev_ts", r.StddevTS, again.StddevTS),
		near("avg_sequence_ts", r.AvgSequenceTS, again.AvgSequenceTS, "stddev_sequence_ts", r.StddevSequenceTS, again.StddevSequenceTS),
		near("avg_share", r.AvgShare, again.AvgShare, "stddev_share", r.StddevShare, again.StddevShare),
		near("avg_copy_share", r.AvgCopyShare, again.AvgCopyShare, "stddev_copy_share", r.StddevCopyShare, again.StddevCopyShare),
		near("avg_peak_share", r.AvgPeakShare, again.AvgPeakShare, "stddev_peak_share", r.StddevPeakShare, again.StddevPeakShare),
		samples("samples_ts", r.SamplesTS, again.SamplesTS),
	)
}

// near returns an error where a mean or a deviation is not that of its samples.
func near(name string, got, want float64, nameSD string, gotSD, wantSD float64) error {
	slack := 1e-6 * math.Abs(want)
	if math.Abs(got-want) > slack || math.Abs(gotSD-wantSD) > slack {
		return fmt.Errorf("%s %v and %s %v are not of its samples, which give %v and %v", name, got, nameSD, gotSD, want, wantSD)
	}
	return nil
}

// samples returns an error where a list does not follow from the times.
func samples(name string, got, want []float64) error {
	if len(got) != len(want) {
		return fmt.Errorf("%s has %d samples, expected %d as samples_ns", name, len(got), len(want))
	}
	for i := range got {
		if math.Abs(got[i]-want[i]) > 1e-6*math.Abs(want[i]) {
			return fmt.Errorf("%s[%d] is %v, expected %v by samples_ns", name, i, got[i], want[i])
		}
	}
	return nil
}
