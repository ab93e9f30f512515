package gpt_test

import (
	"math"
	"slices"
	"testing"

	"caldera/gpt"
)

// TestChoices holds the probabilities of what may be drawn to what is drawn.
func TestChoices(t *testing.T) {
	inf := float32(math.Inf(-1))
	logits := []float32{1, 3, inf, 3, 2, 0, -4}
	for _, c := range []struct {
		sampling gpt.Sampling
		recent   []int
		want     []int
	}{
		{gpt.Sampling{}, nil, []int{1}},
		{gpt.Sampling{Temperature: 1}, nil, []int{0, 1, 3, 4, 5, 6}},
		{gpt.Sampling{Temperature: 2, TopK: 3}, nil, []int{1, 3, 4}},
		{gpt.Sampling{Temperature: 0.5, TopP: 0.75}, nil, []int{1, 3}},
		{gpt.Sampling{Temperature: 1, MinP: math.Exp(-2.5)}, nil, []int{0, 1, 3, 4}},
		{gpt.Sampling{Temperature: 1, TopK: 2, RepeatPenalty: 10, RepeatLastN: -1}, []int{1}, []int{3, 4}},
	} {
		got, err := gpt.NewSampler(c.sampling).Choices(logits, c.recent)
		if err != nil {
			t.Fatal(err)
		}
		var ids []int
		sum := 0.0
		probs := map[int]float64{}
		for _, x := range got {
			ids = append(ids, x.ID)
			probs[x.ID] = math.Exp(x.LogProb)
			sum += probs[x.ID]
		}
		if !slices.Equal(ids, c.want) || math.Abs(sum-1) > 1e-12 {
			t.Errorf("%+v: ids %v with probability %v together, expected %v and 1", c.sampling, ids, sum, c.want)
		}
		s := gpt.NewSampler(c.sampling)
		const draws = 20000
		drawn := map[int]float64{}
		for range draws {
			id, _, err := s.Next(logits, c.recent)
			if err != nil {
				t.Fatal(err)
			}
			drawn[id] += 1.0 / draws
		}
		for id := range logits {
			if p := probs[id]; math.Abs(drawn[id]-p) > 5*math.Sqrt(p*(1-p)/draws)+1e-12 {
				t.Errorf("%+v: token %d was drawn in a share of %v, expected %v", c.sampling, id, drawn[id], p)
			}
		}
	}
	if _, err := gpt.NewSampler(gpt.Sampling{Temperature: -1}).Choices(logits, nil); err == nil {
		t.Error("no error for a temperature of -1")
	}
}
