package gpt

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

func TestExpNonPositive(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	for i := range 200_000 {
		x := -rng.Float64() * math.Exp2(float64(i%30-20))
		if x < -700 {
			continue
		}
		got, want := expNonPositive(x), math.Exp(x)
		if math.Abs(got-want) > 1e-13*want {
			t.Fatalf("exp(%v) = %v, want %v", x, got, want)
		}
	}
	if got := expNonPositive(0); got != 1 {
		t.Errorf("exp(0) = %v, want 1", got)
	}
	for _, x := range []float64{-701, -1e300, math.Inf(-1)} {
		if got := expNonPositive(x); !(got > 0 && got < 1e-303) {
			t.Errorf("exp(%v) = %v, want next to nothing", x, got)
		}
	}
}

// vocabularyLogits returns logits like GPT-2's: a broad bell and a few that stand out.
func vocabularyLogits(seed uint64) []float32 {
	rng := rand.New(rand.NewPCG(seed, 7))
	logits := make([]float32, 50257)
	for i := range logits {
		logits[i] = float32(rng.NormFloat64()*2.5 - 40)
	}
	for i := range 20 {
		logits[rng.IntN(len(logits))] = float32(-31 + i/2)
	}
	return logits
}

// TestTopPDecides: where the sum of exponentials decides what top-p keeps, the sum of weights decides so too.
func TestTopPDecides(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for i := range 500 {
		logits := make([]float32, 1+rng.IntN(2000))
		scale := math.Exp(2 * rng.NormFloat64())
		for j := range logits {
			logits[j] = float32(rng.NormFloat64()*scale - 3)
			switch {
			case i%3 == 0: // many are equal
				logits[j] = float32(math.Round(float64(logits[j])))
			case rng.IntN(20) == 0:
				logits[j] = float32(math.Inf(-1))
			}
		}
		p := []float64{0.95, 0.5, 0.999999, 1 - 1e-16, rng.Float64()}[rng.IntN(5)]
		s, exact := NewSampler(Sampling{Temperature: 0.8, TopP: p}), NewSampler(Sampling{Temperature: 0.8, TopP: p})
		_, first, best, err := s.prepare(logits, nil)
		if err != nil {
			continue // none is finite
		}
		s.best, exact.best = keyOf(logits[first]), keyOf(logits[first])
		got, _ := s.filter(logits, expSum(logits, best))
		want, _ := exact.filter(logits, 0)
		if !slices.Equal(got, want) {
			t.Fatalf("top-p %v keeps %d of %d tokens, expected %d", p, len(got), len(logits), len(want))
		}
	}
}

var samplingBenchmarks = []struct {
	name string
	s    Sampling
}{
	{"greedy", Sampling{TopP: 1, RepeatPenalty: 1}},
	{"default", llamaCpp()},
	{"default+penalty", Sampling{Temperature: 0.8, TopK: 40, TopP: 0.95, MinP: 0.05, RepeatPenalty: 1.1, RepeatLastN: 64}},
	{"top-k=1000", Sampling{Temperature: 0.8, TopK: 1000, TopP: 1, RepeatPenalty: 1}},
	{"top-p=0.95", Sampling{Temperature: 0.8, TopP: 0.95, RepeatPenalty: 1}},
	{"min-p=0.05", Sampling{Temperature: 0.8, TopP: 1, MinP: 0.05, RepeatPenalty: 1}},
	{"temperature", Sampling{Temperature: 0.8, TopP: 1, RepeatPenalty: 1}},
}

func TestNextAllocatesNothing(t *testing.T) {
	logits, recent := vocabularyLogits(1), []int{1, 2, 3}
	for _, b := range samplingBenchmarks {
		s := NewSampler(b.s)
		// AllocsPerRun runs once before it counts.
		if n := testing.AllocsPerRun(3, func() { s.Next(logits, recent) }); n != 0 {
			t.Errorf("%s: %v allocations a token, want none", b.name, n)
		}
	}
}

func BenchmarkSampler(b *testing.B) {
	logits, recent := vocabularyLogits(1), make([]int, 100)
	for i := range recent {
		recent[i] = 17 * i
	}
	for _, test := range samplingBenchmarks {
		b.Run(test.name, func(b *testing.B) {
			s := NewSampler(test.s)
			for b.Loop() {
				if _, _, err := s.Next(logits, recent); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
