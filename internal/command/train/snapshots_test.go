package train_test

import (
	"bytes"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"caldera/internal/commandtest"
	"caldera/internal/train/folder"
)

const snapshotFiles = "config.json generation_config.json merges.txt model.safetensors snapshot.json vocab.json"

// TestSnapshots keeps weights on the way, which are those that the run has then,
// and changes nothing else.
func TestSnapshots(t *testing.T) {
	dir := t.TempDir()
	plain, out, parts := filepath.Join(dir, "plain"), filepath.Join(dir, "out"), filepath.Join(dir, "parts")
	succeeds(t, smallRun(plain, "--lr_decay_iters=6"))
	r := succeeds(t, smallRun(out, "--lr_decay_iters=6", "--snapshots=4"))
	for _, part := range []string{"snapshots: of steps 0 1 2 6, each of ", " kB, in " + out + "/snapshots", "step 0: snapshot saved, validation loss 5.", "step 6: snapshot saved"} {
		if !strings.Contains(r.Stderr, part) {
			t.Errorf("standard error lacks %q:\n%s", part, r.Stderr)
		}
	}
	if got := names(t, out); got != "best log.jsonl loss.svg newest snapshots step-000006" {
		t.Errorf("it writes %s", got)
	}
	const steps = "step-000000 step-000001 step-000002 step-000006"
	if got := names(t, filepath.Join(out, "snapshots")); got != steps {
		t.Errorf("it keeps %s", got)
	}
	model := func(path ...string) string {
		return read(t, filepath.Join(append(path, "model.safetensors")...))
	}
	for _, name := range strings.Fields(steps) {
		if got := names(t, filepath.Join(out, "snapshots", name)); got != snapshotFiles {
			t.Errorf("%s has %s", name, got)
		}
		r := succeeds(t, exec.Command(generateBinary, "--backend=cpu", "-m", filepath.Join(out, "snapshots", name), "-n", "2", "The"))
		if !strings.HasPrefix(r.Out, "The") {
			t.Errorf("generate writes %q of %s", r.Out, name)
		}
	}
	if !bytes.Equal(weights(t, plain), weights(t, out)) || model(out, "snapshots", "step-000006") != model(out, "newest") {
		t.Error("snapshots change what is learned")
	}
	// The loss that it tells is that of the weights it kept.
	run, err := folder.Open(out)
	if err != nil || len(run.Weights) != 4 || len(run.Notes) > 0 {
		t.Fatal(run, err)
	}
	w := run.Weights[1]
	e := succeeds(t, smallRun(out, "--init="+w.Path, "--eval_only"))
	if loss, err := strconv.ParseFloat(strings.TrimSpace(e.Out), 64); err != nil || math.Abs(loss-*w.ValLoss) > 1e-4 {
		t.Errorf("the weights of step 1 have a loss of %s, expected %.4f", e.Out, *w.ValLoss)
	}

	// In parts: the steps are those of a run of three, then of six.
	succeeds(t, smallRun(parts, "--lr_decay_iters=6", "--max_iters=3", "--snapshots=4"))
	succeeds(t, exec.Command(trainBinary, "--backend=cpu", "--init=resume", "--out_dir="+parts, "--max_iters=6"))
	if got := names(t, filepath.Join(parts, "snapshots")); got != "step-000000 step-000001 step-000002 step-000003 step-000006" {
		t.Errorf("it keeps %s", got)
	}
	for _, name := range strings.Fields(steps) {
		if model(out, "snapshots", name) != model(parts, "snapshots", name) {
			t.Errorf("%s has other weights in parts", name)
		}
	}

	// Fine-tuning begins with the weights of the checkpoint, in mixed precision too.
	tuned := filepath.Join(dir, "tuned")
	succeeds(t, smallRun(tuned, "--init="+out, "--dtype=float16", "--max_iters=1", "--snapshots=50"))
	if got := names(t, filepath.Join(tuned, "snapshots")); got != "step-000000 step-000001" {
		t.Errorf("fine-tuned: %s", got)
	}
	if model(tuned, "snapshots", "step-000000") != model(out, "best") || model(tuned, "snapshots", "step-000001") != model(tuned, "newest") {
		t.Error("fine-tuned: the snapshots are not the first and the last weights")
	}

	// A run in its place has its own, or none.
	fails(t, smallRun(out, "--force", "--snapshots=3", "--learning_rate=1e38", "--grad_clip=0"), 1, "training has diverged; nothing was saved before, and what was there is kept")
	if got := names(t, filepath.Join(out, "snapshots")); got != steps {
		t.Errorf("after it diverged: %s", got)
	}
	succeeds(t, smallRun(out, "--force", "--snapshots=2", "--seed=5"))
	if got := names(t, filepath.Join(out, "snapshots")); got != "step-000000 step-000006" || model(out, "snapshots", "step-000000") == model(parts, "snapshots", "step-000000") {
		t.Errorf("in its place: %s", got)
	}
	succeeds(t, smallRun(out, "--force"))
	if got := names(t, out); got != "best log.jsonl loss.svg newest step-000006" {
		t.Errorf("without snapshots: %s", got)
	}
	fails(t, smallRun(filepath.Join(dir, "none"), "--snapshots=-1"), 2, "--snapshots=-1: expected 0 to 1000")
	if err := os.RemoveAll(plain); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(plain, "snapshots"), "mine\n")
	fails(t, smallRun(plain, "--snapshots=2"), 1, "snapshots is there and is no directory: move it away, or choose another --out_dir")
}

// TestSnapshotsDiskFull has a disk with room for a checkpoint and some snapshots.
func TestSnapshotsDiskFull(t *testing.T) {
	script := `out=$1/out train=$2; shift 2; mount -t tmpfs -o size=300k tmpfs "${out%/out}" && { "$train" "$@" "--out_dir=$out"; echo "exit $?"; ls -A "$out"; ls -A "$out/snapshots"; }`
	args := append([]string{t.TempDir(), trainBinary}, smallRun("x", "--max_iters=20", "--eval_interval=2").Args[1:]...)
	args = args[:len(args)-3] // --out_dir=x and what was replaced
	args = append(args, "--max_iters=20", "--eval_interval=2", "--snapshots=20", "--sample_interval=0", "--plot="+filepath.Join(t.TempDir(), "loss.svg"))
	r := run(t, commandtest.SmallDisk(t, script, args...))
	if !strings.HasPrefix(r.Out, "exit 1\nbest\nlog.jsonl\nnewest\nsnapshots\nstep-000002\nstep-000000\nstep-000001\n") || strings.Contains(r.Out, "tmp") {
		t.Errorf("standard output %q", r.Out)
	}
	if !strings.Contains(r.Stderr, "no space left on device; ") || !strings.Contains(r.Stderr, "train: saving the ") {
		t.Errorf("standard error:\n%s", r.Stderr)
	}
}
