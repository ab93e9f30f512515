package bench

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"strings"
	"testing"
	"time"

	"caldera/backend"
	"caldera/backend/null"
	"caldera/gpt"
	"caldera/internal/commandtest"
)

// trained are results of training: ours, one beside a peer, and one beside a
// peer that failed.
func trained(c Common) []Record {
	c.Kind = "train"
	step := Training{Batch: 4, Time: 64, Accumulate: 1}.recipe()
	ours := &TrainResult{
		Common: c, ModelType: "gpt2", ModelNParams: 124_439_808, DType: "f32", Training: step, Steps: 3, FLOP: 2e11,
		FirstLoss: 10.9, SecondLoss: 10.5, PeerTimes: PeerTimes{SamplesNS: []int64{3e8, 3e8}}, Lowered: []string{"linear_gelu"},
		LoadNS: 1e6, RecordNS: 2e6, FirstNS: 3e6, PeakRSS: 3 << 20, DeviceMemory: 7 << 20,
		Yardstick: "matrix products", YardstickUnit: UnitFLOPs, AvgYardstick: 4e12, SamplesShare: []float64{0.7, 0.8},
		Ceilings: Ceilings{Copy: "copy of 256 MiB f32", AvgCopy: 1e11, Peak: "linear 4096×4096×4096 f16 × f16", AvgPeak: 5e12, CeilingSamples: 2},
	}
	beside := &TrainResult{
		Common: c, ModelType: "gpt2", ModelNParams: 124_439_808, DType: "f32", Training: step, Steps: 3, FLOP: 2e11, Lowered: []string{},
		PeerAbout: PeerAbout{Peer: "pytorch", PeerVersion: "2.0", PeerDevice: "CPU", PeerInfo: "AVX2", PeerThreads: 2},
		FirstLoss: 10.9, SecondLoss: 10.5, PeerFirstLoss: 10.9001, PeerSecondLoss: 10.5009,
		PeerTimes: PeerTimes{SamplesNS: []int64{3e8, 3e8}, PeerSamplesNS: []int64{45e7, 6e8}}, PeerPeakRSS: 9 << 20,
	}
	for _, r := range []*TrainResult{ours, beside} {
		r.summarise()
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
	r.summarise()
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
	r.summarise()
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
		"- pytorch 2.0 on CPU: AVX2", "- lowered: linear_gelu on vulkan:1", "- not measured beside gpt2 4×64 f32 on vulkan:1: other: it ended",
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
	r.summarise()
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
	slow.summarise()
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

// tinyTrain trains a tiny model beside peers.
func tinyTrain(t *testing.T, ctx context.Context, step Training, d backend.DType, timeout time.Duration, peers ...Peer) (map[string][]*TrainResult, error) {
	t.Helper()
	c := gpt.Config{Layers: 1, Heads: 2, Width: 32, Inner: 64, Context: 32, Vocab: 300, Epsilon: 1e-5, TieEmbeddings: true}
	t.Setenv("TMPDIR", t.TempDir())
	o := PeerOptions{Options: quiet(3), Threads: 1, Timeout: timeout}
	o.DType = d
	results, err := cpuDevice(t).Train(ctx, Random("tiny", c), step, peers, o)
	if left, _ := os.ReadDir(os.TempDir()); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	byPeer := map[string][]*TrainResult{}
	for _, r := range results {
		byPeer[r.Peer] = append(byPeer[r.Peer], r)
		if err := r.check(); err != nil {
			t.Errorf("%s: %v", r.key(), err)
		}
	}
	return byPeer, err
}

// TestTrain measures ours alone, and beside a process that does the same.
func TestTrain(t *testing.T) {
	for _, c := range []struct {
		step Training
		d    backend.DType
	}{
		{Training{Batch: 2, Time: 8, Accumulate: 1}, backend.None},
		{Training{Batch: 1, Time: 32, Accumulate: 3, Recompute: true}, backend.F32},
		{Training{Batch: 2, Time: 8, Accumulate: 1}, backend.F16},
	} {
		step := c.step
		results, err := tinyTrain(t, t.Context(), step, c.d, commandtest.Patience, fake("good", "good"))
		if err != nil || len(results[""]) != 1 || len(results["good"]) != 1 {
			t.Fatalf("%v, %v", results, err)
		}
		ours, r := results[""][0], results["good"][0]
		if want := cmp.Or(c.d, backend.F32).String(); ours.DType != want || r.DType != want {
			t.Errorf("results are of %s and %s, expected %s", ours.DType, r.DType, want)
		}
		// 6 for each weight of a matrix and token, and attention's 12 for each
		// pair of tokens and number of a vector (PaLM, appendix B).
		tokens := float64(step.Batch * step.Time * step.Accumulate)
		matrices := float64(4*32*32 + 2*32*64 + 300*32)
		if want := tokens * (6*matrices + 12*float64(step.Time)*32); ours.FLOP != want {
			t.Errorf("%s: %v FLOP, expected %v", step.shape(), ours.FLOP, want)
		}
		if ours.AvgShare <= 0 || ours.AvgTS <= 0 || ours.DeviceMemory <= 0 || len(ours.SamplesNS) != 3 || ours.Incomplete || ours.RecordNS <= 0 {
			t.Errorf("%+v", ours)
		}
		if d := math.Abs(ours.FirstLoss - math.Log(300)); d > 0.1 || ours.SecondLoss >= ours.FirstLoss {
			t.Errorf("losses %v and %v: expected the first near ln 300, the second below", ours.FirstLoss, ours.SecondLoss)
		}
		if !r.SameLoss || math.Abs(r.PeerSecondLoss-r.SecondLoss) > 1e-5 || len(r.SamplesRatio) != 3 || r.PeerInfo != "of tests, by heart" || r.PeerPeakRSS != 5<<20 {
			t.Errorf("%s: %+v", step.shape(), r)
		}
		if s := r.Steps; s < 2 || s > maxSteps {
			t.Errorf("%d steps in a repetition of a tiny model", s)
		}
	}
}

// TestTrainPeersFail runs peers that fail in every way: each is named, what it
// did until then counts, and ours is measured to the end.
func TestTrainPeersFail(t *testing.T) {
	bad := []struct{ mode, want string }{
		{"crashes", "it ended (exit status 3): no library"},
		{"garbage", "expected a line of JSON"},
		{"lies", "it says that it took 3600000000000 ns"},
		{"few losses", "warm-up: it tells 1 losses, expected 2, of as many steps"},
		{"a loss below 0", "warm-up: it tells a loss of -1, expected 0 or more"},
	}
	peers := []Peer{fake("late", "crashes later"), fake("other", "another loss"), fake("absent", "absent")}
	for _, x := range bad {
		peers = append(peers, fake(x.mode, x.mode))
	}
	results, err := tinyTrain(t, t.Context(), Training{Batch: 1, Time: 4, Accumulate: 1}, backend.F32, commandtest.Patience, peers...)
	if ours := results[""]; len(ours) != 1 || len(ours[0].SamplesNS) != 3 {
		t.Fatalf("ours: %+v, %v", ours, err)
	}
	for _, x := range bad {
		if r := results[x.mode]; len(r) != 1 || !strings.Contains(r[0].Failure, x.want) || r[0].FailureKind != PeerFailed {
			t.Errorf("%s: %+v, expected one failure: %s", x.mode, r, x.want)
		}
		if !strings.Contains(err.Error(), x.want) {
			t.Errorf("%s is not in the error", x.mode)
		}
	}
	if r := results["late"]; len(r) != 2 || len(r[0].SamplesRatio) != 2 || !r[0].Incomplete || !strings.Contains(r[1].Failure, "3/3: it ended") {
		t.Errorf("one that crashes in its third repetition: %+v", r)
	}
	if r := results["other"]; len(r) != 1 || r[0].SameLoss || len(r[0].SamplesRatio) != 3 {
		t.Errorf("one whose second loss is another: %+v", r)
	}
	if r := results["absent"]; len(r) != 1 || r[0].FailureKind != PeerAbsent || strings.Contains(err.Error(), "parrot") {
		t.Errorf("one that is absent: %+v, %v", r, err)
	}
}

// TestTrainPeerHangs ends a peer that does not answer in its first repetition. How
// long it takes to come so far depends on what else the machine does.
func TestTrainPeerHangs(t *testing.T) {
	for timeout := time.Second; ; timeout *= 2 {
		results, err := tinyTrain(t, t.Context(), Training{Batch: 1, Time: 4, Accumulate: 1}, backend.F32, timeout, fake("hangs", "hangs"))
		r, late := results["hangs"], fmt.Sprintf("it did not answer within %v and was ended: raise --timeout", timeout)
		if len(r) != 1 || r[0].FailureKind != PeerFailed || !strings.Contains(r[0].Failure, late) || !strings.Contains(fmt.Sprint(err), late) {
			t.Fatalf("%+v, %v, expected one failure: %s", r, err, late)
		}
		if ours := results[""]; len(ours) != 1 || len(ours[0].SamplesNS) != 3 {
			t.Fatalf("ours: %+v", ours)
		}
		if strings.Contains(r[0].Failure, "1/3: "+late) {
			return
		}
		if timeout > commandtest.Patience {
			t.Fatalf("%s, expected it to hang in 1/3", r[0].Failure)
		}
	}
}

// TestTrainCanceled writes what both sides did before the second repetition.
func TestTrainCanceled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	o := PeerOptions{Options: quiet(3), Threads: 1, Timeout: commandtest.Patience}
	o.Progress = func(what string, _, _ int) {
		if what == "2/3" {
			cancel()
		}
	}
	results, err := cpuDevice(t).Train(ctx, Random("tiny", tiny), Training{Batch: 1, Time: 4, Accumulate: 1}, []Peer{fake("good", "good")}, o)
	if !errors.Is(err, context.Canceled) || len(results) != 2 {
		t.Fatalf("%d results, %v", len(results), err)
	}
	for _, r := range results {
		if err := r.check(); err != nil || len(r.SamplesNS) != 1 || !r.Incomplete {
			t.Errorf("%v, %+v", err, r)
		}
	}
}

// TestTrainPlayed trains on a device of known speed, and on ones that cannot.
func TestTrainPlayed(t *testing.T) {
	o := PeerOptions{Options: quiet(2)}
	o.Ceilings = true
	train := func(p *played) ([]*TrainResult, error) {
		results, err := playedDevice(p).Train(t.Context(), Random("tiny", tiny), Training{Batch: 2, Time: 8, Accumulate: 1}, nil, o)
		if p.used() != 0 {
			t.Errorf("%d bytes are still allocated", p.used())
		}
		return results, err
	}
	results, err := train(&played{flops: 1e7})
	if err != nil || len(results) != 1 {
		t.Fatalf("%v, %v", results, err)
	}
	r := results[0]
	forward := 2 * 16 * float64(tiny.Layers*(4*16*16+2*16*64)+50*16) // 16 tokens
	if math.Abs(r.AvgYardstick-1e7) > 1e3 || r.Yardstick != "matrix products" || r.StddevYardstick > 1e3 {
		t.Errorf("the yardstick says %v FLOP/s of a device that has 1e7", r.AvgYardstick)
	}
	if want := 3 * forward / 1e7 / (r.AvgStepNS * 1e-9); math.Abs(r.AvgShare/want-1) > 1e-3 {
		t.Errorf("a share of %v, expected %v", r.AvgShare, want)
	}
	if want := r.FLOP / (r.AvgStepNS * 1e-9) / r.AvgPeak; math.Abs(r.AvgPeak-1e7) > 1e3 || math.Abs(r.AvgPeakShare/want-1) > 1e-3 || r.Peak == "" {
		t.Errorf("%v of a peak of %v, %s, expected %v", r.AvgPeakShare, r.AvgPeak, r.Peak, want)
	}
	if want := int(math.Ceil(repetition / (r.AvgStepNS * 1e-9))); r.Steps != want {
		t.Errorf("%d steps of %v ns in a repetition, expected %d", r.Steps, r.AvgStepNS, want)
	}

	lacks := func(op backend.Op) bool { return op.Name() == "adamw" }
	if _, err := train(&played{Backend: null.Backend{Lacks: lacks}}); !errors.Is(err, ErrUnsupported) || !strings.Contains(err.Error(), "adamw") {
		t.Errorf("without AdamW: %v", err)
	}
	var memory *gpt.TrainMemoryError
	if _, err := train(&played{free: 100 << 10, total: 1 << 20}); !errors.As(err, &memory) || memory.Batch >= 2 {
		t.Errorf("with little memory: %v", err)
	}
	if _, err := train(&played{Backend: null.Backend{Limit: 64 << 10}}); !errors.Is(err, backend.ErrOutOfMemory) {
		t.Errorf("with less: %v", err)
	}
}

func TestTrainCheck(t *testing.T) {
	for want, step := range map[string]Training{
		"--batch=0: expected 1 to 16384":               {Batch: 0, Time: 8, Accumulate: 1},
		"--time=33: expected 1 to 32":                  {Batch: 1, Time: 33, Accumulate: 1},
		"--accumulate=-1: expected 1 to 16384":         {Batch: 1, Time: 1, Accumulate: -1},
		"a step of 8388608 tokens: expected at most 4": {Batch: 16384, Time: 32, Accumulate: 16},
	} {
		if err := step.Check(tiny); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, expected %s", err, want)
		}
		if _, err := playedDevice(&played{}).Train(t.Context(), Random("tiny", tiny), step, nil, PeerOptions{Options: quiet(1)}); err == nil {
			t.Errorf("%s was trained", step.shape())
		}
	}
}

func TestFindTrainPeers(t *testing.T) {
	for _, test := range []struct {
		names []string
		n     int
		want  string
	}{
		{nil, 1, ""}, {[]string{"pytorch"}, 1, ""}, {[]string{"none"}, 0, ""},
		{[]string{"node-llama-cpp"}, 0, `unknown peer "node-llama-cpp": expected pytorch or none`},
		{[]string{"pytorch", "none"}, 0, "none goes without other peers: found pytorch,none"},
	} {
		found, err := FindTrainPeers(test.names, PeerPlaces{})
		if len(found) != test.n || (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%v: %d peers, %v", test.names, len(found), err)
		}
	}
}

// TestPeersTrain holds PyTorch's training to ours, where the machine has it: the
// same weights and batches must lead to the same losses, before an update and after.
func TestPeersTrain(t *testing.T) {
	if os.Getenv("CALDERA_LLAMA") == "" {
		t.Skip("make test-peers runs this")
	}
	all, err := FindTrainPeers(nil, PeerPlaces{})
	if err != nil {
		t.Fatal(err)
	}
	m, err := Checkpoint(tinyModel)
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []Training{
		{Batch: 3, Time: m.Config.Context, Accumulate: 1},
		{Batch: 1, Time: 5, Accumulate: 2, Recompute: true},
	} {
		results, err := cpuDevice(t).Train(t.Context(), m, step, all, PeerOptions{Options: quiet(1), Threads: 1, Timeout: commandtest.Patience})
		if err != nil || len(results) != 2 {
			t.Fatalf("%d results, %v", len(results), err)
		}
		r := results[1]
		if r.FailureKind == PeerAbsent {
			t.Skip(r.Failure)
		}
		if !r.SameLoss || r.PeerTimes.AvgTS <= 0 || r.SecondLoss >= r.FirstLoss {
			t.Errorf("%s: losses %v and %v, of %s %v and %v", step.shape(), r.FirstLoss, r.SecondLoss, r.Peer, r.PeerFirstLoss, r.PeerSecondLoss)
		}
	}
}
