package model_test

import (
	"testing"

	"caldera/gpt/model"
)

// TestFamilyCounts counts the weights of models of each family, as their authors' files of
// weights have them.
func TestFamilyCounts(t *testing.T) {
	for name, want := range map[string]int64{
		"mistral-7b": 7_241_732_096, "smollm3-3b": 3_075_098_624, "qwen2.5-0.5b": 494_032_768, "qwen3-0.6b": 596_049_920,
		"gemma-2-2b": 2_614_341_888, "gemma-3-1b": 999_885_952, "olmo-2-1b": 1_484_916_736, "olmo-3-7b": 7_298_011_136,
		"phi-3-mini": 3_821_079_552, "pythia-70m": 70_426_624, "pythia-160m": 162_322_944,
	} {
		c, err := model.Shape(name)
		if err != nil {
			t.Fatal(err)
		}
		if n := int64(c.Parameters()); n != want {
			t.Errorf("%s has %d weights, expected %d", name, n, want)
		}
	}
}
