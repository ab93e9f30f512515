package inspect_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"caldera/backend"
	"caldera/inspect"
	"caldera/internal/devicetest"
	"caldera/internal/gpttest"
)

// tolerance on ‖out − reference‖ / ‖reference‖, that of all forward passes in f32.
const tolerance = 1e-5

// eachReference runs a test for each reference checkpoint on the devices of each:
// devicetest.Each or EachBackend.
func eachReference(t *testing.T, each func(*testing.T, func(*testing.T, backend.Backend)), test func(t *testing.T, in *inspect.Inspector, expected, inspected gpttest.Figures)) {
	each(t, func(t *testing.T, b backend.Backend) {
		for _, name := range gpttest.References {
			t.Run(name, func(t *testing.T) {
				dir := "../gpt/testdata/" + name
				in := inspect.New(gpttest.Load(t, b, dir, backend.F32), nil, inspect.Options{})
				defer in.Close()
				test(t, in, gpttest.Expected(t, dir), gpttest.Inspected(t, dir))
			})
		}
	})
}

// TestRun holds every value of a run to PyTorch's figures.
func TestRun(t *testing.T) {
	eachReference(t, devicetest.Each, func(t *testing.T, in *inspect.Inspector, expected, inspected gpttest.Figures) {
		ids := firstSequence(t, expected)
		run, err := in.Run(t.Context(), ids, "hidden.*", "blocks.*")
		if err != nil {
			t.Fatal(err)
		}
		checked := 0
		check := func(name string, shape []int, want []float32) {
			t.Helper()
			v := run.Value("%s", name)
			if !slices.Equal(v.Shape, shape) {
				t.Errorf("%s has shape %v, expected %v", name, v.Shape, shape)
			}
			gpttest.CheckNear(t, name, v.Data, want, tolerance)
			checked++
		}
		for _, name := range inspected.Tensors() {
			if strings.HasPrefix(name, "blocks.") {
				check(name, inspected.Shape(name), inspected.Floats(t, name))
			}
		}
		for _, name := range expected.Tensors() {
			shape := expected.Shape(name)
			if block, found := strings.CutPrefix(name, "attn."); found {
				all := expected.Floats(t, name)
				check("blocks."+block+".attention.probs", shape[1:], all[:len(all)/shape[0]])
			} else if strings.HasPrefix(name, "hidden.") && name != "hidden.final" { // which Run does not return
				all := expected.Floats(t, name)
				check(name, shape[1:], all[:len(all)/shape[0]])
			}
		}
		if want := 10*in.Model.Layers + 1; checked != want {
			t.Errorf("%d values checked, expected %d: 10 of each block, and the last vectors", checked, want)
		}
	})
}

// TestLensScores holds the unembedding of the vectors before and after every block.
func TestLensScores(t *testing.T) {
	eachReference(t, devicetest.Each, func(t *testing.T, in *inspect.Inspector, expected, inspected gpttest.Figures) {
		run, err := in.Run(t.Context(), firstSequence(t, expected), "hidden.*")
		if err != nil {
			t.Fatal(err)
		}
		for i := range in.Model.Layers + 1 {
			var rows, scores []float32
			for _, at := range inspected.Ints(t, "lens.positions") {
				rows = append(rows, run.Value("hidden.%d", i).Row(int(at))...)
			}
			next := 0
			err := in.Scores(t.Context(), rows, func(row int, values []float32) error {
				if row != next {
					t.Errorf("visited row %d, expected %d", row, next)
				}
				next++
				scores = append(scores, values...)
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			name := fmt.Sprintf("lens.%d", i)
			gpttest.CheckNear(t, name, scores, inspected.Floats(t, name), tolerance)
		}
	})
}

// firstSequence is the sequence that inspect.safetensors is of.
func firstSequence(t *testing.T, expected gpttest.Figures) (ids []int) {
	t.Helper()
	for _, id := range expected.Ints(t, "input_ids")[:expected.Shape("input_ids")[1]] {
		ids = append(ids, int(id))
	}
	return ids
}
