package gpt_test

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"caldera/backend"
	"caldera/backend/cpu"
	"caldera/gpt"
	"caldera/gpt/checkpoint"
	"caldera/gpt/model"
	"caldera/models"
)

// gambler is a drafter that knows the text, and of whose guesses a share is right.
type gambler struct {
	prompt int
	text   []int
	share  float64
	random *rand.Rand
}

func (g *gambler) Begin(*model.Model, gpt.Options) error {
	g.random = rand.New(rand.NewPCG(1, 2))
	return nil
}

func (g *gambler) Draft(_ context.Context, d gpt.Draft, n int) (guesses []int, err error) {
	for _, id := range g.text[len(d.Tokens)-g.prompt:] {
		if len(guesses) == n {
			break
		}
		if g.random.Float64() >= g.share {
			id = (id + 1) % 1000
		}
		guesses = append(guesses, id)
	}
	return guesses, nil
}

// BenchmarkDrafted generates 128 tokens on the CPU, with the embedded model and with random
// weights of GPT-2's shape, without guesses, with n-grams of a text that a repeat penalty has
// repeat itself, and with guesses of which a share is right.
func BenchmarkDrafted(b *testing.B) {
	back, err := cpu.Open()
	if err != nil {
		b.Fatal(err)
	}
	defer back.Close()
	for _, d := range []backend.DType{backend.None, backend.F32, backend.F16, backend.Q8_0, backend.Q4_0} {
		c, name, err := (*checkpoint.Checkpoint)(nil), "embedded", error(nil)
		if d == backend.None {
			c, err = checkpoint.OpenFS(models.Default(), models.Name)
		} else {
			name = "gpt2/" + d.String()
			c, err = checkpoint.Random(model.Config{Family: "gpt2", Layers: 12, Heads: 12, Width: 768, Context: 1024, Vocab: 50257}.Complete(), 1)
		}
		if err != nil {
			b.Fatal(err)
		}
		b.Run(name, func(b *testing.B) {
			m, err := gpt.LoadCheckpoint(b.Context(), back, c, gpt.LoadOptions{DType: d})
			if err != nil {
				b.Fatal(err)
			}
			defer m.Close()
			for _, repeats := range []bool{false, true} {
				benchmarkDrafted(b, m, repeats)
			}
		})
	}
}

func benchmarkDrafted(b *testing.B, m *model.Model, repeats bool) {
	o := greedy(128)
	cases := map[string]gpt.Drafter{"without": nil}
	prompt := sequence(32, 1000)
	run := func(b *testing.B, d gpt.Drafter) (ids []int, counts gpt.Drafted) {
		s, err := gpt.NewSession(m, gpt.SessionOptions{})
		if err != nil {
			b.Fatal(err)
		}
		defer s.Close()
		o.Drafter = d
		tokens, err := collect(s.Generate(b.Context(), prompt, o))
		if err != nil {
			b.Fatal(err)
		}
		return idsOf(tokens), s.Drafted()
	}
	if repeats {
		o.RepeatPenalty, o.RepeatLastN = 0.5, 24
		cases["n-grams"] = &gpt.NGrams{}
	} else {
		text, _ := run(b, nil)
		for _, share := range []float64{1, 0.8, 0.5, 0.2, 0} {
			cases[fmt.Sprintf("%.0f %% right", 100*share)] = &gambler{prompt: len(prompt), text: text, share: share}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(cases)) {
		d := cases[name]
		if repeats {
			name += " in a text that repeats itself"
		}
		b.Run(name, func(b *testing.B) {
			var counts gpt.Drafted
			for b.Loop() {
				_, counts = run(b, d)
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*o.Predict)/1000, "ms/token")
			if d != nil {
				b.ReportMetric(counts.PerStep(), "tokens/step")
			}
		})
	}
}
