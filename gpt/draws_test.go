package gpt_test

import (
	"fmt"
	"testing"

	"caldera/backend/null"
	"caldera/gpt"
	"caldera/gpt/model"
)

// BenchmarkHost is what the host does for a token where the device computes nothing: on a
// model with GPT-2's vocabulary and one block.
func BenchmarkHost(b *testing.B) {
	m := vocabulary(b)
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

func vocabulary(tb testing.TB) *model.Model {
	b := &null.Backend{}
	m, err := gpt.Random(tb.Context(), b, model.Config{
		Family: "gpt2", Layers: 1, Heads: 2, Width: 8, Inner: 16, Context: 1024, Vocab: 50257, Epsilon: 1e-5, TieEmbeddings: true,
	}, gpt.LoadOptions{}, 7)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { m.Close(); b.Close() })
	return m
}
