package gpt_test

import (
	"context"
	"fmt"
	"math"
	"reflect"
	"slices"
	"testing"

	"caldera/backend"
	"caldera/backend/cpu"
	"caldera/gpt"
	"caldera/gpt/model"
	"caldera/internal/devicetest"
	"caldera/internal/gpttest"
)

// oracle is a drafter that knows what follows the prompt, and guesses as change says.
type oracle struct {
	t      *testing.T
	prompt int   // tokens
	text   []int // what follows
	size   int   // of the context
	change func(at, id int) int
	begun  int
	asked  int
}

func (o *oracle) Begin(*model.Model, gpt.Options) error { o.begun++; return nil }

func (o *oracle) Draft(_ context.Context, d gpt.Draft, n int) (guesses []int, err error) {
	o.asked++
	at := len(d.Tokens) - o.prompt // of the next token
	if n < 1 || at < 1 || int(d.Draws) != at || !slices.Equal(d.Tokens[o.prompt:], o.text[:at]) || d.Context < 1 || d.Context > o.size || d.Context > len(d.Tokens) {
		o.t.Fatalf("asked for %d guesses after %d draws and %v, of which %d are in the context", n, d.Draws, d.Tokens, d.Context)
	}
	if d.Context+n > o.size {
		o.t.Fatalf("asked for %d guesses where the context of %d holds %d tokens", n, o.size, d.Context)
	}
	for i := at; i < len(o.text) && len(guesses) < n; i++ {
		guesses = append(guesses, o.change(i, o.text[i]))
	}
	if at+n > len(o.text) {
		o.t.Errorf("asked for %d guesses where %d tokens are to come", n, len(o.text)-at)
	}
	return guesses, nil
}

// always, never and half are the changes of oracles.
func always(_, id int) int { return id }
func never(_, id int) int  { return (id + 1) % 256 }
func half(at, id int) int {
	if at%3 == 0 {
		return never(at, id)
	}
	return id
}

// drafting generates with a drafter, and closes it.
func drafting(t *testing.T, m *model.Model, size int, prompt []int, o gpt.Options, d gpt.Drafter) ([]gpt.Token, gpt.Drafted) {
	t.Helper()
	s := gpttest.NewSession(t, m, size)
	defer s.Close()
	o.Drafter = d
	tokens, err := collect(s.Generate(t.Context(), prompt, o))
	if err != nil {
		t.Fatal(err)
	}
	want := len(prompt) + len(tokens)
	if o.Predict == len(tokens) {
		want-- // the last one is not read
	}
	if size == 0 && s.Len() != want {
		t.Errorf("the session holds %d tokens, expected %d", s.Len(), want)
	}
	return tokens, s.Drafted()
}

// free is a draft model whose guesses count as costing nothing, or it would be asked for none
// where it is as large as the model.
type free struct{ *gpt.ModelDrafter }

func modelDrafter(t *testing.T, m *model.Model, size int) gpt.Drafter {
	t.Helper()
	d, err := gpt.NewModelDrafter(m, gpt.SessionOptions{Context: size})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	return free{d}
}

// draftedCases are texts that drafters may not change.
func draftedCases() (cases []draftedCase) {
	for _, size := range []int{0, 20, 2, 1} {
		for i, x := range []gpt.Sampling{
			{},
			{RepeatPenalty: 1e30, RepeatLastN: 9},
			{Temperature: 1, Seed: 2},
			{Temperature: 0.8, TopK: 40, TopP: 0.95, MinP: 0.05, Seed: 3},
			{Temperature: 0.3, RepeatPenalty: 1.3, RepeatLastN: -1, Seed: 4},
			{Temperature: 0.5, RepeatPenalty: 0.7, RepeatLastN: 3, Seed: 5},
		} {
			if size > 0 && size < 20 && i%2 == 0 {
				continue
			}
			o := greedy(45)
			o.Sampling = x
			cases = append(cases, draftedCase{size, o})
		}
	}
	return cases
}

type draftedCase struct {
	size int
	o    gpt.Options
}

func (c draftedCase) String() string { return fmt.Sprintf("context %d, %+v", c.size, c.o.Sampling) }

// TestDrafted expects the same text of every drafter, good or bad, as without one, through
// contexts that slide: to the last bit of each log-probability where the backend is
// reproducible.
func TestDrafted(t *testing.T) {
	_ = cpu.UseOwn() // reproducible, where it can be
	devicetest.EachBackend(t, func(t *testing.T, b backend.Backend) {
		m := gpttest.Load(t, b, "testdata/gpt2-tiny", backend.F32)
		other, err := gpt.Random(t.Context(), b, model.Config{Family: "gpt2", Layers: 1, Heads: 2, Width: 16, Context: 40, Vocab: 257}.Complete(), gpt.LoadOptions{}, 5)
		if err != nil {
			t.Fatal(err)
		}
		defer other.Close()
		cases := draftedCases()
		if b.Name() == "cpu" {
			gpt.PaceByRule(t) // so that it guesses at all
		} else {
			gpt.DrawAnywhere(t)
			cases = cases[:9]
		}
		for _, c := range cases {
			prompt := sequence(5, 256)
			if c.size > 0 {
				prompt = prompt[:min(5, c.size)]
			}
			if b.Name() == "cpu" {
				c.o.LogProbs, c.o.Drawn = 3, 2
			}
			want := generate(t, m, c.size, prompt, c.o)
			size := c.size
			if size == 0 {
				size = m.Context
			}
			knows := func(change func(at, id int) int) gpt.Drafter {
				return &oracle{t: t, prompt: len(prompt), text: idsOf(want), size: size, change: change}
			}
			for name, d := range map[string]gpt.Drafter{
				"always right": knows(always), "never right": knows(never), "right two times of three": knows(half), "n-grams": &gpt.NGrams{},
				"the same model": modelDrafter(t, m, c.size), "the same model, of a short context": modelDrafter(t, m, min(size, 11)), "another model": modelDrafter(t, other, min(size, 40)),
			} {
				got, counts := drafting(t, m, c.size, prompt, c.o, d)
				if !slices.Equal(idsOf(got), idsOf(want)) {
					t.Errorf("%v, drafter %s: %v, without it %v", c, name, idsOf(got), idsOf(want))
					continue
				}
				if backend.Reproducible(b) && !reflect.DeepEqual(got, want) {
					t.Errorf("%v, drafter %s: other log-probabilities, or what else a token tells, than without it", c, name)
				}
				for i, x := range got {
					if math.Abs(x.LogProb-want[i].LogProb) > 1e-4 || x.Slid != want[i].Slid {
						t.Errorf("%v, drafter %s: token %d is %+v, without it %+v", c, name, i, x, want[i])
					}
				}
				if counts.Tokens != len(got)-1 || counts.Right > counts.Guesses || counts.Steps > counts.Tokens || counts.Right > counts.Tokens-counts.Steps+1 {
					t.Errorf("%v, drafter %s: counted %+v for %d tokens", c, name, counts, len(got))
				}
				switch {
				case (name == "always right" || name == "the same model") && (counts.Right != counts.Guesses || c.size > 2 && counts.Guesses == 0):
					t.Errorf("%v, drafter %s: %+v, expected all guesses to be right", c, name, counts)
				case c.size == 0 && name == "always right" && counts.Steps > 10:
					t.Errorf("%v, drafter %s: %d steps for %d tokens", c, name, counts.Steps, counts.Tokens)
				case name == "never right" && (counts.Right > 0 || counts.Guesses == 0 && c.size != 1 && c.size != 2):
					t.Errorf("%v, drafter %s: %+v, expected guesses, and none of them right", c, name, counts)
				}
			}
		}
	})
}

// TestDraftedTypes is TestDrafted for models of both families whose weights have each type, with
// activations as the CPU rounds them and in f32.
func TestDraftedTypes(t *testing.T) {
	gpt.PaceByRule(t)
	if err := cpu.UseOwn(); err != nil {
		t.Skip(err)
	}
	b := gpttest.OpenCPU(t)
	for name, c := range map[string]model.Config{
		"gpt2":  {Family: "gpt2", Layers: 2, Heads: 2, Width: 96, Context: 128, Vocab: 250},
		"llama": {Family: "llama", Layers: 2, Heads: 4, KVHeads: 2, HeadSize: 32, Width: 64, Inner: 160, Context: 128, Vocab: 250},
	} {
		for _, d := range backend.DTypes(backend.Targets) {
			for _, activations := range []backend.DType{backend.None, backend.F32} {
				m, err := gpt.Random(t.Context(), b, c.Complete(), gpt.LoadOptions{DType: d, Activations: activations}, 3)
				if err != nil {
					t.Fatal(err)
				}
				o := greedy(70)
				o.Temperature, o.Seed, o.LogProbs = 1, 8, 2
				prompt := sequence(30, 250)
				want := generate(t, m, 60, prompt, o)
				for _, change := range []func(at, id int) int{always, half} {
					got, counts := drafting(t, m, 60, prompt, o, &oracle{t: t, prompt: 30, text: idsOf(want), size: 60, change: change})
					if !reflect.DeepEqual(got, want) || counts.Right < 30 {
						t.Errorf("%s, %v, activations %v: with guesses other tokens or log-probabilities (%+v)", name, d, activations, counts)
					}
				}
				m.Close()
			}
		}
	}
}

// TestDraftedSteps counts the programs that run: fewer where guesses are right, and no more
// than without guesses where they are wrong.
func TestDraftedSteps(t *testing.T) {
	gpt.PaceByRule(t)
	b, m := tiny(t)
	prompt := sequence(3, 256)
	o := greedy(61)
	o.Temperature, o.Seed = 1, 9
	runs := func(d gpt.Drafter) (int, gpt.Drafted) {
		before := b.Replayed
		_, counts := drafting(t, m, 0, prompt, o, d)
		if n := b.Replayed - before; n != counts.Steps+1 {
			t.Errorf("%d programs ran, and %d steps were counted after the prompt", n, counts.Steps)
		}
		return b.Replayed - before, counts
	}
	before := b.Replayed
	text := idsOf(generate(t, m, 0, prompt, o))
	if n := b.Replayed - before; n != 61 {
		t.Fatalf("%d programs ran for 61 tokens", n)
	}
	knows := func(change func(at, id int) int) *oracle {
		return &oracle{t: t, prompt: len(prompt), text: text, size: 64, change: change}
	}
	right := knows(always)
	if n, counts := runs(right); n > 1+9 || counts.PerStep() < 6 || right.begun != 1 {
		t.Errorf("of a drafter that is always right %d programs ran, %+v, expected 10 at most", n, counts)
	}
	if n, counts := runs(knows(half)); n > 40 || n < 21 || counts.Right < 20 {
		t.Errorf("of a drafter that is right two times of three %d programs ran, %+v, expected 21 to 40", n, counts)
	}
	wrong := knows(never)
	if n, counts := runs(wrong); n != 61 || counts.Guesses > 60 || wrong.asked != 59 || counts.PerStep() != 1 {
		t.Errorf("of a drafter that is never right %d programs ran, %+v, expected 61; it was asked %d times, expected 59", n, counts, wrong.asked)
	}
	o.Guesses = 2
	if n, counts := runs(knows(always)); n != 1+20 || counts.Guesses != 40 {
		t.Errorf("with two guesses a step %d programs ran, %+v, expected 21", n, counts)
	}
	o.Guesses = 0
	o.Sampling = gpt.Sampling{}
	plain := generate(t, m, 0, prompt, o)
	if n, counts := runs(&gpt.NGrams{}); repeats(idsOf(plain)) && n > 50 {
		t.Errorf("of n-grams of a text that repeats itself %d programs ran, %+v", n, counts)
	}
}

// repeats reports whether a text ends with the same 6 tokens two times at least.
func repeats(ids []int) bool {
	last := ids[len(ids)-6:]
	for i := range ids[:len(ids)-6] {
		if slices.Equal(ids[i:i+6], last) {
			return true
		}
	}
	return false
}

// TestDraftedEnds ends texts at each of their tokens: by the caller, by the model, by a limit.
// The session has the same tokens then as without a drafter, and goes on in the same way.
func TestDraftedEnds(t *testing.T) {
	gpt.PaceByRule(t)
	_, m := tiny(t)
	prompt := sequence(4, 256)
	o := greedy(30)
	o.Temperature, o.Seed, o.Barred = 0.9, 7, []int{256}
	text := idsOf(generate(t, m, 0, prompt, o))
	for end := 1; end < len(text); end++ {
		var sessions [2]*gpt.Session
		var rest [2][]int
		for i := range sessions {
			s := gpttest.NewSession(t, m, 40)
			sessions[i] = s
			o := o
			if i == 1 {
				o.Drafter = &oracle{t: t, prompt: len(prompt), text: text, size: 40, change: half}
			}
			n := 0
			for token, err := range s.Generate(t.Context(), prompt, o) {
				if err != nil || token.ID != text[n] {
					t.Fatalf("token %d is %d, %v, expected %d", n, token.ID, err, text[n])
				}
				if n++; n == end {
					break
				}
			}
			if i == 1 {
				o.Drafter = &gpt.NGrams{}
			}
			o.Predict = 12
			more, err := collect(s.Generate(t.Context(), []int{text[end-1], 8}, o))
			if err != nil {
				t.Fatal(err)
			}
			rest[i] = idsOf(more)
		}
		if !slices.Equal(rest[0], rest[1]) || !slices.Equal(sessions[0].Tokens(), sessions[1].Tokens()) {
			t.Errorf("left after %d tokens: it goes on with %v, without guesses with %v", end, rest[1], rest[0])
		}
		sessions[0].Close()
		sessions[1].Close()
	}
	// Ends that the model draws.
	at := 5
	for slices.Contains(text[:at], text[at]) {
		at++
	}
	m.EOS = []int{text[at]}
	o.IgnoreEOS, o.Predict = false, -1
	for _, change := range []func(at, id int) int{always, half, never} {
		d := &oracle{t: t, prompt: len(prompt), text: append(slices.Clone(text[:at+1]), sequence(40, 256)...), size: 64, change: change}
		got, counts := drafting(t, m, 0, prompt, o, d)
		if !slices.Equal(idsOf(got), text[:at]) {
			t.Errorf("it ends with %v, expected %v", idsOf(got), text[:at])
		}
		if counts.Tokens != at {
			t.Errorf("%+v, expected %d tokens after the first, with the one that ends the text", counts, at)
		}
	}
	if got, _ := drafting(t, m, 0, prompt, o, modelDrafter(t, m, 0)); !slices.Equal(idsOf(got), text[:at]) {
		t.Errorf("with the same model it ends with %v, expected %v", idsOf(got), text[:at])
	}
}

// TestDraftedWatching reads a token at a time once values are watched.
func TestDraftedWatching(t *testing.T) {
	gpt.PaceByRule(t)
	_, m := tiny(t)
	prompt := sequence(4, 256)
	o := greedy(30)
	text := idsOf(generate(t, m, 0, prompt, o))
	s := gpttest.NewSession(t, m, 0)
	defer s.Close()
	o.Drafter = &oracle{t: t, prompt: 4, text: text, size: 64, change: always}
	n, before := 0, 0
	for token, err := range s.Generate(t.Context(), prompt, o) {
		if err != nil || token.ID != text[n] {
			t.Fatalf("token %d is %d, %v, expected %d", n, token.ID, err, text[n])
		}
		if n++; n == 10 {
			s.Watch("hidden.0")
		}
		if x := s.Seen("hidden.0"); n > 20 && (x.Absent() || x.Dim(-2) != 1) {
			t.Errorf("token %d: hidden.0 is %v, expected one row", n, x)
		}
		if n == 25 {
			before = s.Drafted().Steps
		}
	}
	if counts := s.Drafted(); n != 30 || counts.Steps-before != 5 || counts.Guesses == 0 {
		t.Errorf("%d tokens, %+v, expected 30, and a step for each once values are watched", n, counts)
	}
}
