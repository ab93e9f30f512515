package train

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"caldera/internal/train/folder"
)

func TestSnapshotSteps(t *testing.T) {
	for _, c := range []struct {
		n, iters int
		want     string
	}{
		{0, 10, "[]"},
		{1, 10, "[0]"},
		{2, 10, "[0 10]"},
		{3, 10, "[0 1 10]"},
		{5, 1000, "[0 1 10 100 1000]"},
		{8, 2000, "[0 1 4 13 45 159 563 2000]"},
		{20, 1, "[0 1]"},
		{20, 5, "[0 1 2 3 4 5]"},
		{10, 20, "[0 1 2 3 4 5 7 9 14 20]"},
	} {
		if got := fmt.Sprint(Options{Snapshots: c.n, MaxIters: c.iters}.SnapshotSteps()); got != c.want {
			t.Errorf("%d of %d: %s, expected %s", c.n, c.iters, got, c.want)
		}
	}
	for n := 2; n < 60; n++ {
		for iters := 1; iters < 200; iters++ {
			steps := Options{Snapshots: n, MaxIters: iters}.SnapshotSteps()
			unique := slices.Compact(slices.Sorted(slices.Values(steps)))
			if len(steps) != min(n, iters+1) || !slices.Equal(unique, steps) || steps[0] != 0 || steps[len(steps)-1] != iters {
				t.Fatalf("%d of %d: %v", n, iters, steps)
			}
		}
	}
	o := options()
	for n, bad := range map[int]bool{-1: true, 0: false, maxSnapshots: false, maxSnapshots + 1: true} {
		o.Snapshots = n
		if err := o.Validate(); (err != nil) != bad || bad && !strings.Contains(err.Error(), "snapshots=") {
			t.Errorf("%d snapshots: %v", n, err)
		}
	}
}

// snapping are options of a run with snapshots of steps 0, 1, 3 and 10.
func snapping() Options {
	o := options()
	o.Snapshots = 4
	return o
}

// kept is all that the snapshots in dir have, and what else is there.
func kept(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(dir, folder.Snapshots))
	if errors.Is(err, fs.ErrNotExist) {
		return "none"
	}
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, e := range entries {
		fmt.Fprintf(&b, "%s:", e.Name())
		path := filepath.Join(dir, folder.Snapshots, e.Name())
		if folder.IsSnapshot(path) {
			s, err := folder.ReadSnapshot(path)
			if err != nil {
				t.Fatal(err)
			}
			text, err := os.ReadFile(filepath.Join(path, "content"))
			if err != nil {
				t.Fatal(err)
			}
			loss := math.NaN()
			if s.Loss != nil {
				loss = *s.Loss
			}
			fmt.Fprintf(&b, "step %d, %d tokens, loss %v, %v, %s", s.Step, s.Tokens, loss, *s.ValLoss, text)
		}
		b.WriteString("\n")
	}
	return b.String()
}

func TestSnapshots(t *testing.T) {
	plain, dir := t.TempDir(), t.TempDir()
	r, _ := begin(t, plain, options(), &fake{})
	if err := r.Train(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := kept(t, plain); got != "none" {
		t.Errorf("without being asked it keeps %s", got)
	}
	o := snapping()
	o.LogInterval = 4
	r, told := begin(t, dir, o, &fake{})
	if err := r.Train(t.Context()); err != nil {
		t.Fatal(err)
	}
	want := "val 0 true,snapshot 0,step 1,snapshot 1,step 2,step 3,snapshot 3,step 4,step 5,val 5 true,saved 5 true,step 6,step 7,step 8,step 9,step 10,val 10 true,saved 10 true,snapshot 10"
	if got := strings.Join(without(told.lines, "sample"), ","); got != want {
		t.Errorf("it did %s, expected %s", got, want)
	}
	run, err := folder.Open(dir)
	if err != nil || len(run.Notes) > 0 {
		t.Fatal(err, run.Notes)
	}
	var kinds []string
	for _, w := range run.Weights {
		kinds = append(kinds, fmt.Sprint(w.Step, w.Kinds))
		if w.ValLoss == nil || (w.Loss == nil) != (w.Step == 0) || w.Step > 0 && *w.Loss != 1/float64(w.Step) {
			t.Errorf("step %d: losses %v, %v", w.Step, w.Loss, w.ValLoss)
		}
	}
	if got := strings.Join(kinds, " "); got != "0 [snapshot] 1 [snapshot] 3 [snapshot] 10 [best newest snapshot]" {
		t.Errorf("the folder has %s", got)
	}
	// Steps 1, 3, 4, 8, 10 and validations of 0, 1, 3, 5, 10.
	if got := logged(t, dir); len(got) != 10 || len(run.Log) != 10 {
		t.Errorf("the log is %s", strings.Join(got, "\n"))
	}
	// The run is the same but for the snapshots.
	if a, b := contentOf(t, plain), contentOf(t, dir); a != b {
		t.Errorf("it comes to %s, without snapshots to %s", b, a)
	}
}

func contentOf(t *testing.T, dir string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, Best, "content"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestSnapshotsResume ends a run after each step, and has it killed later.
func TestSnapshotsResume(t *testing.T) {
	whole := t.TempDir()
	r, _ := begin(t, whole, snapping(), &fake{})
	if err := r.Train(t.Context()); err != nil {
		t.Fatal(err)
	}
	for stop := 1; stop < 10; stop++ {
		dir := t.TempDir()
		r, told := begin(t, dir, snapping(), &fake{})
		ctx, cancel := context.WithCancel(t.Context())
		told.step = func(step int) {
			if step == stop {
				cancel()
			}
		}
		if err := r.Train(ctx); err != context.Canceled || r.SavedStep() != stop {
			t.Fatalf("stopped at step %d: saved %d, %v", stop, r.SavedStep(), err)
		}
		// As if it had gone on with other options, and been killed in a snapshot.
		d := Dir(dir)
		for _, step := range []int{stop + 1, 1234567} {
			if err := d.keep(d.Path(folder.Snapshots), folder.Snapshot{Step: step}, content("7")); err != nil {
				t.Fatal(err)
			}
		}
		write(t, d.Path("snapshots/.step-000009.tmp/content"), nil)
		if err := d.Sweep(); err != nil {
			t.Fatal(err)
		}
		r, _ = begin(t, dir, snapping(), &fake{})
		if err := r.Train(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got, want := kept(t, dir), kept(t, whole); got != want {
			t.Errorf("stopped at step %d:\n%s\nexpected\n%s", stop, got, want)
		}
		if got, want := strings.Join(logged(t, dir), "\n"), strings.Join(logged(t, whole), "\n"); got != want {
			t.Errorf("stopped at step %d: log\n%s\nexpected\n%s", stop, got, want)
		}
	}
	// A run that goes on keeps what it has, also where it takes no more, and takes those of more steps.
	before := kept(t, whole)
	o := snapping()
	o.Snapshots, o.MaxIters = 0, 11
	r, _ = begin(t, whole, o, &fake{})
	if err := r.Train(t.Context()); err != nil || kept(t, whole) != before {
		t.Errorf("%v, then there are %s", err, kept(t, whole))
	}
	o.Snapshots, o.MaxIters = 4, 27
	r, _ = begin(t, whole, o, &fake{})
	if err := r.Train(t.Context()); err != nil || strings.Count(kept(t, whole), "\n") != 5 || !strings.HasPrefix(kept(t, whole), before+"step-000027:") {
		t.Errorf("%v, then there are %s", err, kept(t, whole))
	}
}

// TestSnapshotsReplace has a run take another's place, whose snapshots are kept
// until it has saved.
func TestSnapshotsReplace(t *testing.T) {
	dir := t.TempDir()
	d := Dir(dir)
	r, _ := begin(t, dir, snapping(), &fake{Weights: 50})
	if err := r.Train(t.Context()); err != nil {
		t.Fatal(err)
	}
	write(t, d.Path("snapshots/mine.txt"), []byte("mine"))
	write(t, d.Path("snapshots/step-000777/mine.txt"), []byte("mine"))
	old := kept(t, dir)
	full := &fake{full: errors.New("no space left on device")}
	if err := fresh(t, dir, snapping(), full).Train(t.Context()); !errors.Is(err, full.full) || err.Error() != "saving the snapshot of step 0: no space left on device; what was there is kept" {
		t.Errorf("full disk: %v", err)
	}
	inf := &fake{fail: func(step int) (float64, float64, error) {
		if step == 4 {
			if _, err := os.Stat(d.Path(pendingSnapshots + "/step-000003")); err != nil || kept(t, dir) != old {
				t.Errorf("at step 4: %v, there is %s", err, kept(t, dir))
			}
			return 1, math.Inf(1), nil
		}
		return 0, 0, nil
	}}
	if err := fresh(t, dir, snapping(), inf).Train(t.Context()); err == nil || kept(t, dir) != old {
		t.Errorf("diverged: %v, there is %s", err, kept(t, dir))
	}
	if _, err := os.Lstat(d.Path(pendingSnapshots)); err == nil {
		t.Error("snapshots of nothing are left")
	}

	want := t.TempDir()
	r, _ = begin(t, want, snapping(), &fake{})
	if err := r.Train(t.Context()); err != nil {
		t.Fatal(err)
	}
	foreign := "step-000777:\n"
	replaced := "mine.txt:\n" + strings.TrimSuffix(kept(t, want), "\n") + "\n" + foreign
	if err := fresh(t, dir, snapping(), &fake{}).Train(t.Context()); err != nil || kept(t, dir) != replaced {
		t.Errorf("%v, there is\n%s\nexpected\n%s", err, kept(t, dir), replaced)
	}
	for _, path := range []string{"mine.txt", "step-000777/mine.txt"} {
		if text, err := os.ReadFile(d.Path("snapshots/" + path)); string(text) != "mine" {
			t.Errorf("%s: %v", path, err)
		}
	}
	// A run without snapshots deletes them too, at its first checkpoint.
	if err := fresh(t, dir, options(), &fake{}).Train(t.Context()); err != nil || kept(t, dir) != "mine.txt:\n"+foreign {
		t.Errorf("%v, there is %s", err, kept(t, dir))
	}
	if got, err := folder.Open(dir); err != nil || len(got.Weights) != 1 {
		t.Errorf("%+v, %v", got, err)
	}
}

// TestSnapshotsCutOff kills a run that replaces another at each moment of that.
func TestSnapshotsCutOff(t *testing.T) {
	for _, snapshots := range []int{4, 0} {
		for name, cut := range map[string]func(t *testing.T, d Dir){
			"before they move": func(*testing.T, Dir) {},
			"some deleted": func(t *testing.T, d Dir) {
				if err := d.dropSnapshots(func(name string) bool { return name < "step-000003" }); err != nil {
					t.Fatal(err)
				}
			},
			"half deleted": func(t *testing.T, d Dir) {
				if err := os.Rename(d.Path("snapshots/step-000003"), d.Path("snapshots/.step-000003.tmp")); err != nil {
					t.Fatal(err)
				}
			},
			"some moved": func(t *testing.T, d Dir) {
				if err := d.dropSnapshots(func(string) bool { return true }); err != nil {
					t.Fatal(err)
				}
				err := os.Rename(d.Path("newest/snapshots"), d.Path("newest/snapshots.moving"))
				if err == nil && snapshots > 0 {
					err = errors.Join(os.Mkdir(d.Path("snapshots"), 0o777), os.Rename(d.Path("newest/snapshots.moving/step-000001"), d.Path("snapshots/step-000001")))
				}
				if err != nil {
					t.Fatal(err)
				}
			},
		} {
			dir := t.TempDir()
			d := Dir(dir)
			r, _ := begin(t, dir, snapping(), &fake{Weights: 50})
			if err := r.Train(t.Context()); err != nil {
				t.Fatal(err)
			}
			o := snapping()
			o.Snapshots = snapshots
			r = fresh(t, dir, o, &fake{})
			for _, step := range []int{0, 1, 3} {
				r.State.Step = step
				if err := r.snapshot(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			r.State.Step, r.State.Options = 5, o
			if err := r.write(r.Dir.Replace, true); err != nil {
				t.Fatal(err)
			}
			want := []int{5}
			if snapshots > 0 {
				want = []int{0, 1, 3, 5}
			}
			if name == "before they move" {
				checkSteps(t, name+", before the sweep", dir, want)
			}
			cut(t, d)
			if err := d.Sweep(); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			checkSteps(t, name, dir, want)
			if got := strings.Count(kept(t, dir), "\n"); got != len(want)-1 {
				t.Errorf("%s: %s", name, kept(t, dir))
			}
			if left, _ := filepath.Glob(d.Path("newest/snapshots*")); len(left) > 0 {
				t.Errorf("%s: left %v", name, left)
			}
		}
	}
}

func checkSteps(t *testing.T, when, dir string, want []int) {
	t.Helper()
	run, err := folder.Open(dir)
	if err != nil {
		t.Fatalf("%s: %v", when, err)
	}
	var got []int
	for _, w := range run.Weights {
		got = append(got, w.Step)
	}
	if !slices.Equal(got, want) || len(run.Notes) > 0 {
		t.Errorf("%s: steps %v, %v, expected %v", when, got, run.Notes, want)
	}
}

// TestSnapshotsForeign leaves alone what no run has made.
func TestSnapshotsForeign(t *testing.T) {
	for name, c := range map[string]struct {
		make func(d Dir) error
		bad  string
	}{
		"a file": {func(d Dir) error { return os.WriteFile(d.Path("snapshots"), []byte("mine"), 0o666) }, "snapshots is there and is no directory"},
		"a link": {func(d Dir) error { return os.Symlink(filepath.Dir(string(d)), d.Path("snapshots")) }, "snapshots is there and is no directory"},
		"a directory of that name": {func(d Dir) error {
			return errors.Join(os.MkdirAll(d.Path("snapshots/step-000003"), 0o777), os.WriteFile(d.Path("snapshots/step-000003/mine"), []byte("mine"), 0o666))
		}, "step-000003 is there and is no snapshot of a training run"},
	} {
		for _, o := range []Options{snapping(), options()} {
			dir := t.TempDir()
			if err := c.make(Dir(dir)); err != nil {
				t.Fatal(err)
			}
			if path, _, err := Dir(dir).Occupied(); path != "" || err != nil {
				t.Errorf("%s: %s, %v", name, path, err)
			}
			r, told := begin(t, dir, o, &fake{})
			err := r.Train(t.Context())
			if o.Snapshots == 0 && err != nil || o.Snapshots > 0 && (err == nil || !strings.Contains(err.Error(), c.bad) || len(told.lines) > 0) {
				t.Errorf("%s, %d snapshots: %v after %v", name, o.Snapshots, err, told.lines)
			}
			if _, err := os.Lstat(Dir(dir).Path("snapshots")); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	// Those of a run without a checkpoint belong to the next one only where it says so.
	d := Dir(t.TempDir())
	if err := d.keep(d.Path(folder.Snapshots), folder.Snapshot{}, content("old")); err != nil {
		t.Fatal(err)
	}
	if path, checkpoint, err := d.Occupied(); path != d.Path("snapshots") || checkpoint || err != nil {
		t.Errorf("%s, %v, %v", path, checkpoint, err)
	}
	write(t, d.Path(unsavedName), nil)
	if path, _, err := d.Occupied(); path != "" || err != nil {
		t.Errorf("%s, %v", path, err)
	}
	if !snapshotsIn(d.Path(folder.Snapshots)) || kindOf(d.Path(folder.Snapshots)) != outputDir {
		t.Error("a run would learn from its snapshots")
	}
}

// TestSnapshotFull keeps the checkpoint and the snapshots that are there.
func TestSnapshotFull(t *testing.T) {
	dir, full := t.TempDir(), errors.New("no space left on device")
	l := &fake{}
	o := snapping()
	o.EvalInterval = 2
	r, told := begin(t, dir, o, l)
	told.step = func(step int) {
		if step == 3 {
			l.full = full
		}
	}
	err := r.Train(t.Context())
	if !errors.Is(err, full) || err.Error() != "saving the snapshot of step 3: no space left on device; the checkpoint of step 2 is kept" {
		t.Errorf("error %v", err)
	}
	checkSteps(t, "after a full disk", dir, []int{0, 1, 2})
	if names, err := os.ReadDir(filepath.Join(dir, folder.Snapshots)); err != nil || len(names) != 2 {
		t.Errorf("there is %v, %v", names, err)
	}
	r, _ = begin(t, dir, o, &fake{})
	if err := r.Train(t.Context()); err != nil {
		t.Fatal(err)
	}
	checkSteps(t, "later", dir, []int{0, 1, 3, 10})
	// A validation loss that is no number ends the run as elsewhere.
	r, _ = begin(t, t.TempDir(), snapping(), &fake{val: func(w float64) float64 {
		if w > 0 {
			return math.NaN()
		}
		return 1
	}})
	if err := r.Train(t.Context()); err == nil || !strings.HasPrefix(err.Error(), "step 1: the validation loss is NaN: training has diverged") {
		t.Errorf("error %v", err)
	}
}
