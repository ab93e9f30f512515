package gpt_test

import (
	"context"
	"maps"
	"slices"
	"strings"
	"testing"

	"caldera/backend"
	"caldera/gpt"
	"caldera/gpt/model"
	"caldera/internal/devicetest"
	"caldera/internal/gpttest"
)

// testNamed holds all that the model names inside its blocks to PyTorch's figures,
// which are of the first sequence of the batch. expected.safetensors has the
// probabilities.
func testNamed(t *testing.T, b backend.Backend, dir string, m *model.Model, seen map[string]backend.Tensor, tolerance float64) {
	want := gpttest.Inspected(t, dir)
	checked := 0
	for _, name := range slices.Sorted(maps.Keys(seen)) {
		if !strings.HasPrefix(name, "blocks.") || strings.HasSuffix(name, ".probs") {
			continue
		}
		first := gpttest.Compact(t, b, seen[name].Slice(-3, 0, 1))
		gpttest.CheckNear(t, name, gpttest.Floats(t, b, first), want.Floats(t, name), tolerance)
		checked++
	}
	if all := countPrefix(want.Tensors(), "blocks."); checked != all || all != 8*m.Layers {
		t.Errorf("%d values inside the blocks, expected 8 of each of %d blocks; there are figures of %d", checked, m.Layers, all)
	}
}

func countPrefix(names []string, prefix string) (n int) {
	for _, name := range names {
		if strings.HasPrefix(name, prefix) {
			n++
		}
	}
	return n
}

// TestSeen holds what a session has seen to PyTorch's figures: a text in pieces of
// which the second is no power of two, so its step has rows that are of no token.
func TestSeen(t *testing.T) {
	devicetest.Each(t, func(t *testing.T, b backend.Backend) {
		for _, name := range gpttest.References {
			t.Run(name, func(t *testing.T) {
				dir := "testdata/" + name
				testSeen(t, b, gpttest.Load(t, b, dir, backend.F32), gpttest.Expected(t, dir), gpttest.Inspected(t, dir))
			})
		}
	})
}

func testSeen(t *testing.T, b backend.Backend, m *model.Model, expected, inspected gpttest.Figures) {
	time := expected.Shape("input_ids")[1]
	ids := numbers(expected.Ints(t, "input_ids")[:time])
	s, err := gpt.NewSession(m, gpt.SessionOptions{Watch: []string{"hidden.*", "blocks.*"}})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for from, to := 0, 2; from < time; from, to = to, time {
		if _, err := s.Feed(context.Background(), ids[from:to]...); err != nil {
			t.Fatal(err)
		}
		compare := func(name string, rows backend.Tensor, figures []float32) {
			t.Helper()
			if rows.Absent() {
				t.Fatalf("%s was not seen", name)
			}
			width := len(figures) / time
			got := gpttest.Floats(t, b, gpttest.Compact(t, b, rows.Slice(-2, 0, to-from)))
			gpttest.CheckNear(t, name, got, figures[from*width:to*width], tolerances[backend.F32])
		}
		for _, name := range inspected.Tensors() {
			if strings.HasPrefix(name, "blocks.") {
				compare(name, s.Seen(name), inspected.Floats(t, name))
			}
		}
		for _, name := range expected.Tensors() {
			if strings.HasPrefix(name, "hidden.") && name != "hidden.final" {
				all := expected.Floats(t, name)
				compare(name, s.Seen(name), all[:time*m.Width])
			}
			if block, found := strings.CutPrefix(name, "attn."); found {
				name = "blocks." + block + ".attention.probs"
				all := expected.Floats(t, "attn."+block)
				for h := range m.Heads {
					head := s.Seen(name).Slice(-3, h, h+1).Slice(-1, 0, time)
					compare(name, head, all[h*time*time:(h+1)*time*time])
				}
			}
		}
	}
}
