package gpt_test

import (
	"slices"
	"testing"

	"caldera/gpt"
	"caldera/gpt/safetensors"
)

// TestIgnored loads checkpoints with more in them than a GPT-2: the scores are
// the same, and what is not used is listed.
func TestIgnored(t *testing.T) {
	b := openCPU(t)
	want := logitsOf(t, b, base(t).write(t), gpt.LoadOptions{})
	prefix := func(c *checkpoint, p string) {
		for i := range c.tensors {
			c.tensors[i].Name = p + c.tensors[i].Name
		}
	}
	for name, test := range map[string]struct {
		change  func(c *checkpoint)
		ignored []string
	}{
		"nothing": {func(c *checkpoint) {
			c.add("h.0.attn.bias", safetensors.U8, 1, 1, 8, 8)
			c.add("h.0.attn.masked_bias", safetensors.F32)
			c.add("lm_head.weight", safetensors.F32, 11, 12)
		}, nil},
		"GPT2DoubleHeadsModel": {func(c *checkpoint) {
			prefix(c, "transformer.")
			c.add("lm_head.weight", safetensors.F32, 11, 12)
			c.add("multiple_choice_head.summary.weight", safetensors.F32, 1, 12)
			c.add("multiple_choice_head.summary.bias", safetensors.F32, 1)
		}, []string{"multiple_choice_head.summary.bias", "multiple_choice_head.summary.weight"}},
		"a value head": {func(c *checkpoint) {
			prefix(c, "pretrained_model.transformer.")
			c.add("v_head.summary.weight", safetensors.F32, 1, 12)
		}, []string{"v_head.summary.weight"}},
		"classes": {func(c *checkpoint) {
			prefix(c, "transformer.")
			c.add("score.weight", safetensors.I64, 3, 12) // whatever its dtype
			c.add("classifier.bias", safetensors.BF16, 3)
		}, []string{"classifier.bias", "score.weight"}},
		"beside a bare body": {func(c *checkpoint) { c.add("qa_outputs.weight", safetensors.F32, 2, 12) }, []string{"qa_outputs.weight"}},
		"trained on several devices, compiled": {func(c *checkpoint) {
			prefix(c, "module._orig_mod.transformer.")
			c.add("module._orig_mod.lm_head.weight", safetensors.F32, 11, 12)
			c.add("module._orig_mod.score.weight", safetensors.F32, 3, 12)
		}, []string{"module._orig_mod.score.weight"}},
		"within another model": {func(c *checkpoint) { prefix(c, "model.") }, nil},
		"control characters":   {func(c *checkpoint) { c.add("\x1b[31m", safetensors.F32, 1) }, []string{"\x1b[31m"}},
	} {
		t.Run(name, func(t *testing.T) {
			c := base(t)
			test.change(c)
			dir := c.write(t)
			if got := openCheckpoint(t, dir).Ignored(); !slices.Equal(got, test.ignored) {
				t.Errorf("ignored %q, expected %q", got, test.ignored)
			}
			if got := logitsOf(t, b, dir, gpt.LoadOptions{}); !slices.Equal(got, want) {
				t.Errorf("scores %v, expected %v", got, want)
			}
			saved := saveDir(t, openCheckpoint(t, dir), 0)
			if got := openCheckpoint(t, saved).Ignored(); got != nil {
				t.Errorf("saved with %q", got)
			}
		})
	}
}

// TestIgnoredGGUF expects none: llama.cpp refuses a file with more tensors.
func TestIgnoredGGUF(t *testing.T) {
	if got := openCheckpoint(t, oneGGUF(t).write(t)).Ignored(); got != nil {
		t.Errorf("ignored %q", got)
	}
}
