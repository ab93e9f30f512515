package train_test

import (
	"bytes"
	"path/filepath"
	"testing"

	"caldera/gpt/checkpoint"
)

// TestLlama trains a Llama whose heads share keys and values, in one go and in two:
// the weights are the same, and what is written says what was asked for.
func TestLlama(t *testing.T) {
	flags := []string{"--family=llama", "--n_head=4", "--n_kv_head=2", "--n_embd=32"}
	whole, parts := filepath.Join(t.TempDir(), "whole"), filepath.Join(t.TempDir(), "parts")
	succeeds(t, smallRun(whole, append(flags, "--lr_decay_iters=6")...))
	succeeds(t, smallRun(parts, append(flags, "--lr_decay_iters=6", "--max_iters=3")...))
	resume := []string{"--init=resume", "--family=llama", "--n_head=4", "--n_kv_head=2", "--n_embd=32"}
	succeeds(t, smallRun(parts, append(resume, "--max_iters=6")...))
	if !bytes.Equal(weights(t, whole), weights(t, parts)) {
		t.Error("other weights than without a pause")
	}
	c, err := checkpoint.Open(whole)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if c := c.Config; c.Family != "llama" || c.Heads != 4 || c.KVHeads != 2 || c.HeadSize != 8 || c.Context != 16 {
		t.Errorf("%+v", c)
	}
	fails(t, smallRun(parts, "--init=resume", "--n_head=4", "--n_embd=32", "--n_kv_head=4", "--max_iters=9"), 2, "--n_kv_head=4: the checkpoint has 2")
	for flag, part := range map[string]string{
		"--n_kv_head=0": "--n_kv_head=0: expected 1 to 2",
		"--n_kv_head=4": "--n_head=2, --n_kv_head=4, --n_embd=16: num_key_value_heads: found 4",
		"--n_embd=6":    "--n_embd=6: head_dim: found 3, expected an even number",
	} {
		fails(t, smallRun(filepath.Join(t.TempDir(), "no"), "--family=llama", flag), 2, part)
	}
	fails(t, smallRun(filepath.Join(t.TempDir(), "no"), "--n_kv_head=1"), 2, "--family=gpt2", "head_count_kv: found 1, expected n_head, which is 2")
}
