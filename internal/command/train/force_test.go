package train_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// runFiles are the bytes of all that a run of one checkpoint has written.
func runFiles(t *testing.T, out string) string {
	t.Helper()
	var b strings.Builder
	for _, name := range append(strings.Fields(checkpointFiles), "../log.jsonl", "../loss.svg") {
		b.WriteString(read(t, out+"/newest/"+name)) // joined by the system, for newest is a link
	}
	return b.String()
}

// TestForce begins anew over a run, which stays whole until the new one has
// saved.
func TestForce(t *testing.T) {
	dir := t.TempDir()
	out := filepath.Join(dir, "out")
	succeeds(t, smallRun(out))
	old := runFiles(t, out)
	const whole = "best log.jsonl loss.svg newest step-000006"
	kept := func(when string) {
		t.Helper()
		if runFiles(t, out) != old {
			t.Errorf("%s: the old run has changed", when)
		}
		if got := names(t, out); got != whole {
			t.Errorf("%s: there is %s", when, got)
		}
	}
	fails(t, smallRun(out, "--force", "--learning_rate=1e38", "--grad_clip=0"), 1, "training has diverged; nothing was saved before, and the run that was there is kept")
	sweep := func() { // what is left half written goes at the next start
		t.Helper()
		fails(t, smallRun(out, "--force", "--data="+write(t, filepath.Join(dir, "bad.txt"), "caf\xe9")), 1, "bad.txt: byte 3")
	}
	sweep()
	kept("diverged, and bad data")
	fails(t, smallRun(out, "--force", "--data="+filepath.Join(dir, "none.txt")), 1, "none.txt")
	fails(t, smallRun(out, "--force", "--init="+filepath.Join(dir, "none")), 1, "none")
	kept("no data, no checkpoint")
	if runtime.GOOS != "windows" {
		for _, signal := range []os.Signal{os.Kill, os.Interrupt} {
			// It is at its first validation for ever.
			s := start(t, smallRun(out, "--force", "--eval_iters=1048576", "--batch_size=64"))
			s.wait(t, "beginning", func() bool {
				_, err := os.Stat(filepath.Join(out, ".log.jsonl.tmp"))
				return err == nil
			})
			s.Process.Signal(signal)
			<-s.ended
			if signal == os.Interrupt && !strings.Contains(s.stderr.String(), "nothing was saved, and the run that was in "+out+" is kept\ntrain: interrupted\n") {
				t.Errorf("it says %s", s.stderr.String())
			}
			sweep()
			kept(signal.String())
		}
	}
	succeeds(t, smallRun(out, "--init=resume", "--max_iters=7"))

	// The new run has steps of the same number, and then others.
	succeeds(t, smallRun(out, "--force", "--max_iters=7", "--seed=5"))
	if got := names(t, out); got != "best log.jsonl loss.svg newest step-000007" {
		t.Errorf("then there is %s", got)
	}
	other := weights(t, out)
	succeeds(t, smallRun(out, "--force"))
	if got := names(t, out); got != whole || bytes.Equal(weights(t, out), other) || len(entries(t, out)) != 9 {
		t.Errorf("then there is %s, and a log of %d lines", got, len(entries(t, out)))
	}
	succeeds(t, exec.Command(trainBinary, "--backend=cpu", "--init=resume", "--out_dir="+out, "--max_iters=8"))
}

// TestForeignFiles leaves a log and a plot alone that no run wrote.
func TestForeignFiles(t *testing.T) {
	for _, name := range []string{"log.jsonl", "loss.svg"} {
		out := filepath.Join(t.TempDir(), "out")
		path := write(t, filepath.Join(out, name), "mine\n")
		fails(t, smallRun(out), 1, path+" is there already, without a checkpoint that it belongs to", "--force")
		fails(t, smallRun(out, "--force", "--learning_rate=1e38", "--grad_clip=0"), 1, "diverged")
		if got := read(t, path); got != "mine\n" {
			t.Errorf("%s is now %q", name, got)
		}
		succeeds(t, smallRun(out, "--force"))
		if got := names(t, out); got != "best log.jsonl loss.svg newest step-000006" || read(t, path) == "mine\n" {
			t.Errorf("then there is %s", got)
		}
	}
	// What a run without checkpoints left is no hindrance, nor is an empty directory taken away.
	out := t.TempDir()
	fails(t, smallRun(out, "--data="+write(t, filepath.Join(t.TempDir(), "bad.txt"), "\xff")), 1, "bad.txt")
	if _, err := os.Stat(out); err != nil {
		t.Error(err)
	}
	fails(t, smallRun(out, "--learning_rate=1e38", "--grad_clip=0"), 1, "diverged")
	succeeds(t, smallRun(out))
	if got := names(t, out); got != "best log.jsonl loss.svg newest step-000006" {
		t.Errorf("then there is %s", got)
	}
}
