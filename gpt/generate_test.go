package gpt_test

import (
	"context"
	"errors"
	"iter"
	"math"
	"slices"
	"testing"

	"caldera/gpt"
	"caldera/gpt/model"
	"caldera/internal/gpttest"
)

// greedy takes the likeliest of all tokens, n times, and never ends a text.
func greedy(n int) gpt.Options {
	return gpt.Options{Predict: n, IgnoreEOS: true}
}

// collect is all tokens that are generated, and the error that ended it.
func collect(tokens iter.Seq2[gpt.Token, error]) (all []gpt.Token, err error) {
	for token, e := range tokens {
		if e != nil {
			err = e
			continue
		}
		all = append(all, token)
	}
	return all, err
}

func generate(t *testing.T, m *model.Model, size int, prompt []int, o gpt.Options) []gpt.Token {
	t.Helper()
	s := gpttest.NewSession(t, m, size)
	defer s.Close()
	tokens, err := collect(s.Generate(context.Background(), prompt, o))
	if err != nil {
		t.Fatal(err)
	}
	return tokens
}

func idsOf(tokens []gpt.Token) []int {
	var ids []int
	for _, x := range tokens {
		ids = append(ids, x.ID)
	}
	return ids
}

// TestSliding recomputes every step of a generation that leaves its context
// several times: in a new session, from the tokens that the context holds then.
func TestSliding(t *testing.T) {
	_, m := tiny(t)
	for _, c := range []struct{ size, prompt int }{{8, 5}, {8, 8}, {7, 1}, {2, 1}, {1, 1}, {0, 60}} {
		prompt := sequence(c.prompt, 257)
		got := generate(t, m, c.size, prompt, greedy(40))
		if len(got) != 40 {
			t.Fatalf("size %d: %d tokens, expected 40", c.size, len(got))
		}
		size := c.size
		if size == 0 {
			size = m.Context
		}
		window := slices.Clone(prompt)
		slid := false
		for i, token := range got {
			logits := gpttest.Feed(t, m, window...)
			id := argmax(logits)
			if token.ID != id || token.Slid != slid {
				t.Fatalf("size %d, prompt of %d: token %d is %d (slid: %v), expected %d (%v)",
					size, c.prompt, i, token.ID, token.Slid, id, slid)
			}
			if want := -crossEntropy(logits[:m.Vocab-1], []int32{int32(id)}); math.Abs(token.LogProb-want) > 1e-4 {
				t.Errorf("size %d: log-probability of token %d is %v, expected %v", size, i, token.LogProb, want)
			}
			if slid = len(window) == size; slid {
				window = slices.Clone(window[size-size/2:])
			}
			window = append(window, id)
		}
	}
}

// argmax is the likeliest token, without the one that ends a text.
func argmax(logits []float32) int {
	last := len(logits) - 1
	return slices.Index(logits[:last], slices.Max(logits[:last]))
}

func TestEOS(t *testing.T) {
	_, m := tiny(t)
	prompt := []int{5, 6, 7}
	free := idsOf(generate(t, m, 0, prompt, greedy(12)))
	// Let the text end at a token that comes up in the middle.
	at := 1
	for slices.Contains(free[:at], free[at]) {
		at++
	}
	end := free[at]
	m.EOS = []int{m.Vocab - 1, end}
	for _, n := range []int{-1, 12} {
		o := greedy(n)
		o.IgnoreEOS = false
		if got := idsOf(generate(t, m, 0, prompt, o)); !slices.Equal(got, free[:at]) {
			t.Errorf("up to %d tokens: %v, expected %v and then the end, %d", n, got, free[:at], end)
		}
	}
	got := idsOf(generate(t, m, 0, prompt, greedy(12)))
	if len(got) != 12 || !slices.Equal(got[:at], free[:at]) || slices.Contains(got, end) {
		t.Errorf("ignoring the end: %v, expected 12 tokens that begin with %v, and no %d", got, free[:at], end)
	}
	// At any temperature, and where a penalty makes likely what is unlikely. Of a
	// vocabulary where all tokens but one end a text, it is the one.
	const only = 9
	m.EOS = slices.DeleteFunc(sequenceTo(m.Vocab), func(id int) bool { return id == only })
	for _, temperature := range []float64{5, 1e300} {
		o := greedy(20)
		o.Temperature, o.RepeatPenalty, o.RepeatLastN = temperature, 0.5, -1
		if got := idsOf(generate(t, m, 0, prompt, o)); !slices.Equal(got, slices.Repeat([]int{only}, 20)) {
			t.Errorf("ignoring the end at temperature %v: %v, expected %d alone", temperature, got, only)
		}
	}
	m.EOS = sequenceTo(m.Vocab)
	s := gpttest.NewSession(t, m, 0)
	defer s.Close()
	_, err := collect(s.Generate(t.Context(), prompt, greedy(3)))
	gpttest.WantError(t, err, "no token to draw", "all 257 tokens of the vocabulary end it")
}

func sequenceTo(n int) []int {
	ids := make([]int, n)
	for i := range ids {
		ids[i] = i
	}
	return ids
}

// TestVocab draws from the tokens that a tokenizer has, where the model has more.
func TestVocab(t *testing.T) {
	_, m := tiny(t)
	prompt := []int{5, 6, 7}
	known := slices.Max(idsOf(generate(t, m, 0, prompt, greedy(12))))
	for _, temperature := range []float64{0, 1, 1e300} {
		o := greedy(50)
		o.Vocab, o.Temperature = known, temperature
		for _, token := range generate(t, m, 0, prompt, o) {
			if token.ID >= known || !(token.LogProb <= 0 && token.LogProb > -100) {
				t.Fatalf("temperature %v: token %d with log-probability %v, expected ids below %d", temperature, token.ID, token.LogProb, known)
			}
		}
	}
	// A text may end with what no tokenizer knows, for it is no part of it.
	m.EOS = []int{known}
	o := greedy(12)
	o.Vocab, o.IgnoreEOS = known, false
	if got := generate(t, m, 0, prompt, o); len(got) == 12 {
		t.Errorf("it went on where %d, the likeliest token, ends it", known)
	}
}

// TestZeroOptions generates with options that nobody set: the likeliest tokens,
// until the context is full or the model ends the text.
func TestZeroOptions(t *testing.T) {
	_, m := tiny(t)
	m.EOS = nil
	for _, c := range []struct{ size, prompt, want int }{{10, 4, 7}, {10, 10, 1}, {0, 3, 62}} {
		prompt := sequence(c.prompt, 257)
		got := generate(t, m, c.size, prompt, gpt.Options{})
		if len(got) != c.want || got[len(got)-1].Slid {
			t.Errorf("a prompt of %d in a context of %d: %d tokens, expected %d, and the context not slid", c.prompt, c.size, len(got), c.want)
		}
		if want := generate(t, m, c.size, prompt, greedy(c.want)); !slices.Equal(idsOf(got), idsOf(want)) {
			t.Errorf("the tokens are %v, expected the likeliest, %v", idsOf(got), idsOf(want))
		}
	}
	// What was read before takes room too.
	s := gpttest.NewSession(t, m, 10)
	defer s.Close()
	if _, err := s.Feed(t.Context(), 1, 2); err != nil {
		t.Fatal(err)
	}
	if tokens, err := collect(s.Generate(t.Context(), []int{3}, gpt.Options{})); err != nil || len(tokens) != 8 {
		t.Errorf("after 3 tokens in a context of 10: %d tokens, %v, expected 8", len(tokens), err)
	}
	first := idsOf(generate(t, m, 0, sequence(3, 257), gpt.Options{}))
	m.EOS = first[5:6]
	if got := idsOf(generate(t, m, 0, sequence(3, 257), gpt.Options{})); !slices.Equal(got, first[:slices.Index(first, first[5])]) {
		t.Errorf("%v, expected the end of the text at %d in %v", got, first[5], first)
	}
}

// TestRepeatWindow looks back further than the context does.
func TestRepeatWindow(t *testing.T) {
	_, m := tiny(t)
	const window = 40
	for _, size := range []int{1, 8, 0} {
		prompt := []int{5}
		o := greedy(100)
		o.RepeatPenalty, o.RepeatLastN = 1e30, window
		ids := append(prompt, idsOf(generate(t, m, size, prompt, o))...)
		for i, id := range ids {
			if at := slices.Index(ids[max(0, i-window):i], id); at >= 0 {
				t.Fatalf("context %d: token %d, %d, stands among the %d before it: %v", size, i, id, window, ids)
			}
		}
	}
}

func TestPredict(t *testing.T) {
	_, m := tiny(t)
	for _, n := range []int{1, 3} {
		if got := generate(t, m, 0, []int{1, 2}, greedy(n)); len(got) != n {
			t.Errorf("asked for %d tokens, got %d", n, len(got))
		}
	}
	// Without a limit it goes on, through many contexts, until nobody listens.
	s := gpttest.NewSession(t, m, 16)
	defer s.Close()
	n := 0
	for _, err := range s.Generate(context.Background(), []int{1}, greedy(-1)) {
		if err != nil {
			t.Fatal(err)
		}
		if n++; n == 100 {
			break
		}
	}
	if n != 100 {
		t.Errorf("without a limit it ended after %d tokens", n)
	}
}

// TestDrawnOfEachToken expects each token among those that were left to draw from.
func TestDrawnOfEachToken(t *testing.T) {
	_, m := tiny(t)
	o := gpt.Options{Sampling: gpt.Sampling{Temperature: 1.5, TopK: 5, Seed: 3}, Predict: 20, IgnoreEOS: true, Drawn: 5}
	for i, x := range generate(t, m, 0, []int{1, 2}, o) {
		if d := x.Drawn; d.Kept != 5 || len(d.Top) != 5 || !slices.Contains(d.Top, gpt.TokenProb{ID: x.ID, LogProb: d.LogProb}) {
			t.Errorf("token %d, %d, was drawn from %+v", i, x.ID, d)
		}
	}
	o.Drawn = 0
	if x := generate(t, m, 0, []int{1, 2}, o)[0]; x.Drawn != nil {
		t.Errorf("without being asked it told of %+v", x.Drawn)
	}
}

func TestSeeds(t *testing.T) {
	_, m := tiny(t)
	o := greedy(20)
	o.Temperature = 1
	text := func(seed uint64) []int {
		o.Seed = seed
		return idsOf(generate(t, m, 0, []int{1, 2}, o))
	}
	one := text(1)
	if again := text(1); !slices.Equal(one, again) {
		t.Errorf("seed 1 gave %v, then %v", one, again)
	}
	if two := text(2); slices.Equal(one, two) {
		t.Errorf("seeds 1 and 2 both gave %v", one)
	}
}

// TestGoOn continues a session that has generated already.
func TestGoOn(t *testing.T) {
	_, m := tiny(t)
	s := gpttest.NewSession(t, m, 0)
	defer s.Close()
	first, err := collect(s.Generate(context.Background(), []int{1, 2, 3}, greedy(4)))
	if err != nil {
		t.Fatal(err)
	}
	ids := idsOf(first)
	if s.Len() != 6 { // the last token that was generated has not been read
		t.Fatalf("3 tokens and 3 of the 4 that followed are read, the session has %d", s.Len())
	}
	rest, err := collect(s.Generate(context.Background(), ids[3:], greedy(5)))
	if err != nil {
		t.Fatal(err)
	}
	ids = append(ids, idsOf(rest)...)
	if want := idsOf(generate(t, m, 0, []int{1, 2, 3}, greedy(9))); !slices.Equal(ids, want) {
		t.Errorf("in two parts %v, at once %v", ids, want)
	}
}

func TestGenerateErrors(t *testing.T) {
	_, m := tiny(t)
	hot := greedy(3)
	hot.Temperature = math.NaN()
	for _, c := range []struct {
		name   string
		size   int
		prompt []int
		o      gpt.Options
		parts  []string
	}{
		{"no prompt", 0, nil, greedy(3), []string{"the prompt has no tokens"}},
		{"long prompt", 0, make([]int, 65), greedy(3), []string{"the prompt has 65 tokens and the context holds 64: shorten it"}},
		{"small context", 10, make([]int, 11), greedy(3), []string{"11 tokens", "holds 10", "or enlarge the context: this model can hold 64"}},
		{"bad id", 0, []int{1, 999}, greedy(3), []string{"token 1 of the input is 999"}},
		{"bad sampling", 0, []int{1}, hot, []string{"temperature", "NaN"}},
		{"large vocabulary", 0, []int{1}, gpt.Options{Sampling: greedy(1).Sampling, Vocab: 258}, []string{"a vocabulary of 258 tokens", "this model has 257"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := gpttest.NewSession(t, m, c.size)
			defer s.Close()
			tokens, err := collect(s.Generate(context.Background(), c.prompt, c.o))
			gpttest.WantError(t, err, c.parts...)
			if len(tokens) > 0 || s.Len() > 0 {
				t.Errorf("%d tokens came all the same, %d were read", len(tokens), s.Len())
			}
		})
	}
}

func TestGenerateCancelled(t *testing.T) {
	_, m := tiny(t)
	s := gpttest.NewSession(t, m, 0)
	defer s.Close()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	n := 0
	for _, err := range s.Generate(ctx, []int{1}, greedy(-1)) {
		if err != nil {
			if !errors.Is(err, context.Canceled) {
				t.Errorf("ended with %v", err)
			}
			break
		}
		if n++; n == 3 {
			cancel()
		}
		if n > 3 {
			t.Fatal("it went on after it was cancelled")
		}
	}
	if n != 3 {
		t.Errorf("%d tokens before it was cancelled, expected 3", n)
	}
}
