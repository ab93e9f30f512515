package train_test

import (
	"bytes"
	"context"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"caldera/internal/devicetest"
)

// halves are flags of which both halves of a run must have the same.
var halves = []string{"--lr_decay_iters=6", "--dropout=0.1", "--gradient_accumulation_steps=2", "--warmup_iters=2"}

// TestResume does six steps at once, and three and three: weights and means are
// the same to the last bit, whatever lies between.
func TestResume(t *testing.T) {
	t.Run("f32", func(t *testing.T) { testResume(t, halves, ":") })
	t.Run("f16", func(t *testing.T) {
		testResume(t, append(slices.Clone(halves), "--dtype=float16"), ", in mixed precision (f16):")
	})
}

func testResume(t *testing.T, halves []string, says string) {
	dir := t.TempDir()
	whole, parts := filepath.Join(dir, "whole"), filepath.Join(dir, "parts")
	succeeds(t, smallRun(whole, halves...))
	succeeds(t, smallRun(parts, append(halves, "--max_iters=3")...))
	if bytes.Equal(weights(t, whole), weights(t, parts)) {
		t.Fatal("three steps make what six do")
	}
	// What is not said again stays: only the number of steps is another.
	r := succeeds(t, exec.Command(trainBinary, "--backend=cpu", "--init_from=resume", "--out_dir="+parts, "--max_iters=6"))
	if !bytes.Equal(weights(t, whole), weights(t, parts)) {
		t.Error("six steps at once make other weights than three and three")
	}
	if !strings.Contains(r.Stderr, "training: 6 steps of 128 tokens, from step 3 on"+says) {
		t.Errorf("it says %s", r.Stderr)
	}
	a, b := entries(t, whole), entries(t, parts)
	if len(a) != len(b) || len(a) != 9 {
		t.Fatalf("the log has %d lines, expected %d", len(b), len(a))
	}
	for i := range a {
		if a[i] != b[i] {
			t.Errorf("line %d of the log is %+v, expected %+v", i+1, b[i], a[i])
		}
	}
}

// TestResumeElsewhere goes on with another backend, to nearly the same weights.
func TestResumeElsewhere(t *testing.T) {
	devicetest.UseTestDrivers(t)
	dir := t.TempDir()
	whole := filepath.Join(dir, "whole")
	succeeds(t, smallRun(whole, halves...))
	want := entries(t, whole)
	for _, order := range [][2]string{{"cpu", "vulkan"}, {"vulkan", "cpu"}} {
		out := filepath.Join(dir, order[0])
		for i, max := range []string{"3", "6"} {
			args := append(halves, "--max_iters="+max, "--backend="+order[i])
			if order[i] == "vulkan" {
				args = append(args, "--device=llvmpipe")
			}
			if i > 0 {
				args = append(args, "--init=resume")
			}
			r := run(t, smallRun(out, args...))
			if r.Code == 1 && order[i] == "vulkan" && strings.Contains(r.Stderr, "does not support") {
				t.Skipf("%s", r.Stderr)
			}
			if r.Code != 0 {
				t.Fatalf("%v: exit code %d, %s", args, r.Code, r.Stderr)
			}
		}
		got := entries(t, out)
		for i := range want {
			if g, w := got[i], want[i]; math.Abs(g.Loss-w.Loss) > 1e-4*w.Loss || math.Abs(g.ValLoss-w.ValLoss) > 1e-4*w.ValLoss {
				t.Errorf("%v: line %d of the log is %+v, expected %+v", order, i+1, g, w)
			}
		}
	}
}

// TestResumeRefused leaves a run alone that could not go on as it would have.
func TestResumeRefused(t *testing.T) {
	dir := t.TempDir()
	out := filepath.Join(dir, "out")
	succeeds(t, smallRun(out))
	before := weights(t, out)
	other := write(t, filepath.Join(dir, "other.txt"), strings.Repeat("The fox ran over the lazy dog. ", 100))
	train(t, "the text", "-o", filepath.Join(dir, "tokenizer"))
	for _, c := range []struct {
		code int
		args []string
		part string
	}{
		{2, []string{"--init=resume"}, "--max_iters=6: the newest checkpoint, " + filepath.Join(out, "step-000006") + ", has done 6 steps"},
		{2, []string{"--n_layer=2"}, "--n_layer=2: the checkpoint has 1"},
		{2, []string{"--n_embd=32"}, "--n_embd=32: the checkpoint has 16"},
		{2, []string{"--n_head=4"}, "--n_head=4: the checkpoint has 2"},
		{2, []string{"--vocab_size=500"}, "--vocab_size=500: the checkpoint has "},
		{2, []string{"--block_size=8"}, "--block_size=8: the run began with 16"},
		{2, []string{"--block_size=32"}, "--block_size=32: the checkpoint has a context of 16"},
		{2, []string{"--seed=5"}, "--seed=5: the run began with 1337"},
		{2, []string{"--val_fraction=0.2"}, "--val_fraction=0.2: the run began with 0.1"},
		{2, []string{"--tokenizer=" + filepath.Join(dir, "tokenizer")}, "is not the checkpoint's"},
		{1, []string{"--data=" + other}, "the data has 2790 tokens to learn from and 310 to validate with"},
		{1, []string{"--init=scratch"}, "step-000006 is there already: continue it with --init=resume"},
		{1, []string{"--init=../../../models/austen", "--n_layer=6"}, "is there already"},
		{1, []string{"--out_dir=" + filepath.Join(dir, "none")}, "none"},
	} {
		args := append([]string{"--init=resume", "--max_iters=9"}, c.args...)
		if c.args[0] == "--init=resume" {
			args = c.args
		}
		fails(t, smallRun(out, args...), c.code, c.part)
	}
	if !bytes.Equal(weights(t, out), before) {
		t.Error("the checkpoint has changed")
	}
	if _, err := os.Stat(filepath.Join(dir, "none")); err == nil {
		t.Error("a directory was made for nothing")
	}
	// What may change does, and --force begins anew.
	succeeds(t, smallRun(out, "--init=resume", "--max_iters=7", "--learning_rate=1e-4", "--batch_size=2", "--decay_lr=False", "--no-always-save-checkpoint"))
	succeeds(t, smallRun(out, "--force"))
	if !bytes.Equal(weights(t, out), before) || len(entries(t, out)) != 9 {
		t.Error("begun anew with the same flags it comes to other weights")
	}
	// Damaged checkpoints.
	for name, text := range map[string]string{"train.json": "{}", "optimizer.safetensors": "xx", "model.safetensors": "", "config.json": "[]"} {
		path := filepath.Join(out, "newest", name)
		old := read(t, path)
		write(t, path, text)
		fails(t, smallRun(out, "--init=resume", "--max_iters=9"), 1, name)
		write(t, path, old)
	}
	if err := os.Remove(filepath.Join(out, "newest", "train.json")); err != nil {
		t.Fatal(err)
	}
	fails(t, smallRun(out, "--init=resume", "--max_iters=9"), 1, "train: "+out+"/step-000006 has no train.json, so no run can go on with it: begin a new one with --init=")
}

// TestInterruptRun sends Ctrl-C to a run without end, which can go on then.
func TestInterruptRun(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("there are no signals to send")
	}
	out := filepath.Join(t.TempDir(), "o ut")
	cmd := smallRun(out, "--max_iters=1000000")
	r := endAfter(t, cmd, out, syscall.SIGINT)
	if r.Code != 130 || !strings.Contains(r.Stderr, "continue with: train --init=resume --out_dir='"+out+"'") || !strings.HasSuffix(r.Stderr, "\ntrain: interrupted\n") {
		t.Errorf("exit code %d, %s", r.Code, r.Stderr)
	}
	log := entries(t, out)
	last := log[len(log)-1].Step
	if !strings.Contains(read(t, filepath.Join(out, "newest", "train.json")), `"max_iters": 1000000`) || last < 3 {
		t.Errorf("it ended after step %d", last)
	}
	r = endAfter(t, exec.Command(trainBinary, "--backend=cpu", "--init=resume", "--out_dir="+out), out, syscall.SIGTERM)
	if r.Code != 130 {
		t.Errorf("exit code %d, %s", r.Code, r.Stderr)
	}
	for i, e := range entries(t, out)[:len(log)] {
		if e != log[i] {
			t.Errorf("line %d of the log is %+v, it was %+v", i+1, e, log[i])
		}
	}
}

// endAfter runs cmd until it has saved a checkpoint and some time has passed, and
// sends it a signal.
func endAfter(t *testing.T, cmd *exec.Cmd, out string, s os.Signal) result {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	again := exec.CommandContext(ctx, cmd.Path, cmd.Args[1:]...)
	again.Cancel = func() error { return again.Process.Signal(s) }
	newest := filepath.Join(out, "newest") // a link
	before, _ := os.Readlink(newest)
	go func() {
		for ctx.Err() == nil {
			if now, err := os.Readlink(newest); err == nil && now != before {
				break
			}
			time.Sleep(10 * time.Millisecond)
		}
		time.Sleep(time.Duration(rand.IntN(300)) * time.Millisecond)
		cancel()
	}()
	return run(t, again)
}

// TestKilled kills a run that saves all the time, again and again: what is there
// can always be read, and goes on.
func TestKilled(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("there are no signals to send")
	}
	out := filepath.Join(t.TempDir(), "out")
	for i := range 8 {
		args := []string{"--max_iters=1000000", "--eval_interval=1", "--eval_iters=1", "--sample_interval=0"}
		if i > 0 {
			args = append(args, "--init=resume")
		}
		if r := endAfter(t, smallRun(out, args...), out, syscall.SIGKILL); r.Code != -1 {
			t.Fatalf("exit code %d, %s", r.Code, r.Stderr)
		}
		for _, link := range []string{"newest", "best"} {
			succeeds(t, exec.Command(generateBinary, "--backend=cpu", "-m", filepath.Join(out, link), "-n", "1", "The"))
		}
	}
	succeeds(t, smallRun(out, "--init=resume", "--max_iters=100000", "--eval_only"))
}
