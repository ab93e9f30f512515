package gpt

import (
	"math"
	"math/rand/v2"
	"testing"

	"caldera/backend"
	"caldera/backend/cpu"
)

// TestSamplerIsTheOp draws texts with the host's sampler and with backend.Sample. Where
// the op draws, it draws the same tokens, and leaves to the host only what has many
// candidates.
func TestSamplerIsTheOp(t *testing.T) {
	b, err := cpu.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	rng := rand.New(rand.NewPCG(8, 9))
	drawn, left := 0, 0
	for range 60 {
		n := 2 + rng.IntN(3000)
		s := Sampling{Temperature: float64(rng.IntN(4)) / 1.7, Seed: rng.Uint64()}
		if rng.IntN(2) == 0 {
			s.TopK = 1 + rng.IntN(60)
		}
		if rng.IntN(2) == 0 {
			s.TopP = rng.Float64()
		}
		if rng.IntN(2) == 0 {
			s.MinP = rng.Float64() / 10
		}
		if rng.IntN(2) == 0 {
			s.RepeatPenalty, s.RepeatLastN = 0.7+rng.Float64(), rng.IntN(6)-1
		}
		host := NewSampler(s)
		const window = 8
		new := func(d backend.DType, dims ...int) backend.Tensor {
			x, err := backend.New(b, d, dims...)
			if err != nil {
				t.Fatal(err)
			}
			return x
		}
		op := &backend.Sample{
			Dst: new(backend.I32, 1, backend.SampleWords), Next: new(backend.I32, 1), X: new(backend.F32, 1, n), Slots: new(backend.I32, 1),
			Settings: new(backend.I32, 1, backend.SampleSettingWords), Marks: new(backend.I32, 1, 2, (n+31)/32), Recent: new(backend.I32, 1, 2+window),
		}
		words := host.words.Words()
		if err := backend.SetI32(b, op.Settings, words[:]); err != nil {
			t.Fatal(err)
		}
		var ids []int
		logits := make([]float32, n)
		for range 12 {
			for i := range logits {
				logits[i] = float32(math.Round(rng.NormFloat64()*20) / 8) // some are equal
			}
			if err := backend.SetF32(b, op.X, logits); err != nil {
				t.Fatal(err)
			}
			if err := backend.Run(b, op); err != nil {
				t.Fatal(err)
			}
			var got [backend.SampleWords]int32
			if err := backend.GetI32(b, op.Dst, got[:]); err != nil {
				t.Fatal(err)
			}
			r := backend.ReadSampleResult(got[:])
			id, logProb, err := host.Next(logits, ids)
			if err != nil {
				t.Fatal(err)
			}
			if r.Status == backend.SampleTooMany {
				if left++; host.Drawn(0).Kept <= backend.MaxCandidates/2 {
					t.Errorf("%+v of %d tokens: the op leaves it to the host, which kept %d", s, n, host.Drawn(0).Kept)
				}
				break
			}
			if drawn++; r.Status != backend.SampleDrawn || int(r.ID) != id || int(r.Kept) != host.Drawn(0).Kept || math.Abs(r.LogProb()-logProb) > 1e-6 {
				t.Fatalf("%+v of %d tokens: the op draws %+v, log-probability %v; the host %d of %d, %v", s, n, r, r.LogProb(), id, host.Drawn(0).Kept, logProb)
			}
			ids = append(ids, id)
		}
	}
	if drawn < 300 || left == 0 {
		t.Errorf("the op drew %d times and left %d to the host: expected both", drawn, left)
	}
}
