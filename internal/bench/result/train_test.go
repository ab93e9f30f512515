package result

import (
	"bytes"
	"math"
	"strings"
	"testing"
)

// trained are results of training: ours, one beside a peer, and one beside a
// peer that failed.
func trained(c Common) []Record {
	c.Kind = "train"
	step := Training{Batch: 4, Time: 64, Accumulate: 1, Rate: 1e-4, Clip: 1}
	ours := &TrainResult{
		Common: c, ModelType: "gpt2", ModelNParams: 124_439_808, DType: "f32", Training: step, Steps: 3, FLOP: 2e11,
		FirstLoss: 10.9, SecondLoss: 10.5, PeerTimes: PeerTimes{SamplesNS: []int64{3e8, 3e8}}, Lowered: []string{"linear+gelu_tanh"},
		LoadNS: 1e6, RecordNS: 2e6, FirstNS: 3e6, PeakRSS: 3 << 20, DeviceMemory: 7 << 20,
		Yardstick: "matrix products", YardstickUnit: "FLOP/s", AvgYardstick: 4e12, SamplesShare: []float64{0.7, 0.8},
		Ceilings: Ceilings{Copy: "copy of 256 MiB f32", AvgCopy: 1e11, Peak: "linear 4096×4096×4096 f16 × f16", AvgPeak: 5e12, CeilingSamples: 2},
	}
	beside := &TrainResult{
		Common: c, ModelType: "gpt2", ModelNParams: 124_439_808, DType: "f32", Training: step, Steps: 3, FLOP: 2e11, Lowered: []string{},
		PeerAbout: PeerAbout{Peer: "pytorch", PeerVersion: "2.0", PeerDevice: "CPU", PeerInfo: "AVX2", PeerThreads: 2},
		FirstLoss: 10.9, SecondLoss: 10.5, PeerFirstLoss: 10.9001, PeerSecondLoss: 10.5009,
		PeerTimes: PeerTimes{SamplesNS: []int64{3e8, 3e8}, PeerSamplesNS: []int64{45e7, 6e8}}, PeerPeakRSS: 9 << 20,
	}
	for _, r := range []*TrainResult{ours, beside} {
		r.Summarise()
	}
	return []Record{ours, beside, &TrainResult{
		Common: c, ModelType: "gpt2", ModelNParams: 124_439_808, DType: "f32", Training: step, FLOP: 2e11, Lowered: []string{},
		PeerAbout: PeerAbout{Peer: "other", Failure: "it ended", FailureKind: PeerFailed},
	}}
}

// TestTrainRates holds the speeds of a step of several batches to their
// definition: samples of the time of a repetition, which is several steps.
func TestTrainRates(t *testing.T) {
	r := &TrainResult{
		Training: Training{Batch: 4, Time: 64, Accumulate: 5}, Steps: 3, FLOP: 6e9,
		PeerTimes: PeerTimes{SamplesNS: []int64{2e9, 4e9}}, SamplesShare: []float64{1, 1},
		Ceilings: Ceilings{AvgPeak: 3e10, CeilingSamples: 2},
	}
	const tokens = 4 * 64 * 5 * 3
	r.Summarise()
	for i, ns := range r.SamplesNS {
		if got := r.SamplesTS[i] * float64(ns) * 1e-9; math.Abs(got-tokens) > 1e-9 {
			t.Errorf("tokens a second times seconds are %v, expected batch × time × accumulate × steps = %d", got, tokens)
		}
	}
	for _, c := range []struct {
		what      string
		got, want float64
	}{
		{"tokens a second", r.AvgTS, (tokens/2. + tokens/4.) / 2},
		{"nanoseconds a step", r.AvgStepNS, 1e9},
		{"share of the peak", r.AvgPeakShare, 6e9 / 3e10},
		{"tokens of an op in Go's format", r.goBench().rates[0].work, tokens / 3},
	} {
		if math.Abs(c.got-c.want) > 1e-9*c.want {
			t.Errorf("%s: %v, expected %v", c.what, c.got, c.want)
		}
	}
	r.Peer, r.PeerSamplesNS = "other", []int64{1e9, 8e9}
	r.Summarise()
	for i, ns := range r.PeerSamplesNS {
		if got := r.PeerSamplesTS[i] * float64(ns) * 1e-9; math.Abs(got-tokens) > 1e-9 {
			t.Errorf("the peer's tokens a second times seconds are %v, expected %d", got, tokens)
		}
	}
}

func TestTrainTables(t *testing.T) {
	_, records := example()
	records = trained(*records[0].common())
	var out bytes.Buffer
	if err := Write(&out, "md", records); err != nil {
		t.Fatal(err)
	}
	text := strings.Join(strings.Fields(out.String()), " ")
	for _, want := range []string{
		"| gpt2 | 124.44 M | vulkan:1 | 4×64 | f32 | 100 ± 0 | 2560.00 ± 0.00 | 2000 ± 0 | 75.0 ± 7.1 % | matrix products, 4000.0 ± 0.0 GFLOP/s | 40.0 ± 0.0 % |",
		"| gpt2 | vulkan:1 | 4×64 | f32 | 2560.00 ± 0.00 | pytorch | 2 | 1493.33 ± 301.70 | 1.73 ± 0.35 | 10.9000, 10.5000 | 10.9001, 10.5009 |",
		"| caldera | gpt2 | vulkan:1 | 4×64 | f32 | 1.0 ms | 2.0 ms | 3.0 ms | 3.00 MiB | 7.00 MiB |",
		"| pytorch | gpt2 | vulkan:1 | 4×64 | f32 | | | | 9.00 MiB | |",
		"- pytorch 2.0 on CPU: AVX2", "- lowered: linear+gelu_tanh on vulkan:1", "- not measured beside gpt2 4×64 f32 on vulkan:1: other: it ended",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("missing: %q in\n%s", want, out.String())
		}
	}
	if strings.Contains(text, "computes something else") {
		t.Errorf("losses that agree are said to differ:\n%s", out.String())
	}
	r := records[1].(*TrainResult)
	r.PeerSecondLoss = 10.5011
	r.Summarise()
	out.Reset()
	if err := Write(&out, "md", records[1:2]); err != nil || !strings.Contains(out.String(), "the losses of pytorch with 2 threads differ from ours by more than 0.001 nats") {
		t.Errorf("%v in\n%s", err, out.String())
	}
	out.Reset()
	if err := Write(&out, "bench", records[:2]); err != nil ||
		strings.Count(out.String(), "BenchmarkTrain/model=gpt2/device=vulkan:1/dtype=f32/step=4x64-2\t1\t100000000 ns/op\t2560 t/s\t2e+12 FLOP/s\n") != 2 ||
		!strings.Contains(out.String(), "BenchmarkPeerTrain/model=gpt2/device=vulkan:1/dtype=f32/step=4x64/peer=pytorch/threads=2-2\t1\t150000000 ns/op") {
		t.Errorf("%v in\n%s", err, out.String())
	}
}

// TestCompareTrain lays training side by side; steps of other shapes are other work.
func TestCompareTrain(t *testing.T) {
	_, records := example()
	a, b := trained(*records[0].common()), trained(*records[0].common())
	slow := b[0].(*TrainResult)
	slow.SamplesNS = []int64{6e8, 6e8 + 2}
	slow.Summarise()
	got, err := Compare([]File{{"a.json", a}, {"b.json", b}})
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Rows) != 4 || got.Rows[0].Key != "gpt2 train 4×64 f32" || got.Rows[2].Key != "gpt2 train 4×64 f32 beside pytorch with 2 threads" {
		t.Fatalf("%+v", got.Rows)
	}
	if ratio, ok := got.Rows[0].Ratio(1); !ok || math.Abs(ratio.Mean-0.5) > 1e-6 {
		t.Errorf("ratio %v of half the speed", ratio)
	}
	agreement, err := Agree(File{"a.json", a}, File{"b.json", b})
	if err != nil || agreement.Differ != 1 {
		t.Errorf("%v: %+v differ, expected the speed alone", err, agreement)
	}
	slow.Recompute = true
	if got, err := Compare([]File{{"a.json", a[:1]}, {"b.json", b[:1]}}); err == nil {
		t.Errorf("steps with and without recomputing were compared: %+v", got.Rows)
	}
}
