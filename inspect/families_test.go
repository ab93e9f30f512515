package inspect_test

import (
	"math"
	"strings"
	"testing"

	"caldera/backend"
	"caldera/inspect"
	"caldera/internal/gpttest"
)

// TestFamilies looks into a model of each family: what adds up to a score, to what an MLP
// writes and to what a block changes adds up, norms of what they write included, and the
// other views have an answer.
func TestFamilies(t *testing.T) {
	b := gpttest.OpenCPU(t)
	for _, name := range gpttest.FamilyReferences {
		t.Run(name, func(t *testing.T) {
			m := gpttest.Load(t, b, "../gpt/testdata/"+name, backend.F32)
			in := inspect.New(m, nil, inspect.Options{})
			defer in.Close()
			ids := firstSequence(t, gpttest.Expected(t, "../gpt/testdata/"+name))
			no := func(err error) {
				t.Helper()
				if err != nil {
					t.Fatal(err)
				}
			}
			near := func(what string, got, want float64) {
				t.Helper()
				if !(math.Abs(got-want) <= 1e-4*max(1, math.Abs(want))) {
					t.Errorf("%s: %v, expected %v", what, got, want)
				}
			}
			a, err := in.Attribution(t.Context(), ids, inspect.AttributionOptions{Position: -1, Token: 3, Against: 5})
			no(err)
			near("attribution", float64(a.Sum), float64(a.Score))
			experts := strings.HasPrefix(name, "gpt-oss")
			if experts {
				_, err := in.MLP(t.Context(), ids, inspect.MLPOptions{Position: -1, Neurons: 3, Tokens: 2})
				gpttest.WantError(t, err, "has experts in place of one MLP")
				_, err = in.MLPNeuron(t.Context(), ids, inspect.MLPNeuronOptions{Positions: 3, Tokens: 2})
				gpttest.WantError(t, err, "has experts in place of one MLP")
			} else {
				mlp, err := in.MLP(t.Context(), ids, inspect.MLPOptions{Position: -1, Neurons: min(100, m.Inner), Tokens: 2})
				no(err)
				for _, l := range mlp.Layers {
					along, share := 0.0, 0.0
					for _, n := range l.Answers {
						along, share = along+float64(n.Along), share+float64(n.Share)
					}
					near("shares of neurons", share, 1)
					if m.Family != "gpt_neox" { // which has a bias besides
						near("parts of neurons", along, 1)
					}
				}
				_, err = in.MLPNeuron(t.Context(), ids, inspect.MLPNeuronOptions{Layer: m.Layers - 1, Neuron: 7, Positions: 3, Tokens: 2})
				no(err)
			}
			c, err := in.Context(t.Context(), ids, ids[:len(ids)-3], inspect.ContextOptions{First: -1, Second: -1, Top: 1})
			no(err)
			for i := range m.Layers {
				moved := 0.0
				for _, text := range []inspect.ContextText{c.First, c.Second} {
					block := text.Blocks[i]
					moved += float64(block.MLP.Away)
					if block.Bias != nil {
						moved += float64(block.Bias.Away)
					}
					for _, p := range block.Positions {
						moved += float64(p.Away)
					}
				}
				near("what a block moves", moved, change(t, in, ids, i))
			}
			_, err = in.Attention(t.Context(), ids, inspect.AttentionOptions{Weighted: true, Top: 3})
			no(err)
			_, err = in.Lens(t.Context(), ids, inspect.LensOptions{Token: -1, Top: 1})
			no(err)
			_, err = in.Next(t.Context(), ids, inspect.NextOptions{Top: 2, Position: -1, Temperatures: []float64{1}})
			no(err)
			_, err = in.Ablate(t.Context(), ids, in.Parts(inspect.WholeBlock)[:1], inspect.AblationOptions{Position: -1, Token: -1})
			no(err)
			tally := inspect.NewTally(m.Config, m.Context)
			rest := int64(0)
			for _, x := range tally.LeftOut {
				rest += x.Weights
			}
			if tally.Weights+rest != tally.Parameters || tally.Parameters != int64(m.Parameters()) {
				t.Errorf("%d weights of kinds and %d besides, of %d", tally.Weights, rest, tally.Parameters)
			}
			if (tally.Active > 0) != experts || tally.Active >= tally.Parameters {
				t.Errorf("%d weights are active, of %d", tally.Active, tally.Parameters)
			}
		})
	}
}

// change is by how much block i moves the last vectors of ids and of ids without the last
// three apart, along the line between them after the block.
func change(t *testing.T, in *inspect.Inspector, ids []int, i int) float64 {
	t.Helper()
	run, err := in.Run(t.Context(), ids, "hidden.*")
	if err != nil {
		t.Fatal(err)
	}
	apart := func(stage int) []float64 {
		x := run.Value("hidden.%d", stage)
		d := make([]float64, in.Model.Width)
		for k := range d {
			d[k] = float64(x.Row(len(ids) - 1)[k]) - float64(x.Row(len(ids) - 4)[k])
		}
		return d
	}
	before, after := apart(i), apart(i+1)
	change := norm(after)
	for k, v := range before {
		change -= v * after[k] / norm(after)
	}
	return change
}
