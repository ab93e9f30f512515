package inspect_test

import (
	"context"
	"encoding/json"
	"math"
	"slices"
	"testing"

	"caldera/backend"
	"caldera/gpt"
	"caldera/gpt/model"
	"caldera/inspect"
	"caldera/internal/devicetest"
	"caldera/internal/gpttest"
)

// referenceText is the first sequence of the figures, and the token after it.
func referenceText(t *testing.T, f gpttest.Figures) []int {
	t.Helper()
	time := f.Shape("input_ids")[1]
	var text []int
	for _, id := range append(f.Ints(t, "input_ids")[:time:time], f.Ints(t, "targets")[time-1]) {
		text = append(text, int(id))
	}
	return text
}

// TestNext holds the distribution at every position to PyTorch's scores.
func TestNext(t *testing.T) {
	devicetest.Each(t, func(t *testing.T, b backend.Backend) {
		for _, name := range []string{"gpt2-tiny", "llama-three"} {
			dir := "../gpt/testdata/" + name
			in := inspect.New(gpttest.Load(t, b, dir, backend.F32), nil, inspect.Options{})
			defer in.Close()
			f := gpttest.Expected(t, dir)
			text, scores := referenceText(t, f), f.Floats(t, "logits")
			got, err := in.Next(t.Context(), text, inspect.NextOptions{Top: 3, Position: -2, Temperatures: []float64{1}})
			if err != nil {
				t.Fatal(err)
			}
			if len(got.Positions) != len(text) || got.Position != len(text)-2 {
				t.Fatalf("%s: %d positions, temperatures of %d", name, len(got.Positions), got.Position)
			}
			vocab, sum := in.Model.Vocab, 0.0
			for i, p := range got.Positions[:len(text)-1] {
				logs := inspect.LogProbs(scores[i*vocab:(i+1)*vocab], 1)
				next := text[i+1]
				sum -= logs[next]
				entropy, above := 0.0, 1
				for _, l := range logs {
					entropy -= math.Exp(l) * l
					if l > logs[next] {
						above++
					}
				}
				if p.Token.ID != text[i] || p.Next.ID != next || p.Rank != above || p.Position != i {
					t.Errorf("%s, position %d: %+v", name, i, p)
				}
				near(t, name+": surprise", p.Surprise, -logs[next])
				near(t, name+": probability", p.Prob, math.Exp(logs[next]))
				near(t, name+": entropy", p.Entropy, entropy)
				if best := slices.Index(logs, slices.Max(logs)); len(p.Top) != 3 || p.Top[0].ID != best {
					t.Errorf("%s, position %d: likeliest %+v, expected %d", name, i, p.Top, best)
				}
			}
			n := len(text) - 1
			if last := got.Positions[n]; last.Next != nil || last.Rank != 0 || !math.IsNaN(float64(last.Surprise)) || len(last.Top) != 3 {
				t.Errorf("%s: after the last position %+v", name, last)
			}
			if tr := got.Training; tr.Predictions != n || tr.Read != n || tr.ReadAlone != int64(n*(n+1)/2) {
				t.Errorf("%s: training %+v", name, tr)
			}
			near(t, name+": loss", got.Training.Loss, sum/float64(n))
			near(t, name+": perplexity", got.Training.Perplexity, math.Exp(sum/float64(n)))
			for i, c := range got.Temperatures[0].Tokens {
				if p := got.Positions[n-1].Top[i]; c.ID != p.ID || math.Abs(float64(c.Drawn-p.Prob)) > 1e-9 {
					t.Errorf("%s: at temperature 1 %+v, in the distribution %+v", name, c, p)
				}
			}
		}
	})
}

// TestNextTemperatures holds what may be drawn, and how often, to the definitions of
// temperature and filters.
func TestNextTemperatures(t *testing.T) {
	in := random(t, gpttest.OpenCPU(t), model.Config{Family: "gpt2", Layers: 1, Heads: 2, Width: 16, Context: 90, Vocab: 37})
	text := ids(70, 37)
	o := inspect.NextOptions{Top: 37, Position: -1, Temperatures: []float64{0, 0.5, 1, 2}, Filters: gpt.Sampling{TopK: 5, Seed: 7}}
	got, err := in.Next(context.Background(), text, o)
	if err != nil {
		t.Fatal(err)
	}
	likely := got.Positions[69].Top
	for i, temperature := range o.Temperatures {
		g := got.Temperatures[i]
		kept := 5
		if temperature == 0 {
			kept = 1
		}
		if g.Kept != kept || len(g.Tokens) != 37 || float64(g.Temperature) != temperature {
			t.Fatalf("temperature %v: %d kept of %d", temperature, g.Kept, len(g.Tokens))
		}
		if temperature == 0 {
			if g.Tokens[0].Drawn != 1 || g.Tokens[0].Prob != 1 || g.Entropy != 0 {
				t.Errorf("greedy: %+v", g)
			}
			continue
		}
		total, all, mass := 0.0, 0.0, 0.0
		for j, l := range likely {
			p := math.Pow(float64(l.Prob), 1/temperature)
			all += p
			if j < kept {
				total += p
				mass += float64(l.Prob)
			}
		}
		near(t, "mass", g.Mass, mass)
		for j, l := range likely {
			p := math.Pow(float64(l.Prob), 1/temperature)
			near(t, "probability", g.Tokens[j].Prob, p/all)
			drawn := 0.0
			if j < kept {
				drawn = p / total
			}
			near(t, "drawn", g.Tokens[j].Drawn, drawn)
			if g.Tokens[j].Kept != (j < kept) || g.Tokens[j].ID != l.ID {
				t.Errorf("temperature %v: token %d is %+v", temperature, j, g.Tokens[j])
			}
		}
	}
}

// TestNextErrors asks for what cannot be had.
func TestNextErrors(t *testing.T) {
	in := random(t, gpttest.OpenCPU(t), model.Config{Family: "gpt2", Layers: 1, Heads: 2, Width: 16, Context: 90, Vocab: 37})
	for _, o := range []inspect.NextOptions{
		{Top: -1}, {Top: 101}, {Position: 3}, {Position: -4}, {Temperatures: []float64{-1}}, {Temperatures: []float64{1}, Filters: gpt.Sampling{TopP: 2}},
		{Temperatures: make([]float64, 17)}, {Temperatures: []float64{math.NaN()}},
	} {
		_, err := in.Next(context.Background(), []int{1, 2, 3}, o)
		wantUser(t, err)
	}
	for _, text := range [][]int{nil, {37}, {-1}, make([]int, 91)} {
		_, err := in.Next(context.Background(), text, inspect.NextOptions{})
		wantUser(t, err)
	}
}

// TestNextNotFinite looks into a model whose scores are no numbers.
func TestNextNotFinite(t *testing.T) {
	b := gpttest.DeviceOf(gpttest.OpenCPU(t)) // where weights can be written to
	in := random(t, b, model.Config{Family: "gpt2", Layers: 1, Heads: 2, Width: 16, Context: 90, Vocab: 37})
	norm := gpttest.GPT2(in.Model).Norm
	values := gpttest.Floats(t, b, norm.Beta)
	values[0] = float32(math.NaN())
	if err := backend.SetF32(b, norm.Beta, values); err != nil {
		t.Fatal(err)
	}
	got, err := in.Next(context.Background(), []int{1, 2}, inspect.NextOptions{Top: 2, Temperatures: []float64{1}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := json.Marshal(got); err != nil {
		t.Error(err)
	}
	if got.Temperatures[0].Note == "" || got.Positions[0].Rank != 0 || !math.IsNaN(float64(got.Training.Loss)) {
		t.Errorf("%+v", got)
	}
}

// TestNextPadded has a vocabulary with more ids than the tokenizer has tokens: as in
// Generate, none of them is drawn.
func TestNextPadded(t *testing.T) {
	b := gpttest.OpenCPU(t)
	tokens := gpttest.Inspect(t, b).Tokenizer
	padded := random(t, b, model.Config{Family: "gpt2", Layers: 1, Heads: 2, Width: 16, Context: 32, Vocab: tokens.VocabSize() + 3000})
	in := inspect.New(padded.Model, tokens, inspect.Options{})
	defer in.Close()
	got, err := in.Next(t.Context(), []int{1, 2}, inspect.NextOptions{Top: 50, Position: -1, Temperatures: []float64{0, 1}})
	if err != nil {
		t.Fatal(err)
	}
	// A tokenizer may have more tokens than the model.
	fewer := inspect.New(random(t, b, model.Config{Family: "gpt2", Layers: 1, Heads: 2, Width: 16, Context: 32, Vocab: 300}).Model, tokens, inspect.Options{})
	defer fewer.Close()
	if small, err := fewer.Next(t.Context(), []int{1, 2}, inspect.NextOptions{Temperatures: []float64{1}}); err != nil || small.Temperatures[0].Kept != 300 {
		t.Errorf("with fewer ids than tokens: %+v, %v", small, err)
	}
	if _, err := fewer.Forget(t.Context(), []int{1, 2}, inspect.ForgetOptions{Predict: 1}); err != nil {
		t.Error(err)
	}
	holes := 0
	for _, temperature := range got.Temperatures {
		for _, c := range temperature.Tokens {
			if c.ID >= tokens.VocabSize() {
				holes++
				if c.Kept || c.Drawn != 0 {
					t.Errorf("at temperature %v: %+v", temperature.Temperature, c)
				}
			}
		}
	}
	one := got.Temperatures[1]
	if holes == 0 || one.Kept != tokens.VocabSize() || one.Mass > 0.6 || got.Temperatures[0].Kept != 1 {
		t.Errorf("%d ids without a token are likely; %+v", holes, one)
	}
}
