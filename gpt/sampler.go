package gpt

// Choosing the next token from the model's logits, on the host. The filters and
// their order are llama.cpp's: repeat penalty, top-k, top-p, min-p, temperature.
// What decides is computed in integers, as [backend.Sample] does on a device: equal
// logits give equal tokens wherever they are drawn.
// sampler_select.go has the parts that are fast on a vocabulary of 50,257. A new
// filter is a field of Sampling, a line in Validate and a step in filter.

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"caldera/backend"
	"caldera/gpt/internal/draw"
	"caldera/internal/setting"
)

// Sampling says how to choose a token. Its fields are llama.cpp's options of the
// same names. In the zero value all filters are off and the choice is greedy; Sampling{Temperature: 1} draws each
// token with the probability that the model gives it.
type Sampling struct {
	// Temperature divides the logits: below 1 likely tokens become likelier,
	// above 1 unlikely ones do. 0 is greedy: the token with the largest logit.
	Temperature float64

	// TopK keeps the k tokens with the largest logits. 0 keeps all.
	TopK int

	// TopP keeps the fewest tokens, the most probable first, whose probabilities
	// add up to p or more, and at least one. 1 is off and keeps all, and so is 0;
	// llama.cpp's 0, which keeps the most probable one, is TopK 1 here.
	// Holtzman et al., https://arxiv.org/abs/1904.09751.
	TopP float64

	// MinP keeps the tokens whose probability is at least MinP times that of the
	// most probable one. 0 keeps all, 1 the most probable ones.
	// Nguyen et al., https://arxiv.org/abs/2407.01082.
	MinP float64

	// RepeatPenalty makes tokens less likely that are among the last RepeatLastN: a
	// positive logit is divided by it, any other is multiplied. 1 is off, and so is
	// 0; between them repetition is favoured. Keskar et al., https://arxiv.org/abs/1909.05858.
	RepeatPenalty float64

	// RepeatLastN is how many of the latest tokens RepeatPenalty looks at.
	// 0 is off, -1 means all of them.
	RepeatLastN int

	// Seed determines the choices: samplers of equal Sampling that are given equal
	// logits choose equal tokens, on every backend. The n-th token that is drawn depends
	// on the n-th random number of the seed, whatever the others are.
	Seed uint64
}

// Validate reports the first setting that is out of range.
func (s Sampling) Validate() error {
	// The comparisons are written so that NaN fails them.
	switch {
	case !(s.Temperature >= 0) || math.IsInf(s.Temperature, 1):
		return setting.Errorf("{temperature}: found %v, expected a finite number, 0 (greedy) or more", s.Temperature)
	case s.TopK < 0:
		return setting.Errorf("{top-k}: found %d, expected 0 (off) or more", s.TopK)
	case !(s.TopP >= 0 && s.TopP <= 1):
		return setting.Errorf("{top-p}: found %v, expected 0 to 1, which are both off", s.TopP)
	case !(s.MinP >= 0 && s.MinP <= 1):
		return setting.Errorf("{min-p}: found %v, expected 0 (off) to 1", s.MinP)
	case !(s.RepeatPenalty >= 0) || math.IsInf(s.RepeatPenalty, 1):
		return setting.Errorf("{repeat-penalty}: found %v, expected a finite number, 0 or more; 0 and 1 are off", s.RepeatPenalty)
	case s.RepeatLastN < -1:
		return setting.Errorf("{repeat-last-n}: found %d, expected -1 (all tokens), 0 (off) or more", s.RepeatLastN)
	}
	return nil
}

// Sampler chooses tokens. It is not safe for use by several goroutines.
type Sampler struct {
	settings Sampling
	err      error // what settings.Validate says
	words    backend.SampleSettings
	draws    uint32 // so far

	drawn  []candidate // what the latest token was drawn from, in the order of ids
	choice int         // index in drawn
	whole  []float32   // logits of the whole vocabulary, where that was drawn from and drawn is not made; choice is an id
	best   uint32      // the largest key, of logits with the penalty

	// Buffers that are used again for each token, so that choosing one allocates nothing.
	logits     []float32   // with the penalty applied
	forgets    bool        // Drawn is not asked for
	seen       []uint32    // by token: the round in which it was last penalized
	round      uint32      // counts the calls of Next
	candidates []candidate // in the order of their ids
	scratch    []candidate // of kth, and of topP in another order
	weights    []uint64    // of some tokens, by their ids
	sample     []float32   // of topK and weighCandidates: some of the logits
	cells      [selectCells]int32
	rest       []candidate // of kth, in another order
	finder     draw.Finder
	passes     draw.Passes
}

// candidate is a token that may be chosen.
type candidate struct {
	id     int32
	key    uint32 // of its logit: see backend.SampleKey
	weight uint64 // in proportion to its probability: see backend.SampleWeight
}

// NewSampler returns a Sampler for s. If s is not valid, each Next returns the
// error of s.Validate.
func NewSampler(s Sampling) *Sampler {
	err := s.Validate()
	s.TopP, s.RepeatPenalty = cmp.Or(s.TopP, 1), cmp.Or(s.RepeatPenalty, 1)
	return &Sampler{settings: s, err: err,
		words: backend.NewSampleSettings(s.Temperature, s.TopK, s.TopP, s.MinP, s.RepeatPenalty, s.RepeatLastN, s.Seed)}
}

// useThreads lets the sampler use the threads of a backend, if it shares them. Next may be called then when the backend's Run may.
// A batch, which draws for several texts at once, does not.
func (s *Sampler) useThreads(b backend.Backend) { s.passes.Backend = b }

// Next chooses a token. logits has one number for each token of the vocabulary and
// is not changed; a token with -Inf is never chosen. recent are the ids of the
// tokens so far, the latest last.
//
// logProb is the natural logarithm of the probability that the model itself gives
// to the token: the softmax of logits over the whole vocabulary, at temperature 1
// and without filters or penalty, in float64.
//
// Among equal logits the lowest id comes first, in greedy choice and in filters.
// Next returns a [LogitError] if a logit is NaN or +Inf, which means that the model or
// the device failed, or if all are -Inf, and another error if a recent token is not in the vocabulary.
func (s *Sampler) Next(logits []float32, recent []int) (id int, logProb float64, err error) {
	penalized, first, best, err := s.prepare(logits, recent)
	if err != nil {
		return 0, 0, err
	}
	total := s.passes.ExpSum(logits, best)
	sum := total
	if &penalized[0] != &logits[0] {
		sum = 0
	}
	id = s.choose(penalized, first, sum)
	return id, float64(logits[id]) - float64(best) - math.Log(total), nil
}

// prepare checks the logits, of which best is the largest, and applies the repeat
// penalty. first is the token with the largest logit after that.
func (s *Sampler) prepare(logits []float32, recent []int) (penalized []float32, first int, best float32, err error) {
	if s.err != nil {
		return nil, 0, 0, s.err
	}
	if len(logits) == 0 || len(logits) > math.MaxInt32 {
		return nil, 0, 0, fmt.Errorf("sampling: found %d logits, expected one for each token of the vocabulary", len(logits))
	}
	if first, err = s.argmax(logits); err != nil {
		return nil, 0, 0, err
	}
	best = logits[first]
	if penalized, err = s.penalize(logits, recent); err != nil {
		return nil, 0, 0, err
	}
	if &penalized[0] != &logits[0] {
		first, _ = s.argmax(penalized) // which found no fault before, and penalize adds none
	}
	return penalized, first, best, nil
}

// Drawn tells what the latest call of Next drew from, with the n likeliest tokens of
// it. It is nil if Next has drawn none, or Choices was called since.
func (s *Sampler) Drawn(n int) *Drawn {
	s.listWhole()
	if s.drawn == nil {
		return nil
	}
	logTotal := s.logTotal(s.drawn)
	return &Drawn{s.exponent(s.drawn[s.choice]) - logTotal, len(s.drawn), first(n, len(s.drawn), func(yield func(int, float64) bool) {
		for _, c := range s.drawn {
			if !yield(int(c.id), s.exponent(c)-logTotal) {
				return
			}
		}
	})}
}

// exponent is the natural logarithm of how likely a token is beside the likeliest, at the
// temperature.
func (s *Sampler) exponent(c candidate) float64 {
	if s.settings.Temperature == 0 {
		return 0 // there is one
	}
	return (float64(backend.SampleValue(c.key)) - float64(backend.SampleValue(s.best))) / s.settings.Temperature
}

// logTotal is the natural logarithm of the sum of the exponentials of those.
func (s *Sampler) logTotal(c []candidate) float64 {
	total := 0.0
	for _, x := range c {
		total += draw.Exp(s.exponent(x))
	}
	return math.Log(total)
}

// A LogitError is the error of logits from which no token can be drawn, because the
// model's weights or the device are at fault.
type LogitError struct{ text string }

func (e *LogitError) Error() string { return "sampling: " + e.text }

func notFinite(id int, logit float32) *LogitError {
	return &LogitError{fmt.Sprintf("the logit of token %d is %v, expected a finite number: the model's weights or the device are at fault", id, logit)}
}

func errAllBarred() *LogitError {
	return &LogitError{"all logits are -Inf, expected one token at least that may be chosen"}
}

// argmax returns the index of the largest of x, the first if there are several. It
// is an error if one is NaN or +Inf, or if all are -Inf.
func (s *Sampler) argmax(x []float32) (int, error) {
	best, ok := s.passes.Largest(x)
	if !ok {
		i := slices.IndexFunc(x, func(v float32) bool { return v-v != 0 && !math.IsInf(float64(v), -1) })
		return 0, notFinite(i, x[i])
	}
	largest := x[best]
	if math.IsInf(float64(largest), -1) {
		return 0, errAllBarred()
	}
	if keyOf(largest) == keyOf(0) { // others may have the same key
		least := leastOf(keyOf(0))
		best = slices.IndexFunc(x, func(v float32) bool { return v >= least })
	}
	return best, nil
}

// looksAt are those of the tokens so far that the repeat penalty looks at.
func (s *Sampler) looksAt(recent []int) []int {
	switch n := s.settings.RepeatLastN; {
	case s.settings.RepeatPenalty == 1:
		return nil
	case n >= 0:
		return recent[max(0, len(recent)-n):]
	}
	return recent
}

// penalize returns the logits with the repeat penalty applied.
func (s *Sampler) penalize(logits []float32, recent []int) ([]float32, error) {
	if recent = s.looksAt(recent); len(recent) == 0 {
		return logits, nil
	}
	if len(s.seen) != len(logits) || s.round == math.MaxUint32 {
		s.seen, s.round = make([]uint32, len(logits)), 0
	}
	s.round++
	s.logits = append(s.logits[:0], logits...)
	for _, id := range recent {
		if id < 0 || id >= len(logits) {
			return nil, fmt.Errorf("sampling: found recent token %d, expected 0 to %d", id, len(logits)-1)
		}
		if s.seen[id] == s.round {
			continue // a token that was there several times is penalized once
		}
		s.seen[id] = s.round
		if key := keyOf(s.logits[id]); backend.SampleKeyFinite(key) { // -Inf is never chosen anyway
			s.logits[id] = backend.SampleValue(s.words.SamplePenalty(key))
		}
	}
	return s.logits, nil
}

// choose applies the filters to logits and draws a token. first is the token
// with the largest logit, and sum as of filter.
func (s *Sampler) choose(logits []float32, first int, sum float64) int {
	draws := s.draws
	s.draws++
	s.best, s.whole = keyOf(logits[first]), nil
	if s.settings.Temperature == 0 {
		s.candidates = append(s.candidates[:0], candidate{int32(first), s.best, 1})
		s.drawn, s.choice = s.candidates, 0
		return first
	}
	if s.unfiltered(len(logits)) {
		return s.chooseWhole(logits, draws)
	}
	var total uint64
	if s.drawn, total = s.filter(logits, sum); total == 0 {
		total = s.weighCandidates(s.drawn, s.words.Scale)
	}
	// Drawing in the order of ids, and not of probabilities, keeps the choice the
	// same where two backends' logits differ in the last bit.
	u := s.words.SampleRandom(draws, total)
	s.choice = 0
	for u >= s.drawn[s.choice].weight { // u is less than the sum
		u -= s.drawn[s.choice].weight
		s.choice++
	}
	return int(s.drawn[s.choice].id)
}

// weighCandidates sets the weights of c, for distances times scale, and returns their sum.
func (s *Sampler) weighCandidates(c []candidate, scale float32) (total uint64) {
	s.sample = s.sample[:0]
	for _, x := range c {
		s.sample = append(s.sample, backend.SampleValue(x.key))
	}
	s.weights = slices.Grow(s.weights[:0], len(c))[:len(c)]
	total = draw.Weights(s.weights, s.sample, backend.SampleValue(s.best), scale)
	for i, w := range s.weights {
		c[i].weight = w
	}
	return total
}

// Choices are the tokens that Next would choose from, in the order of their ids: each
// with the natural logarithm of the probability that Next chooses it. Greedy choice
// has one. Arguments and errors are those of Next.
func (s *Sampler) Choices(logits []float32, recent []int) ([]TokenProb, error) {
	penalized, first, _, err := s.prepare(logits, recent)
	if err != nil {
		return nil, err
	}
	if s.settings.Temperature == 0 {
		return []TokenProb{{first, 0}}, nil
	}
	s.best = keyOf(penalized[first])
	c, _ := s.filter(penalized, 0)
	s.drawn, s.whole = nil, nil // whose memory c has
	logTotal := s.logTotal(c)
	out := make([]TokenProb, len(c))
	for i, x := range c {
		out[i] = TokenProb{int(x.id), s.exponent(x) - logTotal}
	}
	return out, nil
}

// filter returns the tokens that top-k, top-p and min-p keep, in the order of ids. weighed is the sum
// of their weights where these are those at the temperature, else 0. s.best is the largest key. sum is that
// of the exponentials of logits less the largest; 0 if it is not known.
//
// Top-p and min-p both keep the first tokens of the order by probability, and
// neither depends on how many the other keeps. So it does not matter which comes
// first, and min-p does, because it leaves less to the slower top-p.
func (s *Sampler) filter(logits []float32, sum float64) (c []candidate, weighed uint64) {
	c = slices.Grow(s.candidates[:0], len(logits))
	s.candidates = c
	total := uint64(0) // of the weights that top-p refers to
	if s.settings.TopK > 0 && s.settings.TopK < len(logits) {
		c = s.topK(c, logits, s.settings.TopK)
		c = slices.DeleteFunc(c, func(x candidate) bool { return x.key == backend.SampleKeyNone })
		if s.words.TopP > 0 {
			total = s.weighCandidates(c, 1)
		}
		if s.words.MinP <= math.MaxFloat32 {
			c = slices.DeleteFunc(c, func(x candidate) bool { return backend.SampleDistance(s.best, x.key) > s.words.MinP })
		}
	} else if s.words.TopP > 0 {
		// The sum of exponentials, which is there, mostly decides as that of weights does: that takes longer.
		if sum > 0 {
			about := sum * (1 << 40)
			off := about*sumError + float64(2*len(logits))
			low, high := s.words.SampleTarget(uint64(max(0, about-off))), s.words.SampleTarget(uint64(about+off))
			c = s.topP(s.near(c, logits, about-off), low)
			mass := uint64(0)
			for _, x := range c {
				mass += x.weight
			}
			if mass >= high {
				return c, 0
			}
			c = s.candidates[:0]
		}
		best := backend.SampleValue(s.best)
		for _, logit := range logits {
			total += backend.SampleWeight(float32(best - logit)) // the same as of a distance, for all numbers
		}
		c = s.near(c, logits, float64(total))
	} else {
		return s.all(c, logits)
	}
	if s.words.TopP > 0 {
		c = s.topP(c, s.words.SampleTarget(total))
	}
	return c, 0
}

// sumError is how far the sum of exponentials may be from that of weights, in proportion: a
// distance, up to 32, is rounded to 24 bits, and a weight to 25.
const sumError = 3e-6

// near appends the tokens that top-p and min-p may keep where all weights add up to total, or a
// little more, with their weights.
func (s *Sampler) near(c []candidate, logits []float32, total float64) []candidate {
	best := backend.SampleValue(s.best)
	// All tokens that are less probable than (1−p)/n have together less than 1−p, so that
	// top-p keeps none of them. A little more, for weights are rounded.
	least := total * (1 - float64(s.words.TopP)/(1<<64)) / float64(len(logits))
	most := min(float64(s.words.MinP), 1e-3-math.Log(least/(1<<40)))
	floor := s.floor(best, most)
	for _, id := range s.finder.Above(logits, floor) {
		logit := logits[id]
		if d := backend.SampleBelow(best, logit); d <= s.words.MinP {
			c = append(c, candidate{id, keyOf(logit), backend.SampleWeight(d)})
		}
	}
	return c
}

// all appends the tokens that min-p keeps, with their weights at the temperature, and adds these up.
func (s *Sampler) all(c []candidate, logits []float32) ([]candidate, uint64) {
	total := uint64(0)
	best := backend.SampleValue(s.best)
	floor := s.floor(best, float64(s.words.MinP))
	for _, id := range s.finder.Above(logits, floor) {
		logit := logits[id]
		if d := backend.SampleBelow(best, logit); d <= s.words.MinP {
			weight := backend.SampleWeight(float32(d * s.words.Scale)) // 0 where the product overflows
			c = append(c, candidate{id, keyOf(logit), weight})
			total += weight
		}
	}
	return c, total
}

// floor is below all logits that are up to most below the largest: those further down need no key.
// What rounding does is less than what it leaves.
func (s *Sampler) floor(best float32, most float64) float32 {
	return float32(max(float64(best)-most*(1+1e-6)-1e-6*math.Abs(float64(best))-1e-37, -math.MaxFloat32))
}
