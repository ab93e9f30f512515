package gpt_test

import (
	"fmt"
	"slices"
	"testing"

	"caldera/backend"
	"caldera/backend/calltrace"
	"caldera/backend/null"
	"caldera/gpt"
	"caldera/gpt/model"
	"caldera/internal/devicetest"
	"caldera/internal/gpttest"
)

// BenchmarkHost is what the host does for a token where the device computes nothing: on a
// model with GPT-2's vocabulary and one block.
func BenchmarkHost(b *testing.B) {
	m := vocabulary(b, &null.Backend{}, 50257)
	for _, c := range []struct {
		name string
		s    gpt.Sampling
	}{
		{"greedy", gpt.Sampling{}},
		{"default", gpt.Sampling{Temperature: 0.8, TopK: 40, TopP: 0.95, MinP: 0.05}},
		{"penalty", gpt.Sampling{Temperature: 0.8, TopK: 40, RepeatPenalty: 1.1, RepeatLastN: 64}},
	} {
		for _, top := range []int{0, 1} {
			b.Run(fmt.Sprintf("%s/top=%d", c.name, top), func(b *testing.B) {
				s, err := gpt.NewSession(m, gpt.SessionOptions{})
				if err != nil {
					b.Fatal(err)
				}
				defer s.Close()
				o := gpt.Options{Sampling: c.s, IgnoreEOS: true, Predict: b.N + 1, LogProbs: top}
				for _, err := range s.Generate(b.Context(), []int{1}, o) {
					if err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

func vocabulary(tb testing.TB, b backend.Backend, vocab int) *model.Model {
	m, err := gpt.Random(tb.Context(), b, model.Config{
		Family: "gpt2", Layers: 1, Heads: 2, Width: 8, Inner: 16, Context: 1024, Vocab: vocab, Epsilon: 1e-5, TieEmbeddings: true,
	}, gpt.LoadOptions{}, 7)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { m.Close() })
	return m
}

// TestDrawnByDevices expects the tokens of the CPU, whose host draws them, of devices. Scores
// come to the host only for tokens that it is to draw, and after the first of a text all.
func TestDrawnByDevices(t *testing.T) {
	gpt.DrawAnywhere(t)
	const vocab = 3000
	reference := vocabulary(t, gpttest.OpenCPU(t), vocab)
	devicetest.Each(t, func(t *testing.T, b backend.Backend) {
		_, draws := backend.As[backend.Fetcher](b)
		scores := 0
		m := vocabulary(t, calltrace.Wrap(b, calltrace.Hooks{After: func(c calltrace.Call) {
			if c.Method == calltrace.Read && c.Bytes >= 4*vocab {
				scores++
			}
		}}), vocab)
		for _, c := range []struct {
			prompt int
			s      gpt.Sampling
			host   bool
		}{
			{1, gpt.Sampling{}, false},
			{3, gpt.Sampling{Temperature: 0.8, TopK: 40, TopP: 0.95, MinP: 0.05, RepeatPenalty: 1.1, RepeatLastN: 64, Seed: 1}, false},
			{1, gpt.Sampling{Temperature: 1, TopP: 0.9, Seed: 2}, true}, // the scores of random weights are about equal
			{5, gpt.Sampling{Temperature: 1, TopP: 0.9, RepeatPenalty: 1.1, RepeatLastN: -1, Seed: 3}, true},
			{2, gpt.Sampling{Temperature: 1, Seed: 4}, true},
		} {
			scores = 0
			o := gpt.Options{Sampling: c.s, IgnoreEOS: true, Predict: 12}
			prompt := sequence(c.prompt, 50)
			got, want := generate(t, m, 0, prompt, o), generate(t, reference, 0, prompt, o)
			if !slices.Equal(idsOf(got), idsOf(want)) {
				t.Errorf("%+v after %d tokens: %v, on the CPU %v", c.s, c.prompt, idsOf(got), idsOf(want))
			}
			if host := c.host || !draws; host != (scores > 0) {
				t.Errorf("%+v after %d tokens: the host read scores %d times, expected some: %v", c.s, c.prompt, scores, host)
			}
		}
	})
}

// TestHeldAhead draws tokens after values were watched, for which the memory of steps is bounded:
// the scores of a step stay until the host has drawn from them, while the next one is recorded.
func TestHeldAhead(t *testing.T) {
	gpt.DrawAnywhere(t)
	const vocab = 3000
	devicetest.Each(t, func(t *testing.T, b backend.Backend) {
		m := vocabulary(t, b, vocab)
		o := gpt.Options{Sampling: gpt.Sampling{Temperature: 1, TopP: 0.9, Seed: 2}, IgnoreEOS: true, Predict: 4}
		prompt := sequence(300, 50)
		want := idsOf(generate(t, m, 0, prompt, o))
		for _, most := range []int{16 << 10, 40 << 10, 64 << 10} {
			undo := gpt.SetMaxWatching(most)
			s := gpttest.NewSession(t, m, 0)
			s.Watch("hidden.*")
			if _, err := s.Feed(t.Context(), 1); err != nil {
				t.Fatal(err)
			}
			s.Reset()
			s.Watch()
			var got []int
			for token, err := range s.Generate(t.Context(), prompt, o) {
				if err != nil {
					t.Fatalf("steps of up to %d bytes, after %d tokens: %v", most, len(got), err)
				}
				got = append(got, token.ID)
			}
			if !slices.Equal(got, want) {
				t.Errorf("steps of up to %d bytes: %v, without a bound %v", most, got, want)
			}
			s.Close()
			undo()
		}
	})
}

// TestStopsAhead stops a text while the device is a token ahead, goes on with it, and begins
// to watch values amid the rest.
func TestStopsAhead(t *testing.T) {
	gpt.DrawAnywhere(t)
	devicetest.Each(t, func(t *testing.T, b backend.Backend) {
		m := gpttest.Load(t, b, "testdata/gpt2-tiny", backend.F32)
		prompt := []int{1, 2, 3}
		want := idsOf(generate(t, m, 0, prompt, greedy(12)))
		s := gpttest.NewSession(t, m, 0)
		defer s.Close()
		var got []int
		for token, err := range s.Generate(t.Context(), prompt, greedy(-1)) {
			if err != nil {
				t.Fatal(err)
			}
			if got = append(got, token.ID); len(got) == 5 {
				break
			}
		}
		if s.Len() != len(prompt)+4 {
			t.Errorf("stopped after 5 tokens it has %d, expected the prompt and 4", s.Len())
		}
		for token, err := range s.Generate(t.Context(), got[4:], greedy(7)) {
			if err != nil {
				t.Fatal(err)
			}
			switch got = append(got, token.ID); {
			case len(got) == 8:
				s.Watch("hidden.*")
			case len(got) > 8 && len(s.Watched()) == 0:
				t.Errorf("token %d comes without the values that are watched", len(got))
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("in two parts %v, at once %v", got, want)
		}
	})
}
