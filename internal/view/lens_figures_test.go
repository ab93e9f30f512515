package view

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"caldera/backend"
	"caldera/inspect"
	"caldera/internal/gpttest"
)

// TestLensFigures holds the JSON to PyTorch's figures. Package inspect holds all that is
// computed to them, on every device.
func TestLensFigures(t *testing.T) {
	b := gpttest.OpenCPU(t)
	for _, name := range gpttest.References {
		t.Run(name, func(t *testing.T) {
			dir := "../../gpt/testdata/" + name
			in := inspect.New(gpttest.Load(t, b, dir, backend.F32), nil, inspect.Options{})
			defer in.Close()
			expected, figures := gpttest.Expected(t, dir), gpttest.Inspected(t, dir)
			var ids []string
			for _, id := range expected.Ints(t, "input_ids")[:expected.Shape("input_ids")[1]] {
				ids = append(ids, fmt.Sprint(id))
			}
			last := len(ids) - 1
			address := fmt.Sprintf("lens?tokens=%s&positions=0&top=1&off=0.mlp&each=attention", strings.Join(ids, ","))
			var out bytes.Buffer
			if err := WriteJSON(&out, answer(t, in, address, Options{})); err != nil {
				t.Fatal(err)
			}
			type outcome struct {
				Score float32
				Top   []struct{ ID int }
			}
			type ablation struct{ After outcome }
			var got struct {
				Result struct {
					Lens struct {
						Answers []struct{ ID int }
						Blocks  [][]outcome
					}
					Attribution struct{ Rows []struct{ Score float32 } }
					Ablation    ablation
					Each        []ablation
				}
			}
			if err := json.Unmarshal(out.Bytes(), &got); err != nil {
				t.Fatal(err)
			}
			r := got.Result
			var scores, want []float32
			for i := range in.Model.Layers + 1 {
				all := figures.Floats(t, fmt.Sprintf("lens.%d", i))
				for row, at := range figures.Ints(t, "lens.positions") {
					of := all[row*in.Model.Vocab : (row+1)*in.Model.Vocab]
					scores, want = append(scores, r.Lens.Blocks[i][at].Score), append(want, of[r.Lens.Answers[at].ID])
					if top := slices.Index(of, slices.Max(of)); r.Lens.Blocks[i][at].Top[0].ID != top {
						t.Errorf("after %d blocks the likeliest token at %d is %d, expected %d", i, at, r.Lens.Blocks[i][at].Top[0].ID, top)
					}
				}
			}
			token := r.Lens.Answers[last].ID
			scores, want = append(scores, r.Ablation.After.Score), append(want, figures.Floats(t, "without.0.mlp")[token])
			for i, e := range r.Each {
				scores, want = append(scores, e.After.Score), append(want, figures.Floats(t, fmt.Sprintf("without.%d.attention", i))[token])
			}
			gpttest.CheckNear(t, "scores", scores, want, 1e-5)
			sum, score := float32(0), float32(0)
			for _, row := range r.Attribution.Rows {
				sum += row.Score
			}
			for _, v := range figures.Floats(t, "attribution")[:figures.Shape("attribution")[1]] { // of the last position
				score += v
			}
			gpttest.CheckNear(t, "the sum of the attribution", []float32{sum}, []float32{score}, 1e-4)
		})
	}
}
