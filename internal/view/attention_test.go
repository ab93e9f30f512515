package view

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"caldera/backend"
	"caldera/inspect"
	"caldera/internal/gpttest"
)

// eachFigures runs a test on each reference checkpoint, with the first sequence that
// PyTorch read: its ids with commas between.
func eachFigures(t *testing.T, test func(t *testing.T, in *inspect.Inspector, ids string, expected, figures gpttest.Figures)) {
	b := gpttest.OpenCPU(t)
	for _, name := range gpttest.References {
		t.Run(name, func(t *testing.T) {
			dir := "../../gpt/testdata/" + name
			in := inspect.New(gpttest.Load(t, b, dir, backend.F32), nil, inspect.Options{})
			defer in.Close()
			expected := gpttest.Expected(t, dir)
			test(t, in, list(expected.Ints(t, "input_ids")[:expected.Shape("input_ids")[1]]), expected, gpttest.Inspected(t, dir))
		})
	}
}

// list are ids with commas between.
func list(ids []int32) string {
	var out []string
	for _, id := range ids {
		out = append(out, fmt.Sprint(id))
	}
	return strings.Join(out, ",")
}

// jsonOf reads the JSON of an answer.
func jsonOf(t *testing.T, in *inspect.Inspector, address string, got any) {
	t.Helper()
	var out bytes.Buffer
	if err := WriteJSON(&out, answer(t, in, address, Options{})); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(out.Bytes(), got); err != nil {
		t.Fatal(err)
	}
}

// TestAttentionFigures holds the JSON to PyTorch's maps.
func TestAttentionFigures(t *testing.T) {
	eachFigures(t, func(t *testing.T, in *inspect.Inspector, ids string, expected, figures gpttest.Figures) {
		for layer := range in.Model.Layers {
			for _, weighted := range []bool{false, true} {
				var got struct {
					Result struct {
						Tokens []struct{ ID int }
						Heads  []struct{ Map [][]float32 }
					}
				}
				jsonOf(t, in, fmt.Sprintf("attention?tokens=%s&layer=%d&weighted=%t", ids, layer, weighted), &got)
				n := len(got.Result.Tokens)
				want := expected.Floats(t, fmt.Sprintf("attn.%d", layer))[:in.Model.Heads*n*n]
				if weighted {
					want = figures.Floats(t, fmt.Sprintf("weighted.%d", layer))
				}
				var maps []float32
				for _, h := range got.Result.Heads {
					for _, row := range h.Map {
						maps = append(maps, row...)
						maps = append(maps, make([]float32, n-len(row))...)
					}
				}
				gpttest.CheckNear(t, "maps", maps, want, 1e-5)
			}
		}
	})
}

// TestAttentionText shows a head's map where it fits, and says so where it does not.
func TestAttentionText(t *testing.T) {
	in := austen(t)
	a := answer(t, in, "attention?text=It is a truth&layer=2&head=0&top=2", Options{})
	got := text(t, a, 80, false)
	for _, part := range []string{"head 0 of layer 2", "  2 \" a\"       1", `" truth"  " is"     3 → 1`, "the strongest pairs"} {
		if !strings.Contains(got, part) {
			t.Errorf("no %q in\n%s", part, got)
		}
	}
	if got := text(t, a, 20, false); strings.Contains(got, "in percent") || !strings.Contains(got, "see it as a picture") {
		t.Errorf("in 20 columns:\n%s", got)
	}
	for address, part := range map[string]string{
		"attention?text=a man": "36 heads of 6 layers; weights are probabilities\n", "attention?text=a man&layer=1&weighted=1": "6 heads of layer 1; weights are probabilities × lengths",
		"attention?text=a man&head=1": "head 1 of 6 layers", "attention?tokens=5&layer=0&head=0": "head 0 of layer 0",
	} {
		if got := text(t, answer(t, in, address, Options{}), 0, false); !strings.Contains(got, part) {
			t.Errorf("%s: no %q in\n%s", address, part, got)
		}
	}
}
