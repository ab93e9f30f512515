package gpt

// Drawing from the whole vocabulary, without filters: one pass makes all weights. What was drawn from is listed when
// somebody asks.

import (
	"math"
	"slices"

	"caldera/backend"
	"caldera/gpt/internal/draw"
)

// wholeBlock is how many tokens are passed over at once where the token that is drawn is looked for.
const wholeBlock = 1024

// unfiltered reports whether each of n tokens that is not barred may be chosen.
func (s *Sampler) unfiltered(n int) bool {
	return (s.settings.TopK == 0 || s.settings.TopK >= n) && s.words.TopP == 0 && math.IsInf(float64(s.words.MinP), 1)
}

// chooseWhole draws from all of logits, the token after so many draws.
func (s *Sampler) chooseWhole(logits []float32, draws uint32) int {
	total := uint64(0)
	s.sums = s.sums[:0]
	for from := 0; from < len(logits); from += wholeBlock {
		s.sums = append(s.sums, s.weigh(logits, from))
		total += s.sums[len(s.sums)-1]
	}
	u := s.words.SampleRandom(draws, total)
	from := 0
	for i := 0; u >= s.sums[i]; i++ { // u is less than the sum
		u -= s.sums[i]
		from += wholeBlock
	}
	s.weigh(logits, from)
	s.choice = from
	for u >= s.weights[s.choice-from] {
		u -= s.weights[s.choice-from]
		s.choice++
	}
	if len(s.logits) == 0 || &s.logits[0] != &logits[0] { // the caller's, who may change them
		s.logits = append(s.logits[:0], logits...)
	}
	s.drawn, s.whole = nil, s.logits
	return s.choice
}

// weigh sets weights to those of the tokens of a block, and returns their sum. Weights of all tokens would fill a cache.
func (s *Sampler) weigh(logits []float32, from int) (sum uint64) {
	logits = logits[from:min(from+wholeBlock, len(logits))]
	s.weights = slices.Grow(s.weights[:0], wholeBlock)[:len(logits)]
	return draw.Weights(s.weights, logits, backend.SampleValue(s.best), s.words.Scale)
}

// listWhole sets drawn to what chooseWhole drew from.
func (s *Sampler) listWhole() {
	if s.whole == nil {
		return
	}
	s.drawn = s.candidates[:0]
	chosen := s.choice
	for id, logit := range s.whole {
		if id%wholeBlock == 0 {
			s.weigh(s.whole, id)
		}
		if id == chosen {
			s.choice = len(s.drawn)
		}
		if logit >= -math.MaxFloat32 {
			s.drawn = append(s.drawn, candidate{int32(id), keyOf(logit), s.weights[id%wholeBlock]})
		}
	}
	s.candidates, s.whole = s.drawn, nil
}
