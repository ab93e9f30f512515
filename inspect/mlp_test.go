package inspect_test

import (
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

// TestMLP holds the strongest answers, and what the first of them writes, to PyTorch's.
func TestMLP(t *testing.T) {
	eachReference(t, devicetest.Each, func(t *testing.T, in *inspect.Inspector, expected, inspected gpttest.Figures) {
		ids := firstSequence(t, expected)
		layer, at := int(inspected.Ints(t, "mlp.layer")[0]), int(inspected.Ints(t, "mlp.position")[0])
		neurons, values := inspected.Ints(t, "mlp.units"), inspected.Floats(t, "mlp.answers")
		got, err := in.MLP(t.Context(), ids, inspect.MLPOptions{Layer: &layer, Position: at, Neurons: len(neurons), Tokens: 100})
		if err != nil {
			t.Fatal(err)
		}
		if len(got.Layers) != 1 || got.Layers[0].Layer != layer || got.Position != at || len(got.Tokens) != at+1 {
			t.Fatalf("layers %v of position %d, expected layer %d of position %d", got.Layers, got.Position, layer, at)
		}
		answers := got.Layers[0].Answers
		var found []float32
		for i, a := range answers {
			if a.Neuron != int(neurons[i]) {
				t.Errorf("the answer of place %d is neuron %d's, expected neuron %d", i, a.Neuron, neurons[i])
			}
			found = append(found, float32(a.Value))
		}
		gpttest.CheckNear(t, "answers", found, values, tolerance)
		checkWrites(t, answers[0].Writes, inspected.Floats(t, "mlp.scores"))

		neuron, err := in.MLPNeuron(t.Context(), ids, inspect.MLPNeuronOptions{Layer: layer, Neuron: int(neurons[0]), Positions: 3, Tokens: 100})
		if err != nil {
			t.Fatal(err)
		}
		checkWrites(t, neuron.Writes, inspected.Floats(t, "mlp.scores"))
		run, err := in.Run(t.Context(), ids, "blocks.*.mlp.hidden")
		if err != nil {
			t.Fatal(err)
		}
		var want []float32
		found = nil
		for i := range ids {
			want = append(want, run.Value("blocks.%d.mlp.hidden", layer).Row(i)[neurons[0]])
			found = append(found, float32(neuron.Values[i]))
		}
		if !slices.Equal(found, want) {
			t.Errorf("the neuron answers %v, expected %v", found, want)
		}
		for i, p := range neuron.Strongest {
			for j, v := range neuron.Values {
				if math.Abs(float64(v)) > math.Abs(float64(neuron.Values[p])) && !slices.Contains(neuron.Strongest[:i], j) {
					t.Errorf("positions %v are the strongest of %v", neuron.Strongest, neuron.Values)
				}
			}
		}
	})
}

// checkWrites holds tokens to the scores of all.
func checkWrites(t *testing.T, got inspect.Writes, scores []float32) {
	t.Helper()
	order := make([]int, len(scores))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int {
		if scores[a] > scores[b] {
			return -1
		}
		return 1
	})
	var found, want []float32
	for i, s := range got.Raised {
		found, want = append(found, float32(s.Score)), append(want, scores[s.ID])
		if scores[order[i]] > scores[s.ID]+1e-5 {
			t.Errorf("raised %d is token %d, expected %d", i, s.ID, order[i])
		}
	}
	for i, s := range got.Lowered {
		found, want = append(found, float32(s.Score)), append(want, scores[s.ID])
		if last := order[len(order)-1-i]; scores[last] < scores[s.ID]-1e-5 {
			t.Errorf("lowered %d is token %d, expected %d", i, s.ID, last)
		}
	}
	if n := min(100, len(scores)); len(got.Raised) != n || len(got.Lowered) != n {
		t.Errorf("%d raised, %d lowered, expected %d", len(got.Raised), len(got.Lowered), n)
	}
	gpttest.CheckNear(t, "scores", found, want, tolerance)
}

// TestMLPParts adds up what all neurons write: with the bias it is the MLP's output.
func TestMLPParts(t *testing.T) {
	b := gpttest.OpenCPU(t)
	ids := []int{3, 1, 4, 1, 5, 9, 2, 6}
	check := func(name string, m *model.Model) {
		in := inspect.New(m, nil, inspect.Options{})
		defer in.Close()
		got, err := in.MLP(t.Context(), ids, inspect.MLPOptions{Position: -1, Neurons: min(100, m.Inner), ByLength: true})
		if err != nil {
			t.Fatal(err)
		}
		run, err := in.Run(t.Context(), ids, "blocks.*.mlp.*")
		if err != nil {
			t.Fatal(err)
		}
		if len(got.Layers) != m.Layers {
			t.Fatalf("%s: %d layers", name, len(got.Layers))
		}
		for l, layer := range got.Layers {
			down, output := matrixOf(t, m, model.Down, l), run.Value("blocks.%d.mlp.output", l).Row(len(ids)-1)
			norm, total := 0.0, 0.0
			for _, y := range output {
				norm += float64(y) * float64(y)
			}
			lengths, alongs := make([]float64, m.Inner), make([]float64, m.Inner)
			for u := range m.Inner {
				for o := range m.Width {
					c := float64(down[o*m.Inner+u]) * float64(run.Value("blocks.%d.mlp.hidden", l).Row(len(ids) - 1)[u])
					lengths[u] += c * c
					alongs[u] += c * float64(output[o]) / norm
				}
				lengths[u] = math.Sqrt(lengths[u])
				total += lengths[u]
			}
			var found, want []float32
			for i, a := range layer.Answers {
				found = append(found, float32(a.Length), float32(a.Share), float32(a.Along), float32(a.Value))
				want = append(want, float32(lengths[a.Neuron]), float32(lengths[a.Neuron]/total), float32(alongs[a.Neuron]), run.Value("blocks.%d.mlp.hidden", l).Row(len(ids) - 1)[a.Neuron])
				if i > 0 && layer.Answers[i-1].Length < a.Length {
					t.Errorf("%s: layer %d: %v is before %v", name, l, layer.Answers[i-1], a)
				}
			}
			gpttest.CheckNear(t, name, found, want, tolerance)
			if d := math.Abs(float64(layer.Length) - math.Sqrt(norm)); d > 1e-4*math.Sqrt(norm) {
				t.Errorf("%s: layer %d: length %v, expected %v", name, l, layer.Length, math.Sqrt(norm))
			}
			one, err := in.MLPNeuron(t.Context(), ids, inspect.MLPNeuronOptions{Layer: l, Neuron: 7})
			if err != nil {
				t.Fatal(err)
			}
			column := 0.0
			for o := range m.Width {
				column += float64(down[o*m.Inner+7]) * float64(down[o*m.Inner+7])
			}
			if d := math.Abs(float64(one.Column) - math.Sqrt(column)); d > 1e-5 {
				t.Errorf("%s: layer %d: column 7 is %v long, expected %v", name, l, one.Column, math.Sqrt(column))
			}
		}
	}
	for _, d := range []backend.DType{backend.F32, backend.F16, backend.BF16, backend.Q8_0, backend.Q4_0} {
		m, err := gpt.Random(t.Context(), b, gpttest.Llamas()["biases"], gpt.LoadOptions{DType: d}, 7)
		if err != nil {
			t.Fatal(err)
		}
		check("Llama in "+d.String(), m)
		m.Close()
	}
	check("GPT-2", gpttest.Load(t, b, "../gpt/testdata/gpt2-tiny", backend.None))
	check("GPT-2, transposed", gpttest.Load(t, gpttest.DeviceOf(b), "../gpt/testdata/gpt2-tiny", backend.None))
}

func TestMLPErrors(t *testing.T) {
	in := tiny(t)
	ids, three := []int{3, 1, 4}, 3
	for want, o := range map[string]inspect.MLPOptions{
		"layers 0 to 2": {Layer: &three}, "positions 0 to 2": {Position: 3}, "-1 neurons": {Neurons: -1}, "101 neurons": {Neurons: 101}, "101 tokens": {Tokens: 101},
	} {
		_, err := in.MLP(t.Context(), ids, o)
		gpttest.WantError(t, err, want)
		wantUser(t, err)
	}
	for want, o := range map[string]inspect.MLPNeuronOptions{
		"layers 0 to 2": {Layer: -1}, "neurons 0 to 255": {Neuron: 256}, "neuron -1": {Neuron: -1}, "1001 positions": {Positions: 1001}, "101 tokens": {Tokens: 101},
	} {
		_, err := in.MLPNeuron(t.Context(), ids, o)
		gpttest.WantError(t, err, want)
		wantUser(t, err)
	}
	_, err := in.MLPNeuron(t.Context(), nil, inspect.MLPNeuronOptions{})
	wantUser(t, err)
}
