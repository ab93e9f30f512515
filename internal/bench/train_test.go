package bench

import (
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
	"caldera/gpt/model"
	"caldera/internal/bench/peer"
	"caldera/internal/bench/result"
	"caldera/internal/commandtest"
)

// tinyTrain trains a tiny model beside peers.
func tinyTrain(t *testing.T, ctx context.Context, step Training, d backend.DType, timeout time.Duration, peers ...peer.Peer) (map[string][]*result.TrainResult, error) {
	t.Helper()
	c := model.Config{Family: "gpt2", Layers: 1, Heads: 2, Width: 32, Inner: 64, Context: 32, Vocab: 300, Epsilon: 1e-5, TieEmbeddings: true}
	t.Setenv("TMPDIR", t.TempDir())
	o := PeerOptions{Options: quiet(3), Peers: peers, Threads: 1, Timeout: timeout}
	o.DType = d
	results, err := cpuDevice(t).Train(ctx, Random("tiny", c), step, o)
	if left, _ := os.ReadDir(os.TempDir()); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	byPeer := map[string][]*result.TrainResult{}
	for _, r := range results {
		byPeer[r.Peer] = append(byPeer[r.Peer], r)
		if err := reread(r); err != nil {
			t.Errorf("%+v: %v", r, err)
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
			t.Errorf("%+v: %v FLOP, expected %v", step, ours.FLOP, want)
		}
		if ours.AvgShare <= 0 || ours.AvgTS <= 0 || ours.DeviceMemory <= 0 || len(ours.SamplesNS) != 3 || ours.Incomplete || ours.RecordNS <= 0 {
			t.Errorf("%+v", ours)
		}
		if d := math.Abs(ours.FirstLoss - math.Log(300)); d > 0.1 || ours.SecondLoss >= ours.FirstLoss {
			t.Errorf("losses %v and %v: expected the first near ln 300, the second below", ours.FirstLoss, ours.SecondLoss)
		}
		if !r.SameLoss || math.Abs(r.PeerSecondLoss-r.SecondLoss) > 1e-5 || len(r.SamplesRatio) != 3 || r.PeerInfo != "of tests, by heart" || r.PeerPeakRSS != 5<<20 {
			t.Errorf("%+v: %+v", step, r)
		}
		if s := r.Steps; s < 2 || s > result.MaxSteps {
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
	peers := []peer.Peer{fake("late", "crashes later"), fake("other", "another loss"), fake("absent", "absent")}
	for _, x := range bad {
		peers = append(peers, fake(x.mode, x.mode))
	}
	results, err := tinyTrain(t, t.Context(), Training{Batch: 1, Time: 4, Accumulate: 1}, backend.F32, commandtest.Patience, peers...)
	if ours := results[""]; len(ours) != 1 || len(ours[0].SamplesNS) != 3 {
		t.Fatalf("ours: %+v, %v", ours, err)
	}
	for _, x := range bad {
		if r := results[x.mode]; len(r) != 1 || !strings.Contains(r[0].Failure, x.want) || r[0].FailureKind != result.PeerFailed {
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
	if r := results["absent"]; len(r) != 1 || r[0].FailureKind != result.PeerAbsent || strings.Contains(err.Error(), "parrot") {
		t.Errorf("one that is absent: %+v, %v", r, err)
	}
}

// TestTrainPeerHangs ends a peer that does not answer in its first repetition. How
// long it takes to come so far depends on what else the machine does.
func TestTrainPeerHangs(t *testing.T) {
	for timeout := time.Second; ; timeout *= 2 {
		results, err := tinyTrain(t, t.Context(), Training{Batch: 1, Time: 4, Accumulate: 1}, backend.F32, timeout, fake("hangs", "hangs"))
		r, late := results["hangs"], fmt.Sprintf("it did not answer within %v and was ended: raise the timeout", timeout)
		if len(r) != 1 || r[0].FailureKind != result.PeerFailed || !strings.Contains(r[0].Failure, late) || !strings.Contains(fmt.Sprint(err), late) {
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
	o := PeerOptions{Options: quiet(3), Peers: []peer.Peer{fake("good", "good")}, Threads: 1, Timeout: commandtest.Patience}
	o.Progress = func(what string, _, _ int) {
		if what == "2/3" {
			cancel()
		}
	}
	results, err := cpuDevice(t).Train(ctx, Random("tiny", tiny), Training{Batch: 1, Time: 4, Accumulate: 1}, o)
	if !errors.Is(err, context.Canceled) || len(results) != 2 {
		t.Fatalf("%d results, %v", len(results), err)
	}
	for _, r := range results {
		if err := reread(r); err != nil || len(r.SamplesNS) != 1 || !r.Incomplete {
			t.Errorf("%v, %+v", err, r)
		}
	}
}

// TestTrainPlayed trains on a device of known speed, and on ones that cannot.
func TestTrainPlayed(t *testing.T) {
	o := PeerOptions{Options: quiet(2)}
	o.Ceilings = true
	train := func(p *played) ([]*result.TrainResult, error) {
		results, err := playedDevice(p).Train(t.Context(), Random("tiny", tiny), Training{Batch: 2, Time: 8, Accumulate: 1}, o)
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
	if _, err := train(&played{Backend: null.Backend{Lacks: lacks}}); !errors.Is(err, result.ErrUnsupported) || !strings.Contains(err.Error(), "adamw") {
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
		"batch=0: expected 1 to 16384":                 {Batch: 0, Time: 8, Accumulate: 1},
		"time=33: expected 1 to 32":                    {Batch: 1, Time: 33, Accumulate: 1},
		"accumulate=-1: expected 1 to 16384":           {Batch: 1, Time: 1, Accumulate: -1},
		"a step of 8388608 tokens: expected at most 4": {Batch: 16384, Time: 32, Accumulate: 16},
	} {
		if err := step.Check(tiny.Context); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, expected %s", err, want)
		}
		if _, err := playedDevice(&played{}).Train(t.Context(), Random("tiny", tiny), step, PeerOptions{Options: quiet(1)}); err == nil {
			t.Errorf("%+v was trained", step)
		}
	}
}

// TestPeersTrain holds PyTorch's training to ours, where the machine has it: the
// same weights and batches must lead to the same losses, before an update and after.
func TestPeersTrain(t *testing.T) {
	if os.Getenv("CALDERA_LLAMA") == "" {
		t.Skip("make test-peers runs this")
	}
	all, err := peer.FindTrainers(nil, peer.Places{})
	if err != nil {
		t.Fatal(err)
	}
	exact := tiny
	exact.Settings = &model.GPT2Settings{Activation: backend.GELUErf, ScaleByLayer: true}
	models := []Model{Random("exact", exact)}
	for _, dir := range []string{tinyModel, "../../gpt/testdata/llama-odd", "../../gpt/testdata/llama-three"} {
		m, err := Checkpoint(dir)
		if err != nil {
			t.Fatal(err)
		}
		models = append(models, m)
	}
	for _, m := range models {
		for _, step := range []Training{
			{Batch: 3, Time: m.Config.Context, Accumulate: 1},
			{Batch: 1, Time: 5, Accumulate: 2, Recompute: true},
		} {
			results, err := cpuDevice(t).Train(t.Context(), m, step, PeerOptions{Options: quiet(1), Peers: all, Threads: 1, Timeout: commandtest.Patience})
			if err != nil || len(results) != 2 {
				t.Fatalf("%d results, %v", len(results), err)
			}
			r := results[1]
			if r.FailureKind == result.PeerAbsent {
				t.Skip(r.Failure)
			}
			if !r.SameLoss || r.PeerTimes.AvgTS <= 0 || r.SecondLoss >= r.FirstLoss {
				t.Errorf("%s, %+v: losses %v and %v, of %s %v and %v (%s)", m.Name, step, r.FirstLoss, r.SecondLoss, r.Peer, r.PeerFirstLoss, r.PeerSecondLoss, r.Failure)
			}
		}
	}
}
