package gpt_test

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"

	"caldera/backend"
	"caldera/gpt"
	"caldera/gpt/model"
	"caldera/internal/devicetest"
	"caldera/internal/gpttest"
)

func newBatch(t *testing.T, m *model.Model, o gpt.BatchOptions) *gpt.Batch {
	t.Helper()
	b, err := gpt.NewBatch(m, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}

func admit(t *testing.T, b *gpt.Batch, prompt []int, o gpt.Options) *gpt.Sequence {
	t.Helper()
	s, err := b.Admit(prompt, o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func fork(t *testing.T, s *gpt.Sequence, o gpt.Options) *gpt.Sequence {
	t.Helper()
	f, err := s.Fork(o)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// collectAll runs a batch to its end.
func collectAll(t *testing.T, b *gpt.Batch) map[*gpt.Sequence][]gpt.Event {
	t.Helper()
	all := map[*gpt.Sequence][]gpt.Event{}
	for e, err := range b.Run(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		all[e.Sequence] = append(all[e.Sequence], e)
	}
	return all
}

// tokensOf are the tokens of events, with all that they tell.
func tokensOf(events []gpt.Event) (tokens []gpt.Token) {
	for _, e := range events {
		if e.Token != nil {
			tokens = append(tokens, *e.Token)
		}
	}
	return tokens
}

// TestBatchIsSession expects of a batch what sessions draw: with samplers, penalties, the
// end of a text, and contexts that slide.
func TestBatchIsSession(t *testing.T) {
	gpt.DrawAnywhere(t)
	devicetest.EachBackend(t, func(t *testing.T, b backend.Backend) {
		m := gpttest.Load(t, b, "testdata/gpt2-tiny", backend.F32)
		options := []gpt.Options{
			{Predict: 70, IgnoreEOS: true, Sampling: gpt.Sampling{Temperature: 1, TopK: 40, TopP: 0.9, Seed: 3}, LogProbs: 3},
			{Predict: 12, Sampling: gpt.Sampling{Temperature: 0.8, RepeatPenalty: 1.3, RepeatLastN: -1, Seed: 4}, Drawn: 2},
			{},
			{Predict: 1},
			{Predict: 30, Vocab: 200, Barred: []int{7, 9}, Sampling: gpt.Sampling{Temperature: 2, MinP: 0.01, Seed: 5}},
		}
		for _, together := range []int{1, len(options)} {
			batch := newBatch(t, m, gpt.BatchOptions{Sequences: together, Context: 40, Block: 16})
			for i := 0; i < len(options); i += together {
				var sequences []*gpt.Sequence
				for j, o := range options[i:][:together] {
					sequences = append(sequences, admit(t, batch, sequence(5+3*(i+j), 250), o))
				}
				all := collectAll(t, batch)
				for j, s := range sequences {
					o := options[i+j]
					session := gpttest.NewSession(t, m, 40)
					defer session.Close()
					var want []gpt.Token
					for token, err := range session.Generate(t.Context(), sequence(5+3*(i+j), 250), o) {
						if err != nil {
							t.Fatal(err)
						}
						want = append(want, token)
					}
					compareTokens(t, tokensOf(all[s]), want)
					end := gpt.Limit
					if n := len(want); n < o.Predict || o.Predict == 0 && n < 40-len(sequence(5+3*(i+j), 250))+1 {
						end = gpt.EndOfText
					}
					if last := all[s][len(all[s])-1]; last.End != end || !s.Ended() || s.Generated() != len(want) {
						t.Errorf("sequence %d ended with %v after %d tokens, expected %v after %d", i+j, last.End, s.Generated(), end, len(want))
					}
				}
			}
		}
	})
}

// compareTokens expects the same ids, with log-probabilities that differ by rounding.
func compareTokens(t *testing.T, got, want []gpt.Token) {
	t.Helper()
	near := func(a, b float64) bool { return a-b < 1e-4 && b-a < 1e-4 }
	if len(got) != len(want) {
		t.Fatalf("%d tokens, expected %d", len(got), len(want))
	}
	for i, g := range got {
		w := want[i]
		same := g.ID == w.ID && g.Slid == w.Slid && near(g.LogProb, w.LogProb) && len(g.Top) == len(w.Top) && (g.Drawn == nil) == (w.Drawn == nil)
		for j := range min(len(g.Top), len(w.Top)) {
			same = same && near(g.Top[j].LogProb, w.Top[j].LogProb)
		}
		if g.Drawn != nil && w.Drawn != nil {
			same = same && g.Drawn.Kept == w.Drawn.Kept && near(g.Drawn.LogProb, w.Drawn.LogProb)
		}
		if !same {
			t.Fatalf("token %d is %+v, expected %+v", i, g, w)
		}
	}
}

// TestBatchBits expects the same bits of a sequence, whatever others hold, and
// whichever blocks it has.
func TestBatchBits(t *testing.T) {
	devicetest.EachBackend(t, func(t *testing.T, b backend.Backend) {
		for _, dir := range []string{"gpt2-tiny", "llama-grouped"} {
			m := gpttest.Load(t, b, "testdata/"+dir, backend.F32)
			run := func(others int, permute bool) (tokens []gpt.Token, blocks []int) {
				batch := newBatch(t, m, gpt.BatchOptions{Sequences: 8, Context: 40, Block: 4, Chunk: 16})
				if permute { // which blocks are free, and in which order
					var held []*gpt.Sequence
					for i := range 7 {
						held = append(held, admit(t, batch, sequence(9+i, 90), gpt.Options{Predict: 20, IgnoreEOS: true}))
					}
					for range 5 {
						if _, err := batch.Step(t.Context()); err != nil {
							t.Fatal(err)
						}
					}
					for _, i := range []int{3, 0, 6, 1, 5, 2, 4} {
						held[i].End()
					}
				}
				var s *gpt.Sequence
				for i := range 8 {
					if i == 3 {
						s = admit(t, batch, sequence(17, 90), gpt.Options{Predict: 40, IgnoreEOS: true, LogProbs: 100})
						continue
					}
					prompt := sequence(17+i%3, 90)
					for j := range prompt {
						prompt[j] = (prompt[j]*others + i) % 100
					}
					admit(t, batch, prompt, gpt.Options{Predict: 40, IgnoreEOS: true})
				}
				for e, err := range batch.Run(t.Context()) {
					if err != nil {
						t.Fatal(err)
					}
					if e.Sequence == s {
						tokens = append(tokens, *e.Token)
						blocks = append(blocks, s.BlockNumbers()...)
					}
				}
				return tokens, blocks
			}
			want, blocks := run(1, false)
			for _, c := range []struct {
				what    string
				others  int
				permute bool
			}{{"nothing is changed", 1, false}, {"others hold other tokens", 7, false}, {"blocks have other numbers", 1, true}} {
				got, has := run(c.others, c.permute)
				if !reflect.DeepEqual(got, want) {
					t.Errorf("%s, %s: the sequence has other bits", dir, c.what)
				}
				if slices.Equal(has, blocks) == c.permute {
					t.Errorf("%s, %s: the sequence has blocks %v, before %v", dir, c.what, has[:5], blocks[:5])
				}
			}
		}
	})
}

// TestFork expects of forks the texts of sequences that were admitted with the same
// tokens, and that they share the blocks that are full.
func TestFork(t *testing.T) {
	devicetest.EachBackend(t, func(t *testing.T, b backend.Backend) {
		m := gpttest.Load(t, b, "testdata/gpt2-tiny", backend.F32)
		prompt := sequence(21, 250)
		sampled := func(seed uint64, n int) gpt.Options {
			return gpt.Options{Predict: n, IgnoreEOS: true, Sampling: gpt.Sampling{Temperature: 1, Seed: seed}}
		}
		alone := func(text []int, o gpt.Options) (tokens []gpt.Token) {
			s := gpttest.NewSession(t, m, 64)
			defer s.Close()
			for token, err := range s.Generate(t.Context(), text, o) {
				if err != nil {
					t.Fatal(err)
				}
				tokens = append(tokens, token)
			}
			return tokens
		}
		batch := newBatch(t, m, gpt.BatchOptions{Sequences: 7, Block: 8, Chunk: 8})
		other := admit(t, batch, []int{1}, sampled(7, 40)) // for which the prompt is read in parts
		const others = 5                                   // blocks that it reserves

		// Before the prompt is read: it is read once.
		var answers []*gpt.Sequence
		answers = append(answers, admit(t, batch, prompt, sampled(0, 9)))
		for i := range 4 {
			answers = append(answers, fork(t, answers[i], sampled(uint64(i+1), 9)))
		}
		need, err := gpt.BatchOptions{Sequences: 7, Block: 8}.Need(m.Config, len(prompt), 9, 5)
		if mem := batch.Memory(); err != nil || need != 4+4*2 || mem.Reserved != need+others || mem.Used != 0 {
			t.Errorf("five answers reserve %d blocks, and need %d (%v), expected 12", mem.Reserved, need, err)
		}
		all := map[*gpt.Sequence][]gpt.Event{}
		for step := range 3 {
			events, err := batch.Step(t.Context())
			if err != nil || step < 2 && len(events) != 1 {
				t.Fatalf("step %d gave %d events, %v", step, len(events), err)
			}
			for _, e := range events {
				all[e.Sequence] = append(all[e.Sequence], e)
			}
		}
		if mem := batch.Memory(); mem.Used != 3+4+1 || mem.Reserved != need+others {
			t.Errorf("five answers use %d blocks, expected three, of which two are shared, and four copies; %d are reserved", mem.Used, mem.Reserved)
		}
		if n, own := answers[4].Blocks(); n != 3 || own != 1 {
			t.Errorf("a fork has %d blocks, %d its own, expected 3 and 1", n, own)
		}

		// Amid its text: a fork goes on with the same tokens.
		parent := answers[2]
		late := fork(t, parent, sampled(9, 5))
		text := parent.Tokens()
		if want := append(slices.Clone(prompt), tokensOf(all[parent])[0].ID); !slices.Equal(text, want) || !slices.Equal(late.Tokens(), want) {
			t.Errorf("the parent has %v and the fork %v, expected %v", text, late.Tokens(), want)
		}
		other.End()
		for s, events := range collectAll(t, batch) {
			all[s] = append(all[s], events...)
		}
		for i, s := range answers {
			compareTokens(t, tokensOf(all[s]), alone(prompt, sampled(uint64(i), 9)))
		}
		compareTokens(t, tokensOf(all[late]), alone(text, sampled(9, 5)))
		if mem := batch.Memory(); mem.Used != 0 {
			t.Errorf("%d blocks are used by no sequence", mem.Used)
		}
		_, err = late.Fork(sampled(1, 1))
		gpttest.WantError(t, err, "has ended")

		// The one that reads the prompt ends before it is read: another goes on.
		first := admit(t, batch, prompt, sampled(0, 9))
		second, third := fork(t, first, sampled(1, 9)), fork(t, first, sampled(2, 9))
		admit(t, batch, []int{1}, sampled(7, 2))
		if _, err := batch.Step(t.Context()); err != nil || len(first.Tokens()) > len(prompt) {
			t.Fatalf("%v, or the prompt was read at once", err)
		}
		first.End()
		first.End()
		all = collectAll(t, batch)
		compareTokens(t, tokensOf(all[second]), alone(prompt, sampled(1, 9)))
		compareTokens(t, tokensOf(all[third]), alone(prompt, sampled(2, 9)))
		if len(all[first]) > 0 || batch.Memory().Used != 0 {
			t.Errorf("the sequence that was ended got %d events, and %d blocks are used", len(all[first]), batch.Memory().Used)
		}
	})
}

// TestBatchFairness expects that sequences get a token in each step while a long prompt
// is read, a part in each, and that a prompt with nobody waiting is read at once.
func TestBatchFairness(t *testing.T) {
	_, m := tiny(t)
	batch := newBatch(t, m, gpt.BatchOptions{Sequences: 4, Chunk: 8})
	running := []*gpt.Sequence{
		admit(t, batch, []int{1}, gpt.Options{Predict: 40, IgnoreEOS: true}),
		admit(t, batch, []int{2}, gpt.Options{Predict: 40, IgnoreEOS: true}),
	}
	long := admit(t, batch, sequence(50, 250), gpt.Options{Predict: 3, IgnoreEOS: true})
	short := admit(t, batch, sequence(3, 250), gpt.Options{Predict: 3, IgnoreEOS: true})
	for step := range 8 {
		events, err := batch.Step(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var got []*gpt.Sequence
		for _, e := range events {
			got = append(got, e.Sequence)
		}
		want := slices.Clone(running)
		if step == 6 { // 50 tokens, 8 a step: two are left, and the short prompt's three fit beside
			want = append(want, long, short)
		}
		if step == 7 {
			want = append(want, long, short)
		}
		if !slices.Equal(got, want) {
			t.Errorf("step %d gave %d events, expected %d", step, len(got), len(want))
		}
	}
	for _, s := range batch.Live() {
		s.End()
	}
	admit(t, batch, sequence(50, 250), gpt.Options{Predict: 1})
	if events, err := batch.Step(t.Context()); err != nil || len(events) != 1 || events[0].End != gpt.Limit {
		t.Errorf("a prompt for which nobody waits gave %v, %v after a step", events, err)
	}
}

// TestPrefill reads prompts while a sequence that has read its own waits, and expects of
// each what it draws otherwise.
func TestPrefill(t *testing.T) {
	_, m := tiny(t)
	batch := newBatch(t, m, gpt.BatchOptions{Sequences: 3, Chunk: 8})
	o := gpt.Options{Predict: 4, IgnoreEOS: true}
	first := admit(t, batch, []int{1}, o)
	prefill := func(want ...*gpt.Sequence) {
		t.Helper()
		events, err := batch.Prefill(t.Context())
		var got []*gpt.Sequence
		for _, e := range events {
			got = append(got, e.Sequence)
		}
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%d events, %v; expected %d", len(got), err, len(want))
		}
	}
	prefill(first)
	prefill()
	long, short := admit(t, batch, sequence(50, 250), o), admit(t, batch, sequence(3, 250), o)
	prefill(long, short) // nobody waits for a token: all of the prompts at once
	prefill()
	all := []*gpt.Sequence{first, long, short}
	for _, s := range all {
		if s.Generated() != 1 {
			t.Errorf("%d tokens were drawn, expected 1", s.Generated())
		}
	}
	collectAll(t, batch)
	for i, n := range []int{1, 50, 3} {
		got := all[i].Tokens()
		alone := newBatch(t, m, gpt.BatchOptions{Sequences: 3})
		s := admit(t, alone, got[:n], o)
		collectAll(t, alone)
		if !slices.Equal(got, s.Tokens()) || len(got) != n+4 {
			t.Errorf("a prompt of %d tokens: %v, expected %v", n, got, s.Tokens())
		}
	}
}

func TestBatchErrors(t *testing.T) {
	b, m := tiny(t)
	before := b.InUse()
	for _, c := range []struct {
		o     gpt.BatchOptions
		parts []string
	}{
		{gpt.BatchOptions{}, []string{"0 sequences", "1 to 512"}},
		{gpt.BatchOptions{Sequences: 513}, []string{"513 sequences"}},
		{gpt.BatchOptions{Sequences: 2, Context: 65}, []string{"context size 65", "1 to 64"}},
		{gpt.BatchOptions{Sequences: 2, Context: -1}, []string{"context size -1"}},
		{gpt.BatchOptions{Sequences: 2, Block: 3}, []string{"blocks of 3", "power of two"}},
		{gpt.BatchOptions{Sequences: 2, Blocks: -1}, []string{"-1 blocks"}},
		{gpt.BatchOptions{Sequences: 2, Blocks: 1 << 40}, []string{"1099511627776 blocks", "expected at most"}},
		{gpt.BatchOptions{Sequences: 2, Chunk: 513}, []string{"chunks of 513", "1 to 512"}},
		{gpt.BatchOptions{Sequences: 2, Cache: backend.Q8_0}, []string{"type q8_0"}},
	} {
		_, err := gpt.NewBatch(m, c.o)
		gpttest.WantError(t, err, c.parts...)
	}
	batch, err := gpt.NewBatch(m, gpt.BatchOptions{Sequences: 2, Block: 16, Blocks: 3})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		prompt []int
		o      gpt.Options
		parts  []string
	}{
		{nil, gpt.Options{}, []string{"no tokens"}},
		{make([]int, 65), gpt.Options{}, []string{"65 tokens", "holds 64"}},
		{[]int{257}, gpt.Options{}, []string{"token 0 of the prompt is 257"}},
		{[]int{1}, gpt.Options{Sampling: gpt.Sampling{Temperature: -1}}, []string{"temperature"}},
		{[]int{1}, gpt.Options{Vocab: 300}, []string{"vocabulary of 300"}},
		{[]int{1}, gpt.Options{Predict: -1}, []string{"takes 4 blocks", "there are 3"}},
		{[]int{1}, gpt.Options{}, []string{"takes 4 blocks", "there are 3"}},
	} {
		_, err := batch.Admit(c.prompt, c.o)
		gpttest.WantError(t, err, c.parts...)
		if len(batch.Live()) > 0 || batch.Memory().Reserved > 0 {
			t.Fatal("a sequence that was refused is there")
		}
	}
	one := admit(t, batch, []int{1, 2}, gpt.Options{Predict: 31, IgnoreEOS: true}) // 32 positions
	var full *gpt.FullError
	if _, err := batch.Admit([]int{1}, gpt.Options{Predict: 17}); !errors.As(err, &full) || full.Need != 2 || full.Free != 1 {
		t.Errorf("a sequence of 17 positions beside one of 32 gave %v", err)
	}
	if _, err := batch.Admit([]int{1}, gpt.Options{Predict: 16, IgnoreEOS: true}); err != nil {
		t.Error(err)
	}
	if _, err := one.Fork(gpt.Options{Predict: 1}); !errors.As(err, &full) || full.Need != 0 || !strings.Contains(err.Error(), "2 sequences") {
		t.Errorf("a third sequence gave %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	n := 0
	for _, err := range batch.Run(ctx) {
		if n++; n == 3 {
			cancel()
		}
		if err != nil && !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
	}
	if got := one.Generated(); got == 0 || len(batch.Live()) != 2 {
		t.Errorf("after an interruption %d sequences live, and the first has %d tokens", len(batch.Live()), got)
	}
	collectAll(t, batch)
	if one.Generated() != 31 {
		t.Errorf("after going on the first sequence has %d tokens, expected 31", one.Generated())
	}
	last := admit(t, batch, []int{1, 2}, gpt.Options{Predict: 2})
	batch.Close()
	batch.Close()
	if n := b.InUse(); !last.Ended() || n != before {
		t.Errorf("a closed batch left %d buffers", n-before)
	}
	last.End()
	_, err = last.Fork(gpt.Options{})
	gpttest.WantError(t, err, "has ended")
}
