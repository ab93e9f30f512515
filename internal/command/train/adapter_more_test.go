package train_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"caldera/internal/commandtest"
	"caldera/internal/train/folder"
)

// smallBase is a small model, in f16, that adapters learn beside.
func smallBase(t *testing.T) (path string) {
	t.Helper()
	dir := t.TempDir()
	succeeds(t, smallRun(filepath.Join(dir, "first")))
	path = filepath.Join(dir, "base")
	succeeds(t, exec.Command(convertBinary, "-m", filepath.Join(dir, "first"), "--dtype=f16", "-o", path))
	return path
}

// without is cmd without the flags that begin so.
func without(flags string, cmd *exec.Cmd) *exec.Cmd {
	cmd.Args = slices.DeleteFunc(cmd.Args, func(arg string) bool { return strings.HasPrefix(arg, flags) })
	return cmd
}

// settingsOf are those of the newest adapter of a run.
func settingsOf(t *testing.T, dir string) (all map[string]any) {
	t.Helper()
	if err := json.Unmarshal([]byte(read(t, filepath.Join(dir, "newest", "adapter_config.json"))), &all); err != nil {
		t.Fatal(err)
	}
	return all
}

// TestAdapterFrom begins a run with an adapter that another run learned: with its loss, and with its rank, alpha and matrices.
func TestAdapterFrom(t *testing.T) {
	base, dir := smallBase(t), t.TempDir()
	first, second := filepath.Join(dir, "first"), filepath.Join(dir, "second")
	succeeds(t, adapterRun(first, base, "--learning_rate=1e-2", "--lora_alpha=5", "--lora_targets=c_attn,mlp.c_proj"))
	before := learned(t, first)
	adapter := filepath.Join(first, "newest")
	begins := func(out string, args ...string) *exec.Cmd {
		return without("--lora_rank=", adapterRun(out, base, append([]string{"--lora=" + adapter}, args...)...))
	}
	r := succeeds(t, begins(second, "--max_iters=3", "--lora_dropout=0.25"))
	if !strings.Contains(r.Stderr, "adapter: rank 3, alpha 5: ") || !strings.Contains(r.Stderr, "generate -m "+base+" --lora="+second+"/") {
		t.Errorf("it says %s", r.Stderr)
	}
	was, is := entries(t, first), entries(t, second)
	if last := was[len(was)-1]; is[0].ValLoss != last.ValLoss || last.ValLoss == 0 || is[0].Step != 0 {
		t.Errorf("it begins with %+v, expected the loss of %+v", is[0], last)
	}
	old, now := settingsOf(t, first), settingsOf(t, second)
	if now["r"] != 3.0 || now["lora_alpha"] != 5.0 || now["lora_dropout"] != 0.25 || now["base_model_name_or_path"] != base || len(now["target_modules"].([]any)) != 2 || old["lora_dropout"] != 0.1 {
		t.Errorf("the settings are %v, they were %v", now, old)
	}
	if learned(t, second) == before || learned(t, first) != before {
		t.Error("it has learned nothing, or the adapter that it began with has changed")
	}
	// It goes on as it would have.
	whole := filepath.Join(dir, "whole")
	succeeds(t, begins(whole, "--lora_dropout=0.25"))
	succeeds(t, exec.Command(trainBinary, "--backend=cpu", "--init=resume", "--out_dir="+second, "--max_iters=6"))
	if learned(t, second) != learned(t, whole) {
		t.Error("six steps at once make another adapter than three and three")
	}
	// The loss beside the base, without training.
	e := succeeds(t, begins(filepath.Join(dir, "none"), "--eval_only"))
	if loss, err := strconv.ParseFloat(strings.TrimSpace(e.Out), 64); err != nil || loss < is[0].ValLoss-1e-4 || loss > is[0].ValLoss+1e-4 {
		t.Errorf("its loss is %s, expected %v", e.Out, is[0].ValLoss)
	}
	fails(t, exec.Command(trainBinary, "--backend=cpu", "--init=resume", "--out_dir="+second, "--max_iters=9", "--lora="+adapter), 2, "--lora=", "leave --lora out")
	fails(t, exec.Command(trainBinary, "--backend=cpu", "--data="+sample, "--out_dir="+filepath.Join(dir, "none"), "--init=../../../models/austen", "--lora="+adapter), 1, "another model")
	if _, err := os.Stat(filepath.Join(dir, "none")); err == nil {
		t.Error("a directory was made for nothing")
	}
}

// TestAdapterInterrupted ends a run on an adapter with Ctrl-C, and kills it: there is always a whole adapter, and the run
// goes on.
func TestAdapterInterrupted(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("there are no signals to send")
	}
	base, out := smallBase(t), filepath.Join(t.TempDir(), "out")
	works := func() {
		t.Helper()
		for _, path := range []string{out, filepath.Join(out, "newest")} {
			succeeds(t, exec.Command(generateBinary, "--backend=cpu", "-m", base, "--lora", path, "-n", "1", "The"))
		}
	}
	endless := []string{"--max_iters=1000000", "--eval_interval=1", "--eval_iters=1", "--sample_interval=0", "--warmup_iters=0"}
	r := endAfter(t, adapterRun(out, base, endless...), out, syscall.SIGINT)
	if r.Code != 130 || !strings.Contains(r.Stderr, "continue with: train --init=resume --out_dir="+out) {
		t.Errorf("exit code %d, %s", r.Code, r.Stderr)
	}
	works()
	for range 3 {
		if r := endAfter(t, exec.Command(trainBinary, "--backend=cpu", "--init=resume", "--out_dir="+out), out, syscall.SIGKILL); r.Code != -1 {
			t.Fatalf("exit code %d, %s", r.Code, r.Stderr)
		}
		works()
	}
	succeeds(t, exec.Command(trainBinary, "--backend=cpu", "--init=resume", "--out_dir="+out, "--eval_only"))
}

// TestAdapterDiskFull learns an adapter on a disk that has room for one checkpoint, not for two.
func TestAdapterDiskFull(t *testing.T) {
	script := `out=$1/out train=$2; shift 2; mount -t tmpfs -o size=330k tmpfs "${out%/out}" && { "$train" "$@" "--out_dir=$out"; echo "exit $?"; ls -A "$out"; readlink "$out/newest"; ls "$out/newest";
		"$train" --backend=cpu --eval_only --init=resume "--out_dir=$out"; }`
	args := []string{t.TempDir(), trainBinary}
	for _, arg := range adapterRun("x", smallBase(t), "--lora_rank=64", "--sample_interval=0", "--plot="+filepath.Join(t.TempDir(), "loss.svg")).Args[1:] {
		if !strings.HasPrefix(arg, "--out_dir=") && arg != "--lora_rank=3" {
			args = append(args, arg)
		}
	}
	r := run(t, commandtest.SmallDisk(t, script, args...))
	lines := strings.Split(strings.TrimSpace(r.Out), "\n")
	if len(lines) != 11 || strings.Join(lines[:10], " ") != "exit 1 best log.jsonl newest step-000003 step-000003 adapter_config.json adapter_model.safetensors optimizer.safetensors train.json" {
		t.Errorf("standard output %q", r.Out)
	}
	if want := "train: saving the checkpoint of step 6: "; !strings.Contains(r.Stderr, want) || !strings.Contains(r.Stderr, "no space left on device; that of step 3 is kept\n") {
		t.Errorf("standard error lacks %q:\n%s", want, r.Stderr)
	}
}

// TestAdapterSnapshots keeps adapters on the way, in mixed precision too.
func TestAdapterSnapshots(t *testing.T) {
	base, dir := smallBase(t), t.TempDir()
	for _, dtype := range []string{"f32", "f16"} {
		out, parts := filepath.Join(dir, dtype), filepath.Join(dir, dtype+" in parts")
		r := succeeds(t, adapterRun(out, base, "--snapshots=4", "--dtype="+dtype))
		for _, part := range []string{"snapshots: of steps 0 1 2 6, each of 3.1 kB, in ", "beside those of the model, f16"} {
			if !strings.Contains(r.Stderr, part) {
				t.Errorf("%s: it says %s, expected %q", dtype, r.Stderr, part)
			}
		}
		if strings.Contains(r.Stderr, "in mixed precision (f16)") != (dtype == "f16") {
			t.Errorf("%s: it says %s", dtype, r.Stderr)
		}
		succeeds(t, adapterRun(parts, base, "--snapshots=4", "--dtype="+dtype, "--max_iters=3"))
		succeeds(t, exec.Command(trainBinary, "--backend=cpu", "--init=resume", "--out_dir="+parts, "--max_iters=6"))
		if learned(t, out) != learned(t, parts) {
			t.Errorf("%s: six steps at once make another adapter than three and three", dtype)
		}
		kept, err := folder.Open(out)
		if err != nil || len(kept.Weights) != 4 || len(kept.Notes) > 0 {
			t.Fatal(kept, err)
		}
		for _, w := range kept.Weights {
			if w.Base == nil || w.Base.Path != base {
				t.Errorf("step %d is of %+v, expected %s", w.Step, w.Base, base)
			}
			snapshot := filepath.Join(out, "snapshots", folder.StepDir(w.Step))
			if got := names(t, snapshot); got != "adapter_config.json adapter_model.safetensors snapshot.json" {
				t.Errorf("%s has %s", snapshot, got)
			}
			succeeds(t, exec.Command(generateBinary, "--backend=cpu", "-m", base, "--lora", snapshot, "-n", "1", "The"))
		}
		if read(t, filepath.Join(out, "snapshots", "step-000006", "adapter_model.safetensors")) != read(t, filepath.Join(out, "newest", "adapter_model.safetensors")) {
			t.Error("the last snapshot is not the last checkpoint")
		}
	}
	if learned(t, filepath.Join(dir, "f32")) == learned(t, filepath.Join(dir, "f16")) {
		t.Error("mixed precision changes nothing")
	}
}

// TestKept: what a model's files say of writing text with it, and its templates of other names, are those of what it becomes.
func TestKept(t *testing.T) {
	base, dir := smallBase(t), t.TempDir()
	write(t, filepath.Join(base, "generation_config.json"), `{"temperature": 0.25, "top_p": 0.5, "max_new_tokens": 77, "eos_token_id": [3, 4], "pad_token_id": 5}`)
	write(t, filepath.Join(base, "chat_template.jinja"), "{{ messages[0].content }}")
	write(t, filepath.Join(base, "additional_chat_templates", "tool_use.jinja"), "tools: {{ messages[0].content }}")
	out := filepath.Join(dir, "out")
	succeeds(t, without("--lora_", adapterRun(out, base, "--max_iters=1")))
	succeeds(t, exec.Command(trainBinary, "--backend=cpu", "--init=resume", "--out_dir="+out, "--max_iters=2"))
	var kept struct {
		Temperature float64
		Max         int   `json:"max_new_tokens"`
		EOS         []int `json:"eos_token_id"`
		Pad         int   `json:"pad_token_id"`
	}
	text := read(t, filepath.Join(out, "newest", "generation_config.json"))
	if err := json.Unmarshal([]byte(text), &kept); err != nil || kept.Temperature != 0.25 || kept.Max != 77 || len(kept.EOS) != 2 || kept.Pad != 5 || !strings.Contains(text, `"top_p": 0.5`) {
		t.Errorf("generation_config.json is %s, %v", text, err)
	}
	if got := read(t, filepath.Join(out, "newest", "additional_chat_templates", "tool_use.jinja")); got != "tools: {{ messages[0].content }}" {
		t.Errorf("the other template is %q", got)
	}
}

// TestAwkwardTemplates: templates whose names fit into no directory are told of once, before the first step, and the run is
// saved; one that cannot be read is refused before it.
func TestAwkwardTemplates(t *testing.T) {
	base, out := smallBase(t), filepath.Join(t.TempDir(), "out")
	list := `[{"name": "default", "template": "d"}, {"name": "tool_use", "template": "t"}, {"name": "tool use", "template": "x"}, {"name": "", "template": "x"}, {"name": "` + strings.Repeat("n", 300) + `", "template": "x"}]`
	write(t, filepath.Join(base, "tokenizer_config.json"), `{"chat_template": `+list+`}`)
	r := succeeds(t, without("--lora_", adapterRun(out, base, "--max_iters=1")))
	for _, part := range []string{`the chat template "tool use" is left out`, "its name is empty", "its name has 300 bytes"} {
		if strings.Count(r.Stderr, part) != 1 || !strings.Contains(strings.Split(r.Stderr, "\nstep ")[0], part) {
			t.Errorf("it tells %s, expected %q once, before the first step", r.Stderr, part)
		}
	}
	if got := read(t, filepath.Join(out, "newest", "additional_chat_templates", "tool_use.jinja")); got != "t" {
		t.Errorf("the template that fits is %q", got)
	}
	if r := succeeds(t, exec.Command(trainBinary, "--backend=cpu", "--init=resume", "--out_dir="+out, "--max_iters=2")); strings.Contains(r.Stderr, "template") {
		t.Errorf("once more: %s", r.Stderr)
	}
	write(t, filepath.Join(base, "chat_template.jinja"), "\xff")
	refused := filepath.Join(t.TempDir(), "refused")
	fails(t, without("--lora_", adapterRun(refused, base, "--max_iters=1")), 1, "a chat template cannot be read, and would be lost: chat_template.jinja: byte 0 is 0xff, expected UTF-8")
}
