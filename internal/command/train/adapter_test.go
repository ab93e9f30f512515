package train_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// adapterRun is a small run that trains an adapter of the model in base.
func adapterRun(dir, base string, args ...string) *exec.Cmd {
	cmd := smallRun(dir, append([]string{"--init=" + base, "--lora_rank=3", "--lora_dropout=0.1", "--lr_decay_iters=6"}, args...)...)
	cmd.Args = slices.DeleteFunc(cmd.Args, func(arg string) bool { return strings.HasPrefix(arg, "--n_") })
	return cmd
}

// learned is what a run has learned so far: the adapter, and AdamW's means.
func learned(t *testing.T, dir string) string {
	t.Helper()
	return read(t, filepath.Join(dir, "newest", "adapter_model.safetensors")) + read(t, filepath.Join(dir, "newest", "optimizer.safetensors"))
}

// TestAdapter trains an adapter in one piece, and in two with an end between, to the same bits; writes text with it,
// and adds it to its base.
func TestAdapter(t *testing.T) {
	dir := t.TempDir()
	first, base, whole, parts := filepath.Join(dir, "first"), filepath.Join(dir, "base.gguf"), filepath.Join(dir, "whole"), filepath.Join(dir, "parts")
	succeeds(t, smallRun(first))
	succeeds(t, exec.Command(convertBinary, "-m", first, "--dtype=f16", "-o", base))
	before := read(t, base)
	r := succeeds(t, adapterRun(whole, base, "--learning_rate=1e-2"))
	for _, part := range []string{"adapter: rank 3, alpha 6: ", " weights learn, beside those of the model, f16", "generate -m " + base + " --lora=" + whole + "/"} {
		if !strings.Contains(r.Stderr, part) {
			t.Errorf("%q lacks %q", r.Stderr, part)
		}
	}
	succeeds(t, adapterRun(parts, base, "--learning_rate=1e-2", "--max_iters=3"))
	if learned(t, whole) == learned(t, parts) {
		t.Fatal("three steps make what six do")
	}
	succeeds(t, exec.Command(trainBinary, "--backend=cpu", "--init=resume", "--out_dir="+parts, "--max_iters=6"))
	if learned(t, whole) != learned(t, parts) {
		t.Error("six steps at once make another adapter than three and three")
	}
	if read(t, base) != before {
		t.Error("the base has changed")
	}
	entries := entries(t, whole)
	if first, last := entries[0], entries[len(entries)-1]; !(last.ValLoss < first.ValLoss) {
		t.Errorf("the validation loss goes from %v to %v", first.ValLoss, last.ValLoss)
	}
	var config map[string]any
	if err := json.Unmarshal([]byte(read(t, filepath.Join(whole, "newest", "adapter_config.json"))), &config); err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]any{"peft_type": "LORA", "r": 3.0, "lora_alpha": 6.0, "lora_dropout": 0.1, "bias": "none", "base_model_name_or_path": base,
		"fan_in_fan_out": true, "task_type": "CAUSAL_LM", "use_rslora": false} {
		if config[key] != want {
			t.Errorf("adapter_config.json has %v as %s, expected %v", config[key], key, want)
		}
	}
	text := func(args ...string) string {
		return succeeds(t, exec.Command(generateBinary, append([]string{"--backend=cpu", "--temp=0", "-n", "12", "-p", "The", "--dtype=f32"}, args...)...)).Out
	}
	merged := filepath.Join(dir, "merged")
	newest := filepath.Join(whole, "newest")
	succeeds(t, exec.Command(convertBinary, "-m", base, "--lora", newest+"=20", "--dtype=f32", "-o", merged))
	if beside, added := text("-m", base, "--lora", newest+"=20"), text("-m", merged); beside != added || beside == text("-m", base) {
		t.Errorf("beside the model it says %q, added to it %q, and without it %q", beside, added, text("-m", base))
	}
	if got, want := text("-m", base, "--lora="+newest+"=0"), text("-m", base); got != want {
		t.Errorf("0 times the adapter says %q, expected %q", got, want)
	}

	refuses(t, exec.Command(generateBinary, "-m", newest, "hi"), 1, "this is an adapter (LoRA)", "-m", "beside it")
	refuses(t, exec.Command(generateBinary, "-m", first, "--lora", newest+"=x", "hi"), 2, "--lora=", "a number")
	refuses(t, exec.Command(generateBinary, "-m", first, "--lora=", "hi"), 2, "--lora is empty")
	refuses(t, exec.Command(generateBinary, "--lora", newest, "hi"), 1, newest, "h.0.", "another model") // of the embedded model
	refuses(t, exec.Command(convertBinary, "-m", base, "--lora", first, "-o", filepath.Join(dir, "none")), 1, "a whole model")
	if _, err := os.Stat(filepath.Join(dir, "none")); err == nil {
		t.Error("something was written")
	}
	fails(t, exec.Command(trainBinary, "--backend=cpu", "--init=resume", "--out_dir="+parts, "--max_iters=8", "--lora_rank=4"), 2, "cannot change on resume")
	if err := os.WriteFile(base, []byte(before[:len(before)-1]+"x"), 0o666); err != nil {
		t.Fatal(err)
	}
	fails(t, exec.Command(trainBinary, "--backend=cpu", "--init=resume", "--out_dir="+parts, "--max_iters=8"), 1, base, "is not the model that the run began with")
}

// refuses expects an exit code, and why on standard error.
func refuses(t *testing.T, cmd *exec.Cmd, code int, parts ...string) {
	t.Helper()
	r := run(t, cmd)
	if r.Code != code || r.Out != "" {
		t.Errorf("%q: exit code %d and %q, expected %d and nothing", cmd.Args, r.Code, r.Out, code)
	}
	for _, part := range parts {
		if !strings.Contains(r.Stderr, part) {
			t.Errorf("%q: %q lacks %q", cmd.Args, r.Stderr, part)
		}
	}
}

// TestAdapterFlags refuses what does not go together before anything is written.
func TestAdapterFlags(t *testing.T) {
	const base = "../../../models/austen"
	out := filepath.Join(t.TempDir(), "out")
	for _, c := range []struct {
		args  []string
		parts []string
	}{
		{[]string{"--lora_rank=4"}, []string{"--lora_rank=4", "--init"}},
		{[]string{"--init=" + base, "--lora_rank=-1"}, []string{"--lora_rank=-1"}},
		{[]string{"--init=" + base, "--lora_alpha=3"}, []string{"--lora_alpha", "--lora_rank"}},
		{[]string{"--init=" + base, "--lora_rank=4", "--lora_dropout=1"}, []string{"--lora_dropout=1"}},
		{[]string{"--init=" + base, "--lora_rank=4", "--lora_alpha=-1"}, []string{"--lora_alpha=-1"}},
		{[]string{"--init=" + base, "--lora_rank=4", "--dtype=bf16"}, []string{"--dtype=bf16", "expected f32, or f16"}},
		{[]string{"--lora=x"}, []string{"--lora=x", "--init"}},
		{[]string{"--init=" + base, "--lora=x", "--lora_rank=4"}, []string{"--lora=x", "--lora_rank", "leave them out"}},
		{[]string{"--init=" + base, "--lora=x", "--lora_targets=c_attn"}, []string{"--lora=x", "--lora_targets", "leave them out"}},
		{[]string{"--init=" + base, "--lora=x", "--lora=y"}, []string{"--lora is given 2 times", "expected one"}},
		{[]string{"--init=" + base, "--lora="}, []string{"--lora is empty"}},
		{[]string{"--init=" + base, "--lora_rank=4", "--lora_targets=q_proj"}, []string{"--lora_targets", `"q_proj"`, "c_attn, c_proj, c_fc"}},
	} {
		fails(t, exec.Command(trainBinary, append([]string{"--backend=cpu", "--data=" + sample, "--out_dir=" + out}, c.args...)...), 2, c.parts...)
		if _, err := os.Stat(out); err == nil {
			t.Errorf("%q: %s was made", c.args, out)
		}
	}
	const llama = "../../../gpt/testdata/llama-grouped"
	adapter := t.TempDir()
	if err := os.CopyFS(adapter, os.DirFS("../../../gpt/testdata/lora-llama")); err != nil {
		t.Fatal(err)
	}
	fails(t, exec.Command(trainBinary, "--backend=cpu", "--data="+sample, "--init="+llama, "--lora="+adapter, "--out_dir="+adapter), 1, adapter, "is an adapter", "another --out_dir")
	path := filepath.Join(adapter, "adapter_config.json")
	var settings map[string]any
	if err := json.Unmarshal([]byte(read(t, path)), &settings); err != nil {
		t.Fatal(err)
	}
	settings["lora_alpha"] = -2
	text, err := json.Marshal(settings)
	if err == nil {
		err = os.WriteFile(path, text, 0o666)
	}
	if err != nil {
		t.Fatal(err)
	}
	fails(t, exec.Command(trainBinary, "--backend=cpu", "--data="+sample, "--init="+llama, "--lora="+adapter, "--out_dir="+out), 1, "adapter "+adapter, "alpha is -2")
}
