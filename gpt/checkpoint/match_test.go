package checkpoint_test

import (
	"slices"
	"testing"

	"caldera/gpt"
	"caldera/gpt/checkpoint/safetensors"
	"caldera/internal/gpttest"
)

// TestIgnored loads checkpoints with more in them than a GPT-2: the scores are
// the same, and what is not used is listed.
func TestIgnored(t *testing.T) {
	b := gpttest.OpenCPU(t)
	want := gpttest.Logits(t, b, gpttest.Base(t).Write(t), gpt.LoadOptions{})
	prefix := func(c *gpttest.Directory, p string) {
		for i := range c.Tensors {
			c.Tensors[i].Name = p + c.Tensors[i].Name
		}
	}
	for name, test := range map[string]struct {
		change  func(c *gpttest.Directory)
		ignored []string
	}{
		"nothing": {func(c *gpttest.Directory) {
			c.Add("h.0.attn.bias", safetensors.U8, 1, 1, 8, 8)
			c.Add("h.0.attn.masked_bias", safetensors.F32)
			c.Add("lm_head.weight", safetensors.F32, 11, 12)
		}, nil},
		"GPT2DoubleHeadsModel": {func(c *gpttest.Directory) {
			prefix(c, "transformer.")
			c.Add("lm_head.weight", safetensors.F32, 11, 12)
			c.Add("multiple_choice_head.summary.weight", safetensors.F32, 1, 12)
			c.Add("multiple_choice_head.summary.bias", safetensors.F32, 1)
		}, []string{"multiple_choice_head.summary.bias", "multiple_choice_head.summary.weight"}},
		"a value head": {func(c *gpttest.Directory) {
			prefix(c, "pretrained_model.transformer.")
			c.Add("v_head.summary.weight", safetensors.F32, 1, 12)
		}, []string{"v_head.summary.weight"}},
		"classes": {func(c *gpttest.Directory) {
			prefix(c, "transformer.")
			c.Add("score.weight", safetensors.I64, 3, 12) // whatever its dtype
			c.Add("classifier.bias", safetensors.BF16, 3)
		}, []string{"classifier.bias", "score.weight"}},
		"beside a bare body": {func(c *gpttest.Directory) { c.Add("qa_outputs.weight", safetensors.F32, 2, 12) }, []string{"qa_outputs.weight"}},
		"trained on several devices, compiled": {func(c *gpttest.Directory) {
			prefix(c, "module._orig_mod.transformer.")
			c.Add("module._orig_mod.lm_head.weight", safetensors.F32, 11, 12)
			c.Add("module._orig_mod.score.weight", safetensors.F32, 3, 12)
		}, []string{"module._orig_mod.score.weight"}},
		"within another model": {func(c *gpttest.Directory) { prefix(c, "model.") }, nil},
		"control characters":   {func(c *gpttest.Directory) { c.Add("\x1b[31m", safetensors.F32, 1) }, []string{"\x1b[31m"}},
	} {
		t.Run(name, func(t *testing.T) {
			c := gpttest.Base(t)
			test.change(c)
			dir := c.Write(t)
			if got := gpttest.OpenCheckpoint(t, dir).Ignored(); !slices.Equal(got, test.ignored) {
				t.Errorf("ignored %q, expected %q", got, test.ignored)
			}
			if got := gpttest.Logits(t, b, dir, gpt.LoadOptions{}); !slices.Equal(got, want) {
				t.Errorf("scores %v, expected %v", got, want)
			}
			saved := gpttest.SaveDir(t, gpttest.OpenCheckpoint(t, dir), 0)
			if got := gpttest.OpenCheckpoint(t, saved).Ignored(); got != nil {
				t.Errorf("saved with %q", got)
			}
		})
	}
}

// TestIgnoredGGUF expects none: llama.cpp refuses a file with more tensors.
func TestIgnoredGGUF(t *testing.T) {
	if got := gpttest.OpenCheckpoint(t, oneGGUF(t).write(t)).Ignored(); got != nil {
		t.Errorf("ignored %q", got)
	}
}
