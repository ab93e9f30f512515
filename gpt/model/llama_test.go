package model_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"caldera/gpt/model"
)

// TestLlamaCounts counts weights: those of Llama 3.2 1B as its authors publish them.
func TestLlamaCounts(t *testing.T) {
	c, err := model.Shape("llama-3.2-1b")
	if err != nil {
		t.Fatal(err)
	}
	if n := c.Parameters(); n != 1_235_814_400 {
		t.Errorf("Llama 3.2 1B has %d weights, expected 1,235,814,400", n)
	}
	want := []model.Matrix{
		{Kind: "Embedding", Count: 1, Rows: 2048, Cols: 128256},
		{Kind: "Key", Count: 16 * 8, Rows: 64, Cols: 2048},
		{Kind: "Query", Count: 16 * 32, Rows: 64, Cols: 2048},
		{Kind: "Value", Count: 16 * 8, Rows: 64, Cols: 2048},
		{Kind: "Output", Count: 16, Rows: 2048, Cols: 2048},
		{Kind: "Gate", Count: 16, Rows: 8192, Cols: 2048},
		{Kind: "Up-projection", Count: 16, Rows: 8192, Cols: 2048},
		{Kind: "Down-projection", Count: 16, Rows: 2048, Cols: 8192},
		{Kind: "Unembedding", Count: 0, Rows: 128256, Cols: 2048},
	}
	if diff := cmp.Diff(want, c.Matrices()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
