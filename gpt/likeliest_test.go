package gpt

import (
	"math"
	"slices"
	"testing"
)

func TestLikeliest(t *testing.T) {
	inf := float32(math.Inf(-1))
	logits := []float32{1, 3, inf, 3, 2, 0}
	total := 0.0
	for _, x := range logits {
		total += math.Exp(float64(x))
	}
	for n, want := range map[int][]int{0: nil, 1: {1}, 2: {1, 3}, 3: {1, 3, 4}, 5: {1, 3, 4, 0, 5}, 9: {1, 3, 4, 0, 5}} {
		var got []int
		for _, x := range likeliest(logits, n, math.Log(total)) {
			got = append(got, x.ID)
			if p := math.Exp(float64(logits[x.ID])) / total; math.Abs(math.Exp(x.LogProb)-p) > 1e-12 {
				t.Errorf("token %d has probability %v, expected %v", x.ID, math.Exp(x.LogProb), p)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("the %d likeliest are %v, expected %v", n, got, want)
		}
	}
}
