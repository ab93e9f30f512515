package gpt

// Where numbers are exactly equal, a rule that says < for ≤ chooses otherwise.
// All sums here are exact in float64.

import (
	"fmt"
	"math"
	"slices"
	"testing"
)

// survivors are the tokens that a Sampler may draw.
func survivors(t *testing.T, s Sampling, logits []float32, recent ...int) []int {
	t.Helper()
	s.Temperature, s.Seed = 1e6, 5 // so that all that is kept comes up
	var ids []int
	for id, n := range drawn(t, s, logits, recent, 60*len(logits)) {
		if n > 0 {
			ids = append(ids, id)
		}
	}
	return ids
}

func expectTokens(t *testing.T, what string, got []int, want ...int) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s keeps %v, expected %v", what, got, want)
	}
}

func firstIDs(n int) []int {
	ids := make([]int, n)
	for i := range ids {
		ids[i] = i
	}
	return ids
}

// TestTopPTies: of n equal tokens the first k have exactly k/n of the
// probability, which is enough for a top-p of k/n.
func TestTopPTies(t *testing.T) {
	for _, n := range []int{2, 4, 8, 16} {
		for k := 1; k <= n; k++ {
			s := Sampling{TopP: float64(k) / float64(n), RepeatPenalty: 1}
			expectTokens(t, fmt.Sprintf("top-p %d/%d of equals", k, n), survivors(t, s, make([]float32, n)), firstIDs(k)...)
			if k < n { // a little more takes one more
				s.TopP = math.Nextafter(s.TopP, 1)
				expectTokens(t, fmt.Sprintf("a top-p above %d/%d of equals", k, n), survivors(t, s, make([]float32, n)), firstIDs(k+1)...)
			}
			s.TopP, s.TopK = float64(k)/float64(n), n // of the tokens that top-k leaves, of as many again
			expectTokens(t, fmt.Sprintf("top-p %d/%d after top-k %d", k, n, n), survivors(t, s, make([]float32, 2*n)), firstIDs(k)...)
		}
	}
}

func TestTopKTies(t *testing.T) {
	logits := []float32{1, 2, 1, 2, 1, 1, 0}
	for k, want := range [][]int{1: {1}, 2: {1, 3}, 3: {0, 1, 3}, 4: {0, 1, 2, 3}, 5: {0, 1, 2, 3, 4}, 6: {0, 1, 2, 3, 4, 5}} {
		if k > 0 {
			expectTokens(t, fmt.Sprintf("top-k %d", k), survivors(t, Sampling{TopP: 1, TopK: k, RepeatPenalty: 1}, logits), want...)
		}
	}
}

// TestMinPTies: a token whose probability is exactly MinP times the largest
// stays, and one of the next smaller logit goes, with and without top-k.
func TestMinPTies(t *testing.T) {
	s := Sampling{TopP: 1, MinP: math.Exp(-2), RepeatPenalty: 1}
	if math.Log(s.MinP) != -2 {
		t.Fatalf("the logarithm of e⁻² is %v here: the tie is none", math.Log(s.MinP))
	}
	logits := []float32{math.Nextafter32(-2, -3), -2, 0, -2, -5}
	for _, s.TopK = range []int{0, 4} {
		expectTokens(t, fmt.Sprintf("min-p e⁻² with top-k %d", s.TopK), survivors(t, s, logits), 1, 2, 3)
	}
	s.MinP = 1
	for _, s.TopK = range []int{0, 4} {
		expectTokens(t, fmt.Sprintf("min-p 1 with top-k %d", s.TopK), survivors(t, s, []float32{3, 1, 3, 3, 2}), 0, 2, 3)
	}
}

// TestPenaltyTies makes tokens equal by the repeat penalty, and looks back over
// exactly as many tokens as there are.
func TestPenaltyTies(t *testing.T) {
	for _, c := range []struct {
		logits []float32
		recent []int
		last   int
		want   int
	}{
		{[]float32{4, 2}, []int{0}, -1, 0}, // 2 and 2
		{[]float32{2, 4}, []int{1}, -1, 0},
		{[]float32{2, 5}, []int{1}, -1, 1},
		{[]float32{-4, -2}, []int{1}, -1, 0}, // −4 and −4
		{[]float32{0, 0}, []int{0}, -1, 0},   // 0 stays 0
		{[]float32{4, 3, 1}, []int{0, 1}, 2, 0},
		{[]float32{4, 3, 1}, []int{0, 1}, 1, 0},
		{[]float32{4, 3, 1}, []int{0, 2}, 1, 0},
		{[]float32{4, 3, 1}, []int{0, 2}, 2, 1},
		{[]float32{4, 3, 1}, []int{0, 2}, 3, 1},
	} {
		s := Sampling{TopP: 1, RepeatPenalty: 2, RepeatLastN: c.last}
		for _, s.TopK = range []int{0, 1} { // greedy, and as a filter
			s.Temperature = float64(s.TopK)
			if id, _, err := NewSampler(s).Next(c.logits, c.recent); err != nil || id != c.want {
				t.Errorf("logits %v after %v, the last %d: token %d, %v, expected %d", c.logits, c.recent, c.last, id, err, c.want)
			}
		}
	}
}
