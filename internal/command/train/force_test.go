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
	fails(t, smallRun(out, "--force", "--learning_rate=1e38", "--grad_clip=0"), 1, "training has diverged; nothing was saved before, and what was there is kept")
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
			if signal == os.Interrupt && !strings.Contains(s.stderr.String(), "nothing was saved, and what was in "+out+" is kept\ntrain: interrupted\n") {
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

// TestForeignPlot leaves a picture alone that the run did not draw.
func TestForeignPlot(t *testing.T) {
	dir := t.TempDir()
	out, plot := filepath.Join(dir, "out"), filepath.Join(dir, "mine.svg")
	drawn := func() bool { return strings.Contains(read(t, plot), "<svg") }
	for _, name := range []string{plot, filepath.Join(dir, "novel")} {
		write(t, name, "mine\n")
		fails(t, smallRun(out, "--plot="+name), 1, name+" is there already, and this run did not draw it", "--force")
		if got := read(t, name); got != "mine\n" || names(t, dir) != "mine.svg" && name == plot {
			t.Errorf("%s is now %q, and there is %s", name, got, names(t, dir))
		}
	}
	fails(t, smallRun(out, "--plot="+dir), 1, "is there and is no regular file")
	fails(t, smallRun(out, "--plot="+plot, "--force", "--learning_rate=1e38", "--grad_clip=0"), 1, "diverged")
	if drawn() {
		t.Error("it is replaced before the run has saved")
	}
	succeeds(t, smallRun(out, "--plot="+plot, "--force"))
	if !drawn() {
		t.Error("it is not replaced with --force")
	}
	// A run goes on with its own, and with no other.
	succeeds(t, smallRun(out, "--init=resume", "--max_iters=7", "--plot="+plot))
	other := write(t, filepath.Join(dir, "other.png"), "mine\n")
	fails(t, smallRun(out, "--init=resume", "--max_iters=8", "--plot="+other), 1, other+" is there already")
	succeeds(t, smallRun(out, "--init=resume", "--max_iters=8"))
	succeeds(t, smallRun(out, "--init=resume", "--max_iters=9", "--plot="+filepath.Join(out, "loss.svg")))
	fails(t, smallRun(out, "--plot="+plot), 1, "step-000009 is there already")

	// What a run without a checkpoint drew is the next one's.
	out, plot = filepath.Join(dir, "out2"), filepath.Join(dir, "new.svg")
	fails(t, smallRun(out, "--plot="+plot, "--learning_rate=1e38", "--grad_clip=0"), 1, "diverged")
	if !drawn() {
		t.Error("it is not drawn")
	}
	succeeds(t, smallRun(out, "--plot="+plot))
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
	// A file that has the name of a checkpoint is none.
	file := write(t, filepath.Join(t.TempDir(), "step-000006"), "mine\n")
	fails(t, smallRun(filepath.Dir(file), "--force"), 1, file+" is there and is no directory of a checkpoint")
	if got := read(t, file); got != "mine\n" {
		t.Errorf("%s is now %q", file, got)
	}

	// What a run without checkpoints left is no hindrance, nor is an empty directory taken away.
	out := t.TempDir()
	fails(t, smallRun(out, "--data="+write(t, filepath.Join(t.TempDir(), "bad.txt"), "\xff")), 1, "bad.txt")
	if _, err := os.Stat(out); err != nil {
		t.Error(err)
	}
	fails(t, smallRun(out, "--learning_rate=1e38", "--grad_clip=0"), 1, "diverged")
	fails(t, smallRun(out, "--data="+filepath.Join(t.TempDir(), "none.txt")), 1, "none.txt")
	succeeds(t, smallRun(out))
	if got := names(t, out); got != "best log.jsonl loss.svg newest step-000006" {
		t.Errorf("then there is %s", got)
	}
}
