package bench

import (
	"errors"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"caldera/backend"
	"caldera/internal/bench/result"
)

// noisy is a device that takes up to a fifth longer at random, and whose
// machine slows down by a third and recovers, over a few repetitions.
func noisy(seed uint64) *Device {
	r := rand.New(rand.NewPCG(seed, 0))
	p := &played{hostRun: 1000, submit: 20000, dispatch: 3000, read: 5000, flops: 1e9, bandwidth: 1e10}
	phase := r.Float64() * 2 * math.Pi
	p.noise = func() float64 {
		return 1 + 0.2*r.Float64() + 0.15*math.Sin(phase+2*math.Pi*p.busy.Seconds()/2)
	}
	return playedDevice(p)
}

// TestAgreement runs the same measurement twice on a noisy machine, many times:
// the two must agree within the deviations that they state, which cover what
// their samples do.
func TestAgreement(t *testing.T) {
	const pairs = 20
	tests := []Test{{Prompt: 16}, {Gen: 4}, {Gen: 4, Depth: 8}}
	differ, all := 0, 0
	for seed := range uint64(pairs) {
		var runs [2][]*result.TestResult
		for i := range runs {
			var err error
			d := noisy(2*seed + uint64(i))
			if runs[i], err = d.Measure(t.Context(), Random("tiny", tiny), tests, quiet(5)); err != nil {
				t.Fatal(err)
			}
		}
		for i, a := range runs[0] {
			b := runs[1][i]
			all++
			if math.Abs(a.AvgTS-b.AvgTS) > a.StddevTS+b.StddevTS {
				differ++
			}
			mean, sum := 0.0, 0.0
			for _, x := range a.SamplesTS {
				mean += x / float64(len(a.SamplesTS))
			}
			for _, x := range a.SamplesTS {
				sum += (x - mean) * (x - mean)
			}
			if sd := math.Sqrt(sum / float64(len(a.SamplesTS)-1)); math.Abs(sd-a.StddevTS) > 1e-9*mean || math.Abs(mean-a.AvgTS) > 1e-9*mean {
				t.Errorf("%v states %v ± %v, its samples are %v ± %v", a.Test(), a.AvgTS, a.StddevTS, mean, sd)
			}
		}
	}
	t.Logf("%d of %d pairs differ", differ, all)
	// Two means of five samples lie further apart than both deviations together once in some hundred times.
	if differ > all/20 {
		t.Errorf("%d of %d pairs of runs differ by more than they state", differ, all)
	}
}

// TestTurns has a machine be slow for a while, as others use it: that must
// show in the deviation of every test, not in the mean of one.
func TestTurns(t *testing.T) {
	p := &played{dispatch: 10000, flops: 1e9}
	d := playedDevice(p)
	repetition := 0
	p.noise = func() float64 {
		if repetition == 2 {
			return 3
		}
		return 1
	}
	o := quiet(3)
	o.Progress = func(what string, _, _ int) {
		if what == "pp16 2/3" || what == "tg4 2/3" {
			repetition = 2
		} else {
			repetition = 0
		}
	}
	results, err := d.Measure(t.Context(), Random("tiny", tiny), []Test{{Prompt: 16}, {Gen: 4}}, o)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range results {
		if s := r.SamplesNS; s[1] < 2*s[0] || s[1] < 2*s[2] || r.StddevTS < 0.3*r.AvgTS {
			t.Errorf("%v took %v ns, %v ± %v tokens a second: expected the second to be slow and the deviation to tell", r.Test(), s, r.AvgTS, r.StddevTS)
		}
		if r.StddevShare > 0.2*r.AvgShare {
			t.Errorf("%v is %v ± %v of a yardstick beside it, which was as slow", r.Test(), r.AvgShare, r.StddevShare)
		}
	}
}

// TestWarmUp has programs take a second to make, which a test at a depth needs
// for filling its context more than for what it times.
func TestWarmUp(t *testing.T) {
	p := &played{hostRecord: time.Second, dispatch: 1000}
	results, err := playedDevice(p).Measure(t.Context(), Random("tiny", tiny), []Test{{Gen: 1, Depth: 16}, {Gen: 1, Depth: 8}, {Gen: 2}}, quiet(1))
	if err != nil {
		t.Fatal(err)
	}
	for i, made := range []bool{true, true, false} {
		r := results[i]
		if r.FirstNS < r.RecordNS || (r.RecordNS > 0) != made || r.SamplesNS[0] > 1e9 {
			t.Errorf("%v: the warm-up took %d ns, %d of them to make programs, and a repetition %d", r.Test(), r.FirstNS, r.RecordNS, r.SamplesNS[0])
		}
	}
}

// TestLowered names ops that the backend lacks where simpler ones ran.
func TestLowered(t *testing.T) {
	p := &played{dispatch: 1000}
	p.Lacks = func(op backend.Op) bool {
		l, ok := op.(*backend.Linear)
		return ok && l.Activation != backend.NoActivation && l.X.Rows() > 1 // only prompts have several
	}
	results, err := playedDevice(p).Measure(t.Context(), Random("tiny", tiny), []Test{{Gen: 2}, {Prompt: 4}, {Gen: 1, Depth: 3}, {Prompt: 3}}, quiet(1))
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range [][]string{{}, {"linear+gelu_tanh"}, {"linear+gelu_tanh"}, {"linear+gelu_tanh"}} {
		if got := results[i].Lowered; len(got) != len(want) || len(want) > 0 && got[0] != want[0] {
			t.Errorf("%v: lowered %v, expected %v", results[i].Test(), got, want)
		}
	}
	ops, skipped, err := playedDevice(p).MeasureOps(t.Context(), tiny, OpOptions{
		Options: quiet(1), Model: "tiny", DTypes: []backend.DType{backend.F32}, Names: []string{"linear+gelu_tanh"},
	})
	if err != nil || len(skipped) > 0 || len(ops) != 2 {
		t.Fatalf("%d ops, skipped %v, %v", len(ops), skipped, err)
	}
	for _, r := range ops {
		if lowered := len(r.Lowered) == 1 && r.Lowered[0] == "linear+gelu_tanh"; lowered == (r.Shape == "1x16x64") {
			t.Errorf("%s %s: lowered %v", r.Op, r.Shape, r.Lowered)
		}
	}
}

// TestOps finds the speed of ops on a device on which it is known.
func TestOps(t *testing.T) {
	p := &played{dispatch: 3000, submit: 7000, flops: 1e9}
	p.Lacks = func(op backend.Op) bool { _, ok := op.(*backend.Store); return ok }
	o := OpOptions{Options: quiet(3), Model: "tiny", DTypes: []backend.DType{backend.F32}, Names: []string{"linear", "activate+gelu_tanh", "store"}}
	o.Ceilings = true
	steps := 0
	o.Progress = func(_ string, done, total int) {
		if done != steps || total < 4 {
			t.Errorf("progress: %d of %d, expected %d", done, total, steps)
		}
		steps++
	}
	results, skipped, err := playedDevice(p).MeasureOps(t.Context(), tiny, o)
	if err != nil {
		t.Fatal(err)
	}
	want := "store/32x32/f32 on played:0: not supported: op 0 (store): played does not support store for dst f32[32 32], x f32[32 32], at i32[2 32]"
	if len(skipped) != 1 || skipped[0].Error() != want {
		t.Errorf("skipped %v, expected %s", skipped, want)
	}
	seen := map[string]bool{}
	for _, r := range results {
		seen[r.Op] = true
		if want := 10000 + r.FLOP; !closeTo(r.AvgNS, want) || r.StddevNS > 1e-3*want {
			t.Errorf("%s %s takes %v ± %v ns, expected %v", r.Op, r.Shape, r.AvgNS, r.StddevNS, want)
		}
		if (r.AvgPeakShare > 0) != (r.FLOP > 0) || r.Bytes <= 0 {
			t.Errorf("%s %s: %v bytes, share of the peak %v", r.Op, r.Shape, r.Bytes, r.AvgPeakShare)
		}
		if err := reread(r); err != nil {
			t.Error(err)
		}
	}
	if len(seen) != 2 || p.used() != 0 {
		t.Errorf("ops %v, %d bytes still allocated; expected linear and activate+gelu_tanh, and none", seen, p.used())
	}
}

// TestOpsFail measures the others where some ops fail.
func TestOpsFail(t *testing.T) {
	p := &played{dispatch: 1000, fails: errors.New("too hot")}
	results, _, err := playedDevice(p).MeasureOps(t.Context(), tiny, OpOptions{
		Options: quiet(1), Model: "tiny", DTypes: []backend.DType{backend.F32}, Names: []string{"argmax", "softmax"},
	})
	if want := "1 of 2 ops failed, the first of them argmax/1x50/f32 on played:0: too hot"; err == nil || err.Error() != want || len(results) != 1 {
		t.Errorf("%d results and %v, expected 1 and %s", len(results), err, want)
	}
}

// TestUnsupported names what a device cannot do, and lets a caller go on.
func TestUnsupported(t *testing.T) {
	p := &played{dispatch: time.Microsecond}
	p.Lacks = func(op backend.Op) bool {
		l, ok := op.(*backend.Linear)
		return ok && l.W.DType == backend.F16
	}
	for _, test := range []struct {
		dtype backend.DType
		want  string
	}{
		{backend.F16, "tiny on played:0: not supported: op 0 (linear): played does not support linear for dst f32[48], x f32[16], w f16[48 16]"},
		{backend.Q8_0, "tiny on played:0: not supported: op 0 (linear): played does not support linear for dst f32[48], x f32[16], w f16[48 16]"}, // rows of 16 are no whole blocks
	} {
		o := quiet(1)
		o.DType = test.dtype
		_, err := playedDevice(p).Measure(t.Context(), Random("tiny", tiny), []Test{{Gen: 1}}, o)
		if err == nil || err.Error() != test.want {
			t.Errorf("%v: got %v, expected %s", test.dtype, err, test.want)
		}
	}
}
