package gpt

import (
	"math"
	"testing"
)

// TestDrawn computes what the filters keep, and with which probabilities, anew.
func TestDrawn(t *testing.T) {
	logits := []float32{1, 3, float32(math.Inf(-1)), 3, 2, 0}
	for _, c := range []struct {
		s    Sampling
		want map[int]float64 // weights, by id
	}{
		{Sampling{}, map[int]float64{1: 1}},
		{Sampling{Temperature: 1}, map[int]float64{0: math.Exp(1), 1: math.Exp(3), 3: math.Exp(3), 4: math.Exp(2), 5: 1}},
		{Sampling{Temperature: 0.5, TopK: 3}, map[int]float64{1: math.Exp(6), 3: math.Exp(6), 4: math.Exp(4)}},
		{Sampling{Temperature: 2, TopP: 0.9}, map[int]float64{1: math.Exp(1.5), 3: math.Exp(1.5), 4: math.Exp(1)}},
		{Sampling{Temperature: 1, MinP: 0.5}, map[int]float64{1: 1, 3: 1}},
		{Sampling{Temperature: 1, TopK: 2, RepeatPenalty: 3, RepeatLastN: -1}, map[int]float64{3: math.Exp(3), 4: math.Exp(2)}},
	} {
		s := NewSampler(c.s)
		id, _, err := s.Next(logits, []int{1})
		if err != nil {
			t.Fatal(err)
		}
		total := 0.0
		for _, w := range c.want {
			total += w
		}
		d := s.Drawn(9)
		got, kept := d.Top, d.Kept
		if p := math.Exp(d.LogProb); math.Abs(p-c.want[id]/total) > 1e-12 {
			t.Errorf("%+v drew %d with probability %v, expected %v", c.s, id, p, c.want[id]/total)
		}
		if kept != len(c.want) || len(got) != len(c.want) || c.want[id] == 0 {
			t.Errorf("%+v kept %d tokens, %v, and drew %d; expected those of %v", c.s, kept, got, id, c.want)
		}
		for i, x := range got {
			if p := math.Exp(x.LogProb); math.Abs(p-c.want[x.ID]/total) > 1e-12 {
				t.Errorf("%+v draws token %d with probability %v, expected %v", c.s, x.ID, p, c.want[x.ID]/total)
			}
			if i > 0 && (got[i-1].LogProb < x.LogProb || got[i-1].LogProb == x.LogProb && got[i-1].ID > x.ID) {
				t.Errorf("%+v: %v is not in order", c.s, got)
			}
		}
		if less := s.Drawn(1); len(less.Top) != 1 || less.Top[0] != got[0] || less.Kept != kept || less.LogProb != d.LogProb {
			t.Errorf("%+v: the likeliest of %d: %+v", c.s, kept, less)
		}
		if NewSampler(c.s).Drawn(1) != nil {
			t.Error("it tells of a token before any was drawn")
		}
	}
}
