package view

import (
	"math"
	"strings"
	"testing"

	"caldera/backend"
	"caldera/gpt"
	"caldera/inspect"
	"caldera/internal/gpttest"
)

// TestNotFinite writes, in all forms, what is no number: of a model whose first vectors
// are NaN, as training that diverged leaves it.
func TestNotFinite(t *testing.T) {
	b := gpttest.OpenCPU(t)
	m, err := gpt.Load(t.Context(), b, "../../gpt/testdata/gpt2-tiny", gpt.LoadOptions{Train: true})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	values := make([]float32, m.Width)
	for i := range values {
		values[i] = float32(math.NaN())
	}
	if err := backend.SetF32(b, gpttest.GPT2(m).Blocks[1].Norm1.Gamma, values); err != nil {
		t.Fatal(err)
	}
	in := inspect.New(m, nil, inspect.Options{})
	defer in.Close()
	for _, address := range []string{
		"attention?tokens=3,1,4", "attention?tokens=3,1,4&layer=1&weighted=1", "attention?tokens=3,1,4&layer=1&head=0", "attention?tokens=3",
		"mlp?tokens=3,1,4", "mlp?tokens=3,1,4&layer=2&neuron=0", "context?first=3,1,4&second=1,1,4&ids=1&at=-1,-1",
		"next?tokens=3,1,4", "lens?tokens=3,1,4&off=1&each=heads", "forget?tokens=3,1,4&context=2",
	} {
		a := answer(t, in, address, Options{})
		checkForms(t, a)
		picture(t, a)
		var out strings.Builder
		if err := WriteJSON(&out, a); err != nil || !strings.Contains(out.String(), "null") {
			t.Errorf("%s: nothing is null in %.200s, %v", address, out.String(), err)
		}
	}
}
