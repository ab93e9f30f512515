package gpt

import (
	"cmp"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
)

// VocabularyLogits returns logits like GPT-2's: a broad bell and a few that stand out.
func VocabularyLogits(seed uint64) []float32 {
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
		got, _ := s.filter(logits, s.passes.ExpSum(logits, best))
		want, _ := exact.filter(logits, 0)
		if !slices.Equal(got, want) {
			t.Fatalf("top-p %v keeps %d of %d tokens, expected %d", p, len(got), len(logits), len(want))
		}
	}
}

// TestTopKSorted wants the tokens that sorting all of them gives, with numbers that lie as near to each other, or as far, as they can.
func TestTopKSorted(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	kinds := []func() float32{
		func() float32 { return float32(rng.NormFloat64()) },
		func() float32 { return float32(math.Round(rng.NormFloat64())) }, // many are equal
		func() float32 { return float32(math.Inf(-1)) },
		func() float32 { return 5 },
		func() float32 { return 5 + float32(rng.IntN(2))*0x1p-21 },
		func() float32 { return float32(rng.NormFloat64()) * 1e-39 }, // some below the normal numbers
		func() float32 { return math.MaxFloat32 * float32(1-rng.IntN(2)*2) },
		func() float32 { return float32(math.Exp(min(rng.NormFloat64()*20, 88))) },
	}
	for range 3000 {
		logits := make([]float32, 2+rng.IntN(3000))
		first, second, share := rng.IntN(len(kinds)), rng.IntN(len(kinds)), rng.IntN(4)
		for i := range logits {
			kind := first
			if rng.IntN(4) < share {
				kind = second
			}
			logits[i] = kinds[kind]()
		}
		k := 1 + rng.IntN(len(logits)-1)
		var want []candidate
		for id, v := range logits {
			want = append(want, candidate{id: int32(id), key: keyOf(v)})
		}
		slices.SortFunc(want, func(a, b candidate) int { return cmp.Or(cmp.Compare(b.key, a.key), cmp.Compare(a.id, b.id)) })
		want = want[:k]
		slices.SortFunc(want, func(a, b candidate) int { return cmp.Compare(a.id, b.id) })
		if got := NewSampler(Sampling{}).topK(nil, logits, k); !slices.Equal(got, want) {
			t.Fatalf("of %v the first %d are %v, expected %v", logits, k, got, want)
		}
	}
}

// SamplingBenchmarks are settings to measure.
var SamplingBenchmarks = []struct {
	Name string
	S    Sampling
}{
	{"greedy", Sampling{TopP: 1, RepeatPenalty: 1}},
	{"default", llamaCpp()},
	{"default+penalty", Sampling{Temperature: 0.8, TopK: 40, TopP: 0.95, MinP: 0.05, RepeatPenalty: 1.1, RepeatLastN: 64}},
	{"top-k=1000", Sampling{Temperature: 0.8, TopK: 1000, TopP: 1, RepeatPenalty: 1}},
	{"top-p=0.95", Sampling{Temperature: 0.8, TopP: 0.95, RepeatPenalty: 1}},
	{"min-p=0.05", Sampling{Temperature: 0.8, TopP: 1, MinP: 0.05, RepeatPenalty: 1}},
	{"temperature", Sampling{Temperature: 0.8, TopP: 1, RepeatPenalty: 1}},
}

// TestDrawnOfAll wants what was drawn from the whole vocabulary to be listed as it is where filters that keep everything
// list it, also after the logits have changed.
func TestDrawnOfAll(t *testing.T) {
	logits, recent := VocabularyLogits(2)[:3001], []int{5, 17}
	logits[9], logits[2000] = float32(math.Inf(-1)), float32(math.Inf(-1))
	for _, penalty := range []float64{1, 1.3} {
		all := NewSampler(Sampling{Temperature: 0.7, RepeatPenalty: penalty, RepeatLastN: -1, Seed: 3})
		listed := NewSampler(Sampling{Temperature: 0.7, RepeatPenalty: penalty, RepeatLastN: -1, Seed: 3, MinP: 1e-30})
		for range 50 {
			id, p, err := all.Next(logits, recent)
			want, q, err2 := listed.Next(logits, recent)
			if err != nil || err2 != nil || id != want || p != q {
				t.Fatalf("drew %d (%v, %v), expected %d (%v, %v)", id, p, err, want, q, err2)
			}
			old := logits[id]
			logits[id] = 100
			got, other := all.Drawn(4), listed.Drawn(4)
			logits[id] = old
			if !reflect.DeepEqual(got, other) {
				t.Fatalf("drawn from %+v, expected %+v", got, other)
			}
		}
	}
}

func TestNextAllocatesNothing(t *testing.T) {
	logits, recent := VocabularyLogits(1), []int{1, 2, 3}
	for _, b := range SamplingBenchmarks {
		s := NewSampler(b.S)
		// AllocsPerRun runs once before it counts.
		if n := testing.AllocsPerRun(3, func() { s.Next(logits, recent) }); n != 0 {
			t.Errorf("%s: %v allocations a token, want none", b.Name, n)
		}
	}
}

func BenchmarkSampler(b *testing.B) {
	logits, recent := VocabularyLogits(1), make([]int, 100)
	for i := range recent {
		recent[i] = 17 * i
	}
	for _, test := range SamplingBenchmarks {
		b.Run(test.Name, func(b *testing.B) {
			s := NewSampler(test.S)
			for b.Loop() {
				if _, _, err := s.Next(logits, recent); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
