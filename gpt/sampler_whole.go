package gpt

// Drawing from the whole vocabulary, without filters: one pass makes all weights. What was drawn from is listed when
// somebody asks.

import (
	"math"
	"slices"

	"caldera/backend"
	"caldera/gpt/internal/draw"
)

// unfiltered reports whether each of n tokens that is not barred may be chosen.
func (s *Sampler) unfiltered(n int) bool {
	return (s.settings.TopK == 0 || s.settings.TopK >= n) && s.words.TopP == 0 && math.IsInf(float64(s.words.MinP), 1)
}

// chooseWhole draws from all of logits, the token after so many draws.
func (s *Sampler) chooseWhole(logits []float32, draws uint32) int {
	sums, total := s.passes.WeightSums(logits, backend.SampleValue(s.best), s.words.Scale), uint64(0)
	for _, sum := range sums {
		total += sum
	}
	u := s.words.SampleRandom(draws, total)
	from := 0
	for i := 0; u >= sums[i]; i++ { // u is less than the sum
		u -= sums[i]
		from += draw.Block
	}
	s.weigh(logits, from)
	s.choice = from
	for u >= s.weights[s.choice-from] {
		u -= s.weights[s.choice-from]
		s.choice++
	}
	s.drawn, s.whole = nil, nil
	if s.forgets {
		return s.choice
	}
	if len(s.logits) == 0 || &s.logits[0] != &logits[0] { // the caller's, who may change them
		s.logits = append(s.logits[:0], logits...)
	}
	s.whole = s.logits
	return s.choice
}

// weigh sets weights to those of the tokens of a block. Weights of all tokens would fill a cache.
func (s *Sampler) weigh(logits []float32, from int) {
	logits = logits[from:min(from+draw.Block, len(logits))]
	s.weights = slices.Grow(s.weights[:0], draw.Block)[:len(logits)]
	draw.Weights(s.weights, logits, backend.SampleValue(s.best), s.words.Scale)
}

// listWhole sets drawn to what chooseWhole drew from.
func (s *Sampler) listWhole() {
	if s.whole == nil {
		return
	}
	s.drawn = s.candidates[:0]
	chosen := s.choice
	for id, logit := range s.whole {
		if id%draw.Block == 0 {
			s.weigh(s.whole, id)
		}
		if id == chosen {
			s.choice = len(s.drawn)
		}
		if logit >= -math.MaxFloat32 {
			s.drawn = append(s.drawn, candidate{int32(id), keyOf(logit), s.weights[id%draw.Block]})
		}
	}
	s.candidates, s.whole = s.drawn, nil
}
