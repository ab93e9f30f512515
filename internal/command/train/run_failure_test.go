package train_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"caldera/internal/commandtest"
)

func TestRunUsage(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	for _, c := range []struct {
		args []string
		part string
	}{
		{[]string{"--batch_size=0"}, "--batch_size=0: expected 1"},
		{[]string{"--batch-size=x"}, "--batch-size"},
		{[]string{"--block_size=-3"}, "--block_size=-3"},
		{[]string{"--max_iters=0"}, "--max_iters=0"},
		{[]string{"--learning_rate=nan"}, "--learning_rate=NaN"},
		{[]string{"--dropout=1"}, "--dropout=1: expected 0 to below 1"},
		{[]string{"--warmup_iters=6"}, "--warmup_iters=6: expected less than lr_decay_iters, 6"},
		{[]string{"--n_embd=15"}, "n_embd: found 15, expected a multiple of n_head"},
		{[]string{"--n_layer=0"}, "n_layer: found 0"},
		{[]string{"--vocab_size=0"}, "--vocab_size=0"},
		{[]string{"--vocab_size=256"}, "--vocab_size=256: expected 257"},
		{[]string{"--val_fraction=0"}, "--val_fraction=0: expected a share between 0 and 1"},
		{[]string{"--val_fraction=nan"}, "--val_fraction=NaN"},
		{[]string{"--init="}, "--init is empty"},
		{[]string{"--out_dir="}, "--out-dir is empty"},
		{[]string{"--prompt="}, "--prompt is empty"},
		{[]string{"--prompt=\x01"}, "--prompt: "},
		{[]string{"--prompt=a text that has more characters than the context holds"}, "--prompt: the prompt has 54 tokens and the context holds 16"},
		{[]string{"--char", "--tokenizer=x"}, "--char"},
		{[]string{"--tokenizer=" + sample}, "expected a directory, or the tokenizer.json"},
		{[]string{"--n_head=3"}, "n_embd: found 16, expected a multiple of n_head, which is 3"},
		{[]string{"--nope"}, "unknown flag --nope"},
		{[]string{"--n_lay_er=3"}, "unknown flag --n-lay-er"},
	} {
		fails(t, smallRun(out, c.args...), 2, c.part)
	}
	fails(t, exec.Command(trainBinary, "--out_dir="+out), 2, "there is no data: expected --data")
	fails(t, exec.Command(trainBinary, "--data=x", "--plot=loss.gif"), 2, "--plot=\"loss.gif\" ends in \".gif\": expected a name that ends in .svg or .png")
	if _, err := os.Stat(out); err == nil {
		t.Error("a directory was made for nothing")
	}
	r := succeeds(t, exec.Command(trainBinary, "run", "--help"))
	for _, part := range []string{"--batch-size", "--init=FROM", "--out-dir", "--[no-]decay-lr", "--dropout", "-d, --data", "-t, --threads", "--backend"} {
		if !strings.Contains(r.Out, part) {
			t.Errorf("--help lacks %s", part)
		}
	}
	for line := range strings.Lines(r.Out) {
		if len(line) > 121 || strings.Contains(line, "${") {
			t.Errorf("line %q", line)
		}
	}
}

// TestRunFailures gives it data and places that no run can have.
func TestRunFailures(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string { return "--data=" + write(t, filepath.Join(dir, name), text) }
	long := strings.Repeat("some text ", 100)
	header := "\x88\xd8\x34\x01\x01\x00\x00\x00\x64\x00\x00\x00" + strings.Repeat("\x00", 1024-12)
	out := filepath.Join(dir, "out")
	for _, c := range []struct {
		name  string
		args  []string
		parts []string
	}{
		{"missing", []string{"--data=" + dir + "/none.txt"}, []string{"none.txt: no such file"}},
		{"missing ids", []string{"--data=" + dir + "/none.bin"}, []string{"none.bin", "no such file"}},
		{"empty", []string{file("empty.txt", "")}, []string{"empty.txt", "empty, expected text"}},
		{"no words", []string{file("eot.txt", "<|endoftext|>")}, []string{"no text"}},
		{"short", []string{file("short.txt", "short text")}, []string{"tokens of 10, without the 1 for validation", "expected more than block_size, 16"}},
		{"nothing to validate with", []string{file("v.txt", long), "--val_fraction=0.001"}, []string{"the validation data has 1 tokens, expected 2 or more"}},
		{"nothing for random batches", []string{file("r.txt", long), "--val_fraction=0.01"}, nil},
		{"Latin-1", []string{file("latin1.txt", long+"caf\xe9")}, []string{"latin1.txt: byte 1003 is 0xe9, expected UTF-8"}},
		{"no texts", []string{"--data=" + filepath.Dir(write(t, filepath.Join(dir, "sub", "x.md"), "x"))}, []string{"sub", "has no files *.txt"}},
		{"odd", []string{file("odd.bin", "abc")}, []string{"odd.bin: found 3 bytes, expected an even number"}},
		{"empty ids", []string{file("empty.bin", "")}, []string{"empty.bin: it has no tokens"}},
		{"cut", []string{file("cut.bin", header+"ab")}, []string{"cut.bin: header of llm.c tells of 100 tokens, found 2 bytes, expected 200"}},
		{"other ids", []string{file("other.bin", strings.Repeat("\x05\x00", 300)+"\xff\xff"), "--vocab_size=300"}, []string{"other.bin: token 300 is 65535, and the vocabulary has ids 0 to 299"}},
		{"char", []string{file("char.bin", long), "--tokenizer=" + dir + "/none"}, []string{"--tokenizer=" + dir + "/none: no such file"}},
		{"no tokenizer", []string{file("good.txt", long), "--tokenizer=" + dir}, []string{"no tokenizer files"}},
		{"no checkpoint", []string{file("good.txt", long), "--init=" + dir + "/none"}, []string{"none: no such file"}},
		{"no run", []string{"--init=resume"}, []string{out}},
		{"out is a file", []string{file("good.txt", long), "--out_dir=" + dir + "/good.txt"}, []string{"good.txt is there and is no directory"}},
		{"device", []string{"--device=99"}, []string{"99"}},
	} {
		want := 1
		if c.parts == nil {
			want, c.parts = 2, []string{"--eval_iters=2: the validation data has 10 tokens"}
		}
		t.Run(c.name, func(t *testing.T) { fails(t, smallRun(out, c.args...), want, c.parts...) })
	}
	if _, err := os.Stat(out); err == nil {
		t.Error("a directory was made for nothing")
	}
}

// TestDiverges stops at a loss that is no number, and keeps what was good.
func TestDiverges(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	succeeds(t, smallRun(out, "--max_iters=3"))
	before := string(weights(t, out))
	fails(t, smallRun(out, "--init=resume", "--max_iters=20", "--learning_rate=1e38", "--grad_clip=0"), 1,
		"step 5: the ", "training has diverged", "the checkpoint of step 3 is kept", "--learning_rate", "--grad_clip")
	if string(weights(t, out)) != before {
		t.Error("bad weights were saved")
	}
	if log := entries(t, out); log[len(log)-1].Step != 4 {
		t.Errorf("the log ends with %+v", log[len(log)-1])
	}
	// With another learning rate it goes on.
	succeeds(t, smallRun(out, "--init=resume", "--max_iters=6", "--learning_rate=1e-3"))
	if n := len(entries(t, out)); n != 9 {
		t.Errorf("then the log has %d lines", n)
	}
}

// TestNobodyReads closes standard output, as head does: that ends samples, not
// the training.
func TestNobodyReads(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	r.Close()
	cmd := smallRun(out, "--sample_interval=1")
	cmd.Stdout = w
	got := succeeds(t, cmd)
	w.Close()
	if log := entries(t, out); log[len(log)-1].Step != 6 || strings.Count(got.Stderr, "warning: no more samples: ") != 1 {
		t.Errorf("the log ends with %+v, standard error is\n%s", log[len(log)-1], got.Stderr)
	}
}

// TestRunOutOfMemory asks for more than any machine has, and follows the advice.
func TestRunOutOfMemory(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	r := fails(t, smallRun(out, "--batch_size=65536", "--n_layer=30", "--n_embd=256"), 1,
		"out of memory", "what fits, and learns the same, is --batch_size=", "--gradient_accumulation_steps=")
	_, advice, _ := strings.Cut(strings.TrimSpace(r.Stderr), "what fits, and learns the same, is ")
	var batch, steps int
	if _, err := fmt.Sscanf(advice, "--batch_size=%d --gradient_accumulation_steps=%d", &batch, &steps); err != nil || batch*steps != 1<<16 || batch < 2 {
		t.Errorf("the advice is %q, %v", advice, err)
	}
	fails(t, smallRun(out, "--n_layer=1000", "--n_embd=8192"), 1, "out of memory", "the weights need", "choose a smaller model, or another device")
}

// TestRunDiskFull trains on a disk that has room for one checkpoint, not for two.
func TestRunDiskFull(t *testing.T) {
	script := `out=$1/out train=$2; shift 2; mount -t tmpfs -o size=200k tmpfs "${out%/out}" && { "$train" "$@" "--out_dir=$out"; echo "exit $?"; ls -A "$out"; readlink "$out/newest";
		"$train" --backend=cpu --eval_only --init=resume "--out_dir=$out"; }`
	args := append([]string{t.TempDir(), trainBinary}, smallRun("x").Args[1:]...)
	args = args[:len(args)-1] // --out_dir=x
	r := run(t, commandtest.SmallDisk(t, script, append(args, "--sample_interval=0", "--plot="+filepath.Join(t.TempDir(), "loss.svg"))...))
	lines := strings.Split(strings.TrimSpace(r.Out), "\n")
	if len(lines) != 7 || strings.Join(lines[:6], " ") != "exit 1 best log.jsonl newest step-000003 step-000003" || !strings.HasPrefix(lines[6], "5.") {
		t.Errorf("standard output %q", r.Out)
	}
	if want := "train: saving the checkpoint of step 6: "; !strings.Contains(r.Stderr, want) || !strings.Contains(r.Stderr, "no space left on device; that of step 3 is kept\n") {
		t.Errorf("standard error lacks %q:\n%s", want, r.Stderr)
	}
}
