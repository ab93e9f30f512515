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
		"phi-3-mini": 3_821_079_552, "pythia-70m": 70_426_624, "pythia-160m": 162_322_944, "gpt-oss-20b": 20_914_757_184, "gpt-oss-120b": 116_829_156_672,
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

// TestActive counts the weights that a token is computed with. Those of gpt-oss are 3.61 and 5.13
// billions by its authors' model card (arXiv:2508.10925, table 1), without the embedding.
func TestActive(t *testing.T) {
	for name, want := range map[string]int64{
		"gpt-oss-20b": 3_608_307_264, "gpt-oss-120b": 5_132_849_472,
		"gpt2": 124_439_808, "mistral-7b": 7_241_732_096 - 32000*4096,
	} {
		c, err := model.Shape(name)
		if err != nil {
			t.Fatal(err)
		}
		if n := c.Active(); n != want {
			t.Errorf("%s has %d weights for a token, expected %d", name, n, want)
		}
	}
}
