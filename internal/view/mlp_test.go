package view

import (
	"fmt"
	"strings"
	"testing"

	"caldera/inspect"
	"caldera/internal/gpttest"
)

// TestMLPFigures holds the JSON to PyTorch's answers.
func TestMLPFigures(t *testing.T) {
	eachFigures(t, func(t *testing.T, in *inspect.Inspector, ids string, _, figures gpttest.Figures) {
		layer, neurons, scores := figures.Ints(t, "mlp.layer")[0], figures.Ints(t, "mlp.units"), figures.Floats(t, "mlp.scores")
		type writes struct {
			Raised, Lowered []struct {
				ID    int
				Score float32
			}
		}
		check := func(w writes) {
			var got, want []float32
			for _, s := range append(w.Raised, w.Lowered...) {
				got, want = append(got, s.Score), append(want, scores[s.ID])
			}
			gpttest.CheckNear(t, "scores", got, want, 1e-5)
			for i, id := range figures.Ints(t, "mlp.tokens")[:3] {
				if w.Raised[i].ID != int(id) {
					t.Errorf("token %d is raised at place %d, expected %d", w.Raised[i].ID, i, id)
				}
			}
		}
		var got struct {
			Result struct {
				Answers struct {
					Layers []struct {
						Answers []struct {
							Neuron int
							Value  float32
							writes
						}
					}
				}
			}
		}
		jsonOf(t, in, fmt.Sprintf("mlp?tokens=%s&layer=%d&position=%d&top=%d&writes=3", ids, layer, figures.Ints(t, "mlp.position")[0], len(neurons)), &got)
		var values []float32
		for i, a := range got.Result.Answers.Layers[0].Answers {
			values = append(values, a.Value)
			if a.Neuron != int(neurons[i]) {
				t.Errorf("neuron %d is at place %d, expected %d", a.Neuron, i, neurons[i])
			}
		}
		gpttest.CheckNear(t, "answers", values, figures.Floats(t, "mlp.answers"), 1e-5)
		check(got.Result.Answers.Layers[0].Answers[0].writes)
		var one struct {
			Result struct {
				Neuron struct {
					Values []float32
					writes
				}
			}
		}
		jsonOf(t, in, fmt.Sprintf("mlp?tokens=%s&layer=%d&neuron=%d&writes=3", ids, layer, neurons[0]), &one)
		check(one.Result.Neuron.writes)
		gpttest.CheckNear(t, "the neuron's answer", one.Result.Neuron.Values[figures.Ints(t, "mlp.position")[0]:][:1], values[:1], 1e-5)
	})
}

func TestMLPText(t *testing.T) {
	in := austen(t)
	for address, parts := range map[string][]string{
		"mlp?text=It is a truth&layer=2&top=2":     {`" truth" at position 3, of 768 neurons`, "raises", "along output"},
		"mlp?text=It is a truth&layer=2&neuron=17": {"neuron 17 of layer 2, of 768", "raises \"", "lowers \"", "position  token"},
	} {
		got := text(t, answer(t, in, address, Options{}), 100, false)
		for _, part := range parts {
			if !strings.Contains(got, part) {
				t.Errorf("%s: no %q in\n%s", address, part, got)
			}
		}
	}
	_, p, err := parse(t, "mlp?text=It is&neuron=3")
	if err != nil {
		t.Fatal(err)
	}
	_, err = p.Run(t.Context(), in)
	gpttest.WantError(t, err, "neuron 3 of which layer")
}
