package gpt

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"gonum.org/v1/gonum/stat/distuv"
)

// llamaCpp returns the settings that llama.cpp takes by default.
func llamaCpp() Sampling {
	return Sampling{Temperature: 0.8, TopK: 40, TopP: 0.95, MinP: 0.05, RepeatPenalty: 1, RepeatLastN: 64}
}

func TestSamplingValidate(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	tests := []struct {
		change func(*Sampling)
		want   string // empty: valid
	}{
		{func(s *Sampling) {}, ""},
		{func(s *Sampling) { *s = Sampling{} }, ""},
		{func(s *Sampling) { s.Temperature, s.TopP, s.MinP, s.RepeatLastN = 1e9, 0, 1, -1 }, ""},
		{func(s *Sampling) { s.Temperature = -1 }, "temperature: found -1, expected a finite number, 0 (greedy) or more"},
		{func(s *Sampling) { s.Temperature = nan }, "temperature: found NaN"},
		{func(s *Sampling) { s.Temperature = inf }, "temperature: found +Inf"},
		{func(s *Sampling) { s.TopK = -1 }, "top-k: found -1, expected 0 (off) or more"},
		{func(s *Sampling) { s.TopP = 7 }, "top-p: found 7, expected 0 to 1, which are both off"},
		{func(s *Sampling) { s.TopP = -0.1 }, "top-p: found -0.1"},
		{func(s *Sampling) { s.TopP = nan }, "top-p: found NaN"},
		{func(s *Sampling) { s.MinP = 1.1 }, "min-p: found 1.1, expected 0 (off) to 1"},
		{func(s *Sampling) { s.MinP = nan }, "min-p: found NaN"},
		{func(s *Sampling) { s.RepeatPenalty = -1 }, "repeat-penalty: found -1, expected a finite number, 0 or more; 0 and 1 are off"},
		{func(s *Sampling) { s.RepeatPenalty = nan }, "repeat-penalty: found NaN"},
		{func(s *Sampling) { s.RepeatPenalty = inf }, "repeat-penalty: found +Inf"},
		{func(s *Sampling) { s.RepeatLastN = -2 }, "repeat-last-n: found -2"},
	}
	for _, test := range tests {
		s := llamaCpp()
		test.change(&s)
		err := s.Validate()
		if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%+v: error %v, want %q", s, err, test.want)
		}
		if _, _, again := NewSampler(s).Next([]float32{1, 2}, nil); fmt.Sprint(again) != fmt.Sprint(err) {
			t.Errorf("%+v: Next gives error %v, want that of Validate, %v", s, again, err)
		}
	}
}

// logs returns the logits of a distribution.
func logs(probabilities ...float64) []float32 {
	var x []float32
	for _, p := range probabilities {
		x = append(x, float32(math.Log(p)))
	}
	return x
}

// drawn returns how often each token is drawn.
func drawn(t *testing.T, s Sampling, logits []float32, recent []int, draws int) []int {
	t.Helper()
	counts := make([]int, len(logits))
	sampler := NewSampler(s)
	for range draws {
		id, logProb, err := sampler.Next(logits, recent)
		if err != nil {
			t.Fatal(err)
		}
		if math.IsNaN(logProb) || logProb > 1e-12 {
			t.Fatalf("log-probability %v", logProb)
		}
		counts[id]++
	}
	return counts
}

// TestFilters draws so often that each token which a filter keeps comes up.
func TestFilters(t *testing.T) {
	logits := logs(0.10, 0.40, 0.05, 0.25, 0.20)
	ties := logs(0.2, 0.3, 0.2, 0.1, 0.2)
	tests := []struct {
		name   string
		s      Sampling
		logits []float32
		recent []int
		want   []int // the tokens that are kept
	}{
		{"none", Sampling{}, logits, []int{1, 3}, []int{0, 1, 2, 3, 4}},
		{"top-k 1", Sampling{TopP: 1, TopK: 1}, logits, nil, []int{1}},
		{"top-k 3", Sampling{TopP: 1, TopK: 3}, logits, nil, []int{1, 3, 4}},
		{"top-k is the vocabulary", Sampling{TopP: 1, TopK: 5}, logits, nil, []int{0, 1, 2, 3, 4}},
		{"top-k beyond the vocabulary", Sampling{TopP: 1, TopK: math.MaxInt}, logits, nil, []int{0, 1, 2, 3, 4}},
		{"top-k of equals", Sampling{TopP: 1, TopK: 3}, ties, nil, []int{0, 1, 2}},
		{"top-p within the first", Sampling{TopP: 0.3}, logits, nil, []int{1}},
		{"top-p of the first two", Sampling{TopP: 0.6}, logits, nil, []int{1, 3}},
		{"top-p of three", Sampling{TopP: 0.7}, logits, nil, []int{1, 3, 4}},
		{"top-p of all but one", Sampling{TopP: 0.9}, logits, nil, []int{0, 1, 3, 4}},
		{"top-p of nearly all", Sampling{TopP: 0.999}, logits, nil, []int{0, 1, 2, 3, 4}},
		{"top-p above 0", Sampling{TopP: math.SmallestNonzeroFloat64}, logits, nil, []int{1}},
		{"top-p above 0 of equals", Sampling{TopP: math.SmallestNonzeroFloat64}, []float32{1, 1, 1}, nil, []int{0}},
		{"top-p of equals", Sampling{TopP: 0.65}, ties, nil, []int{0, 1, 2}},
		{"top-p after top-k", Sampling{TopP: 0.7, TopK: 2}, logits, nil, []int{1, 3}},       // 0.40/0.65 is below 0.7
		{"top-p after top-k, less", Sampling{TopP: 0.6, TopK: 2}, logits, nil, []int{1}},    // and above 0.6
		{"min-p", Sampling{TopP: 1, MinP: 0.3}, logits, nil, []int{1, 3, 4}},                // 0.12 and more
		{"min-p 1", Sampling{TopP: 1, MinP: 1}, []float32{1, 2, 2}, nil, []int{1, 2}},       // the equals of the best
		{"min-p and top-p", Sampling{TopP: 0.7, MinP: 0.3}, logits, nil, []int{1, 3, 4}},    // top-p counts what min-p drops
		{"top-p less than min-p", Sampling{TopP: 0.6, MinP: 0.3}, logits, nil, []int{1, 3}}, //
		{"temperature comes last", Sampling{TopP: 0.6, Temperature: 100}, logits, nil, []int{1, 3}},
		{"penalty", Sampling{TopP: 1, TopK: 1, RepeatPenalty: 2, RepeatLastN: -1}, []float32{3, 4}, []int{1}, []int{0}},
		{"penalty of a negative logit", Sampling{TopP: 1, TopK: 1, RepeatPenalty: 2, RepeatLastN: -1}, []float32{-3, -2}, []int{1}, []int{0}},
		{"penalty counts once", Sampling{TopP: 1, TopK: 1, RepeatPenalty: 2, RepeatLastN: -1}, []float32{3, 8}, []int{1, 1, 1, 1}, []int{1}},
		{"penalty of the last ones", Sampling{TopP: 1, TopK: 1, RepeatPenalty: 2, RepeatLastN: 2}, []float32{3, 4, 0}, []int{1, 2, 2}, []int{1}},
		{"penalty off", Sampling{TopP: 1, TopK: 1, RepeatPenalty: 2, RepeatLastN: 0}, []float32{3, 4}, []int{1}, []int{1}},
		{"one token", Sampling{TopP: 0.5, TopK: 3, MinP: 0.5}, []float32{-7}, nil, []int{0}},
		{"the largest numbers", Sampling{TopP: 0.9, MinP: 0.1, RepeatPenalty: 2, RepeatLastN: -1},
			[]float32{-math.MaxFloat32, math.MaxFloat32, math.MaxFloat32}, []int{0}, []int{1, 2}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if test.s.Temperature == 0 {
				test.s.Temperature = 1
			}
			test.s.Seed = 3
			before := slices.Clone(test.logits)
			var got []int
			for id, n := range drawn(t, test.s, test.logits, test.recent, 1000) {
				if n > 0 {
					got = append(got, id)
				}
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("tokens drawn (-want +got):\n%s", diff)
			}
			if !slices.Equal(before, test.logits) {
				t.Errorf("the logits changed from %v to %v", before, test.logits)
			}
		})
	}
}

// slowKeep says in the plainest way which tokens top-k, top-p and min-p keep, and
// gives the probability of each at the temperature.
func slowKeep(s Sampling, logits []float32) map[int]float64 {
	ids := make([]int, len(logits))
	for i := range ids {
		ids[i] = i
	}
	slices.SortStableFunc(ids, func(a, b int) int {
		switch {
		case logits[a] > logits[b]:
			return -1
		case logits[a] < logits[b]:
			return 1
		}
		return 0
	})
	softmax := func(temperature float64) []float64 {
		p, total := make([]float64, len(ids)), 0.0
		for i, id := range ids {
			p[i] = math.Exp((float64(logits[id]) - float64(logits[ids[0]])) / temperature)
			total += p[i]
		}
		for i := range p {
			p[i] /= total
		}
		return p
	}
	if s.TopK > 0 {
		ids = ids[:min(s.TopK, len(ids))]
	}
	if s.TopP < 1 {
		sum := 0.0
		for i, p := range softmax(1) {
			if sum += p; sum >= s.TopP {
				ids = ids[:i+1]
				break
			}
		}
	}
	probabilities := softmax(1)
	for i, p := range probabilities {
		if p < s.MinP*probabilities[0] {
			ids = ids[:i]
			break
		}
	}
	kept := map[int]float64{}
	for i, p := range softmax(s.Temperature) {
		kept[ids[i]] = p
	}
	return kept
}

// TestFrequencies holds draws to the probabilities of slowKeep, by a chi-squared
// test that fails once in a million seeds. The seed is fixed, so it always passes.
func TestFrequencies(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	logits := make([]float32, 40)
	for i := range logits {
		logits[i] = float32(math.Round(rng.NormFloat64()*4) / 2) // so that some are equal
	}
	for _, s := range []Sampling{
		{Temperature: 1, TopP: 1},
		{Temperature: 0.7, TopP: 1},
		{Temperature: 3, TopP: 1},
		{Temperature: 1, TopP: 1, TopK: 10},
		{Temperature: 1, TopP: 0.8},
		{Temperature: 1, TopP: 1, MinP: 0.1},
		{Temperature: 1.5, TopP: 0.9, TopK: 20, MinP: 0.02},
	} {
		s.RepeatPenalty, s.Seed = 1, 11
		want := slowKeep(s, logits)
		const draws = 20_000
		// Tokens that are expected less than five times are taken together.
		statistic, classes := 0.0, 0
		rareWant, rareGot := 0.0, 0.0
		add := func(got, want float64) {
			statistic += (got - want) * (got - want) / want
			classes++
		}
		for id, n := range drawn(t, s, logits, nil, draws) {
			p, kept := want[id]
			switch {
			case !kept && n > 0:
				t.Errorf("%+v: token %d was drawn %d times, and should be filtered out", s, id, n)
			case p*draws < 5:
				rareWant, rareGot = rareWant+p*draws, rareGot+float64(n)
			default:
				add(float64(n), p*draws)
			}
		}
		if rareWant > 5 {
			add(rareGot, rareWant)
		}
		limit := distuv.ChiSquared{K: float64(classes - 1)}.Quantile(1 - 1e-6)
		if statistic > limit {
			t.Errorf("%+v: χ² is %.1f over %d classes, want at most %.1f", s, statistic, classes, limit)
		}
	}
}

// TestKeepLarge holds the fast selections to slowKeep on a whole vocabulary.
func TestKeepLarge(t *testing.T) {
	logits := VocabularyLogits(5)
	for i := range logits {
		logits[i] = float32(math.Round(float64(logits[i])*8) / 8) // many equals
	}
	for _, k := range []int{1, 40, 1000, 50_256} {
		want := slowKeep(Sampling{TopK: k, TopP: 1, Temperature: 1}, logits)
		s := NewSampler(llamaCpp())
		checkKept(t, fmt.Sprintf("top-k %d", k), s.topK(nil, logits, k), want)
	}
	// Of the tokens that topK looks at first all are likely, and of the others few.
	uneven := slices.Clone(logits)
	for i := range uneven {
		if i%sampleEvery != 0 {
			uneven[i] -= 20
		}
	}
	for _, k := range []int{200, 4000} {
		checkKept(t, fmt.Sprintf("top-k %d of uneven logits", k), NewSampler(llamaCpp()).topK(nil, uneven, k), slowKeep(Sampling{TopK: k, TopP: 1, Temperature: 1}, uneven))
	}
	for _, p := range []float64{0.001, 0.5, 0.95, 0.9999} {
		want := slowKeep(Sampling{TopP: p, Temperature: 1}, logits)
		s := NewSampler(Sampling{TopP: p, Temperature: 1})
		s.best = keyOf(slices.Max(logits))
		got, _ := s.filter(logits, 0)
		checkKept(t, fmt.Sprintf("top-p %v", p), got, want)
	}
}

func checkKept(t *testing.T, name string, got []candidate, want map[int]float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%s keeps %d tokens, want %d", name, len(got), len(want))
	}
	for i, c := range got {
		if _, ok := want[int(c.id)]; !ok {
			t.Fatalf("%s keeps token %d", name, c.id)
		}
		if i > 0 && got[i-1].id >= c.id {
			t.Fatalf("%s: token %d stands behind %d", name, c.id, got[i-1].id)
		}
	}
}

func TestGreedy(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	s := NewSampler(Sampling{TopP: 1, RepeatPenalty: 1})
	for range 1000 {
		logits := make([]float32, 1+rng.IntN(20))
		want := 0
		for i := range logits {
			logits[i] = float32(rng.IntN(5)) // many equals
			if logits[i] > logits[want] {
				want = i
			}
		}
		if id, _, err := s.Next(logits, nil); err != nil || id != want {
			t.Fatalf("logits %v: token %d, error %v, want token %d", logits, id, err, want)
		}
	}
	s = NewSampler(Sampling{TopP: 1, RepeatPenalty: 4, RepeatLastN: -1})
	if id, _, _ := s.Next([]float32{1, 2, 1.5}, []int{1}); id != 2 {
		t.Errorf("token %d, want 2: the penalty counts at temperature 0 too", id)
	}
}

// A logit of -Inf bars its token, whatever the filters and the temperature.
func TestBarred(t *testing.T) {
	barred := float32(math.Inf(-1))
	logits := []float32{barred, 0, barred, -math.MaxFloat32, 0.1, barred}
	for _, s := range []Sampling{
		{TopP: 1, RepeatPenalty: 1},
		{Temperature: math.MaxFloat64, TopP: 1, RepeatPenalty: 1},
		{Temperature: math.MaxFloat64, TopP: 1, TopK: 5, RepeatPenalty: 1},
		{Temperature: math.MaxFloat64, TopP: 0.9999, MinP: math.SmallestNonzeroFloat64, RepeatPenalty: 2, RepeatLastN: -1},
	} {
		got := drawn(t, s, logits, []int{0, 3}, 500)
		if got[0]+got[2]+got[5] > 0 || got[4] == 0 {
			t.Errorf("%+v draws %v of logits %v", s, got, logits)
		}
	}
	s := NewSampler(Sampling{TopP: 1, RepeatPenalty: 1})
	if id, logProb, err := s.Next([]float32{barred, 1, 1}, nil); id != 1 || math.Abs(logProb+math.Ln2) > 1e-12 || err != nil {
		t.Errorf("token %d, log-probability %v, error %v, want token 1 at a half", id, logProb, err)
	}
}

func TestLogProb(t *testing.T) {
	logits := logs(0.5, 0.3, 0.2)
	for i := range logits {
		logits[i] += 80 // softmax does not see it
	}
	// Filters, penalty and temperature must not show in it.
	s := NewSampler(Sampling{Temperature: 9, TopK: 2, TopP: 0.99, RepeatPenalty: 3, RepeatLastN: -1})
	for range 50 {
		id, logProb, err := s.Next(logits, []int{0})
		if err != nil {
			t.Fatal(err)
		}
		if want := math.Log([]float64{0.5, 0.3, 0.2}[id]); math.Abs(logProb-want) > 1e-5 {
			t.Errorf("log-probability of token %d is %v, want %v", id, logProb, want)
		}
	}
	// In float64: against the definition, on a whole vocabulary.
	large := VocabularyLogits(9)
	total := 0.0
	for _, v := range large {
		total += math.Exp(float64(v))
	}
	id, logProb, err := s.Next(large, nil)
	if want := float64(large[id]) - math.Log(total); err != nil || math.Abs(logProb-want) > 1e-11 {
		t.Errorf("log-probability of token %d is %v (error %v), want %v", id, logProb, err, want)
	}
}

func TestDeterminism(t *testing.T) {
	logits := VocabularyLogits(1)
	text := func(seed uint64) (ids []int) {
		settings := llamaCpp()
		settings.Seed, settings.RepeatPenalty = seed, 1.1
		s := NewSampler(settings)
		for range 20 {
			id, _, err := s.Next(logits, ids)
			if err != nil {
				t.Fatal(err)
			}
			ids = append(ids, id)
		}
		return ids
	}
	if a, b := text(1), text(1); !slices.Equal(a, b) {
		t.Errorf("one seed, two texts: %v and %v", a, b)
	}
	if a, b := text(1), text(2); slices.Equal(a, b) {
		t.Errorf("two seeds, one text: %v", a)
	}
}

func TestExtremeTemperatures(t *testing.T) {
	logits := []float32{1, 3, 2.999, -1e30, 0}
	for _, temperature := range []float64{math.SmallestNonzeroFloat64, 1e-6} {
		if got := drawn(t, Sampling{Temperature: temperature, TopP: 1, RepeatPenalty: 1}, logits, nil, 100); got[1] != 100 {
			t.Errorf("temperature %v draws %v, want the best alone", temperature, got)
		}
	}
	for _, temperature := range []float64{1e6, math.MaxFloat64} {
		for id, n := range drawn(t, Sampling{Temperature: temperature, TopP: 1, RepeatPenalty: 1}, []float32{1, 3, 2.999, 0}, nil, 4000) {
			if n < 800 || n > 1200 {
				t.Errorf("temperature %v draws token %d %d times of 4000, want about 1000", temperature, id, n)
			}
		}
	}
}

func TestNextRejects(t *testing.T) {
	penalty := Sampling{TopP: 1, RepeatPenalty: 2, RepeatLastN: -1}
	for _, test := range []struct {
		logits []float32
		recent []int
		want   string
	}{
		{nil, nil, "found 0 logits"},
		{[]float32{1, float32(math.NaN())}, nil, "the logit of token 1 is NaN"},
		{[]float32{float32(math.NaN()), 1}, nil, "the logit of token 0 is NaN"},
		{[]float32{1, 2, float32(math.Inf(1))}, nil, "the logit of token 2 is +Inf"},
		{[]float32{float32(math.Inf(-1)), float32(math.NaN())}, nil, "the logit of token 1 is NaN"},
		{[]float32{float32(math.Inf(-1)), float32(math.Inf(-1))}, nil, "all logits are -Inf"},
		{[]float32{1, 2}, []int{2}, "found recent token 2, expected 0 to 1"},
		{[]float32{1, 2}, []int{-1}, "found recent token -1"},
	} {
		if _, _, err := NewSampler(penalty).Next(test.logits, test.recent); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("logits %v after %v: error %v, want one with %q", test.logits, test.recent, err, test.want)
		}
	}
}
