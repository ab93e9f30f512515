package model_test

import (
	"strings"
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
	for name, want := range map[string]int64{"smollm2-135m": 134_515_008, "smollm2-360m": 361_821_120} { // as model.safetensors of each has them
		c, err := model.Shape(name)
		if err != nil {
			t.Fatal(err)
		}
		if n := int64(c.Parameters()); n != want {
			t.Errorf("%s has %d weights, expected %d", name, n, want)
		}
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

// TestLlamaAngles: a table of angles for all positions has a bound.
func TestLlamaAngles(t *testing.T) {
	c, err := model.Shape("llama-tiny")
	if err != nil {
		t.Fatal(err)
	}
	c.Heads, c.KVHeads, c.HeadSize, c.Context = 1, 1, 1<<12, 1<<20
	if err := c.Validate(); err == nil || !strings.Contains(err.Error(), "max_position_embeddings: found 1048576 with heads of 4096") {
		t.Errorf("error %v, expected one that names the context", err)
	}
}
