package gpt_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"caldera/backend"
	"caldera/gpt"
	"caldera/gpt/model"
	"caldera/internal/gpttest"
)

// faulty is a drafter that fails.
type faulty struct {
	guesses []int
	begin   error
	draft   error
}

func (f faulty) Begin(*model.Model, gpt.Options) error { return f.begin }
func (f faulty) Draft(context.Context, gpt.Draft, int) ([]int, error) {
	return f.guesses, f.draft
}

func TestDraftedErrors(t *testing.T) {
	gpt.PaceByRule(t)
	b, m := tiny(t)
	random := func(vocab int) *model.Model {
		m, err := gpt.Random(t.Context(), b, model.Config{Family: "gpt2", Layers: 1, Heads: 2, Width: 16, Context: 64, Vocab: vocab}.Complete(), gpt.LoadOptions{}, 5)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { m.Close() })
		return m
	}
	small, large := random(256), random(300)
	broken := errors.New("it broke")
	for name, c := range map[string]struct {
		d     gpt.Drafter
		vocab int
		parts []string
	}{
		"begin":           {faulty{begin: broken}, 0, []string{"it broke"}},
		"draft":           {faulty{draft: broken}, 0, []string{"it broke"}},
		"too many":        {faulty{guesses: make([]int, 16)}, 0, []string{"the drafter made 16 guesses: expected at most"}},
		"no such token":   {faulty{guesses: []int{1, 257}}, 0, []string{"token 1 of the guesses is 257", "ids 0 to 256"}},
		"negative":        {faulty{guesses: []int{-1}}, 0, []string{"token 0 of the guesses is -1"}},
		"vocabulary":      {modelDrafter(t, small, 0), 0, []string{"the draft model has 256 tokens and the model 257: expected a draft model of the same tokenizer"}},
		"known of vocabs": {modelDrafter(t, small, 0), 257, []string{"the draft model has 256 tokens and the model 257"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := gpttest.NewSession(t, m, 0)
			defer s.Close()
			o := greedy(9)
			o.Drafter, o.Vocab = c.d, c.vocab
			tokens, err := collect(s.Generate(t.Context(), []int{1, 2}, o))
			gpttest.WantError(t, err, c.parts...)
			if len(tokens) > 1 {
				t.Errorf("%d tokens came all the same", len(tokens))
			}
		})
	}
	// A tokenizer of which both models have all tokens, and padding.
	for _, own := range []*model.Model{small, large} {
		o := greedy(20)
		o.Vocab = 250
		if own == large {
			o.Vocab = 257
		}
		if _, counts := drafting(t, m, 0, []int{1}, o, modelDrafter(t, own, 0)); counts.Guesses == 0 {
			t.Errorf("a draft model of %d tokens, of which the tokenizer has %d, made no guesses", own.Vocab, o.Vocab)
		}
	}
	// What the draft model cannot read is not guessed on.
	o := greedy(20)
	o.Vocab = 250
	if got, counts := drafting(t, m, 0, []int{1, 256}, o, modelDrafter(t, small, 0)); counts.Guesses > 0 || len(got) != 20 {
		t.Errorf("after padding %d tokens, %+v, expected 20 and no guesses", len(got), counts)
	}
	s := gpttest.NewSession(t, m, 0)
	defer s.Close()
	for _, n := range []int{-1, 16} {
		_, err := collect(s.Generate(t.Context(), []int{1}, gpt.Options{Drafter: &gpt.NGrams{}, Guesses: n}))
		gpttest.WantError(t, err, "guesses a step: expected 1 to 15, or 0 for 15")
	}
	batch := newBatch(t, m, gpt.BatchOptions{Sequences: 2})
	_, err := batch.Admit([]int{1}, gpt.Options{Drafter: &gpt.NGrams{}})
	gpttest.WantError(t, err, "a drafter for a sequence of a batch: expected none")
	if _, err := gpt.NewModelDrafter(m, gpt.SessionOptions{Context: 65}); err == nil {
		t.Error("a draft model of a context that it cannot have")
	}
}

// TestDraftedCancelled ends a text while guesses are looked at, and while a draft model guesses.
func TestDraftedCancelled(t *testing.T) {
	gpt.PaceByRule(t)
	_, m := tiny(t)
	for at := range 40 {
		s := gpttest.NewSession(t, m, 0)
		o := greedy(-1)
		o.Drafter = modelDrafter(t, m, 0)
		tokens, err := collect(s.Generate(gpttest.Countdown(t.Context(), at), []int{1}, o))
		if !errors.Is(err, context.Canceled) || len(tokens) > at {
			t.Errorf("asked %d times: %d tokens, %v", at, len(tokens), err)
		}
		s.Close()
	}
}

// TestDraftedMemory counts buffers, and runs out of memory for steps of guesses.
func TestDraftedMemory(t *testing.T) {
	gpt.PaceByRule(t)
	full := gpttest.FullAfter(gpttest.OpenCPU(t), 1000)
	m := gpttest.Load(t, full, "testdata/gpt2-tiny", backend.F32)
	before := full.InUse()
	d, err := gpt.NewModelDrafter(m, gpt.SessionOptions{})
	if err != nil {
		t.Fatal(err)
	}
	want, counts := drafting(t, m, 20, sequence(4, 256), greedy(90), free{d})
	if counts.Right < 50 {
		t.Errorf("%+v, expected most guesses to be right", counts)
	}
	d.Close()
	if n := full.InUse(); n != before {
		t.Errorf("%d buffers are left behind", n-before)
	}
	s := gpttest.NewSession(t, m, 20)
	if _, err := collect(s.Generate(t.Context(), sequence(4, 256), greedy(90))); err != nil { // all steps without guesses
		t.Fatal(err)
	}
	s.Reset()
	full.Left = 0
	o := greedy(90)
	o.Drafter = &gpt.NGrams{}
	if got, err := collect(s.Generate(t.Context(), sequence(4, 256), o)); err != nil || !slices.Equal(idsOf(got), idsOf(want)) || s.Drafted().Guesses > 0 {
		t.Errorf("without memory for guesses: %v, %v, %+v, expected %v", idsOf(got), err, s.Drafted(), idsOf(want))
	}
	if full.Left == 0 {
		t.Error("no memory was asked for")
	}
	s.Close()
	if n := full.InUse(); n != before {
		t.Errorf("%d buffers are left behind", n-before)
	}
}
