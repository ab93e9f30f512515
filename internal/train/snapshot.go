package train

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"

	"caldera/internal/atomicfile"
	"caldera/internal/setting"
	"caldera/internal/train/folder"
)

// A run may keep snapshots of its weights:
//
//	snapshots/step-000003/  a model directory or an adapter, and snapshot.json with step and losses
//
// They take their names when they are whole and on the disk, as checkpoints do.
// Those of a run that replaces another are in pendingSnapshots until its first
// checkpoint, and move with its log (pendingLog): into the checkpoint, and from
// there to where those of the old run were.

// maxSnapshots is the most that a run keeps.
const maxSnapshots = 1000

// pendingSnapshots has the snapshots of a run that replaces another.
const pendingSnapshots = "." + folder.Snapshots + ".tmp"

// movingSnapshots is where a checkpoint has snapshots in place of
// [folder.Snapshots], when those of the old run are deleted.
const movingSnapshots = folder.Snapshots + ".moving"

// snapshotTemporary is the name of a snapshot that is half written, or half deleted.
var snapshotTemporary = regexp.MustCompile(`^\.step-\d{6,10}\.tmp$`)

// SnapshotSteps are the steps whose weights are kept, in order: 0, then steps
// that each are the same factor larger than the one before, from 1 to MaxIters.
// At first that is less than a step from one to the next: such a one is the step
// after the one before. A run of fewer steps keeps the weights of each step.
func (o Options) SnapshotSteps() []int {
	n := min(o.Snapshots, o.MaxIters+1)
	if n < 1 {
		return nil
	}
	steps := []int{0}
	for i := 1; i < n; i++ {
		share := 1.0 // of the way from 1 to MaxIters, in logarithms
		if n > 2 {
			share = float64(i-1) / float64(n-2)
		}
		step := int(math.Round(math.Pow(float64(o.MaxIters), share)))
		steps = append(steps, max(steps[i-1]+1, step))
	}
	return steps
}

// keeps reports whether the weights after a step are kept.
func (r *Run) keeps(step int) bool {
	_, found := slices.BinarySearch(r.snapshots, step)
	return found
}

// beginSnapshots makes sure that snapshots can be saved, and deletes those of
// steps that are done again.
func (r *Run) beginSnapshots() error {
	if len(r.snapshots) > 0 {
		if err := r.Dir.checkSnapshots(r.snapshots); err != nil {
			return err
		}
	}
	if r.Replaces {
		return nil // what is there is kept for now
	}
	return r.Dir.dropSnapshots(func(name string) bool {
		return r.State.Step == 0 || len(name) > len(stepDir(r.State.Step)) || name > stepDir(r.State.Step)
	})
}

// snapshot keeps the weights as they are, if that is due and not done.
func (r *Run) snapshot(ctx context.Context) error {
	step := r.State.Step
	if !r.keeps(step) {
		return nil
	}
	dir := r.Dir.Path(folder.Snapshots)
	if r.Replaces {
		dir = r.Dir.Path(pendingSnapshots)
	}
	if folder.IsSnapshot(filepath.Join(dir, stepDir(step))) {
		return nil // the run was ended right after that, and goes on
	}
	s := folder.Snapshot{Step: step, Tokens: r.State.Tokens, Loss: r.Log.loss(step), Base: r.State.Base}
	var m Measured
	if known := r.State.Measured; known != nil && known.Step == step {
		m = *known
	} else {
		var err error
		if m, err = r.measure(ctx); err != nil {
			return err
		}
	}
	s.ValLoss = &m.ValLoss
	if err := r.Dir.keep(dir, s, r.Learner.SaveWeights); err != nil {
		return r.notKept(err)
	}
	r.Reporter.Snapshot(m)
	return nil
}

// notKept tells what is left where a snapshot failed.
func (r *Run) notKept(err error) error {
	kept := "there is no checkpoint yet"
	switch {
	case r.saved > 0:
		kept = fmt.Sprintf("the checkpoint of step %d is kept", r.saved)
	case r.Replaces:
		kept = "what was there is kept"
	}
	return fmt.Errorf("saving the snapshot of step %d: %w; %s", r.State.Step, err, kept)
}

// keep saves a snapshot in dir, which is made if it is not there.
func (d Dir) keep(dir string, s folder.Snapshot, write func(dir string) error) error {
	switch err := os.Mkdir(dir, 0o777); {
	case err == nil:
		if err := atomicfile.SyncDir(string(d)); err != nil {
			return err
		}
	case !errors.Is(err, fs.ErrExist):
		return err
	}
	name := stepDir(s.Step)
	return Dir(dir).save(name, func(dir string) error {
		if err := write(dir); err != nil {
			return err
		}
		return folder.WriteSnapshot(dir, s)
	}, func() error { return foreign(filepath.Join(dir, name)) }, func() error { return nil })
}

// foreign reports what has the name of a snapshot and is none.
func foreign(path string) error {
	_, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && folder.IsSnapshot(path) {
		return nil
	}
	if err != nil {
		return err
	}
	return setting.Errorf("%s is there and is no snapshot of a training run: move it away, or choose another {out_dir}", path)
}

// checkSnapshots reports what is in the way of snapshots of these steps.
func (d Dir) checkSnapshots(steps []int) error {
	dir := d.Path(folder.Snapshots)
	info, err := os.Lstat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case !info.IsDir():
		return setting.Errorf("%s is there and is no directory: move it away, or choose another {out_dir}", dir)
	}
	for _, step := range steps {
		if err := foreign(filepath.Join(dir, stepDir(step))); err != nil {
			return err
		}
	}
	return nil
}

// snapshots are the names of snapshots, by step up to 999,999. What no run wrote
// is not among them.
func (d Dir) snapshots() (names []string, err error) {
	dir := d.Path(folder.Snapshots)
	info, err := os.Lstat(dir)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !info.IsDir() {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		if stepName.MatchString(e.Name()) && folder.IsSnapshot(filepath.Join(dir, e.Name())) {
			names = append(names, e.Name())
		}
	}
	return names, err
}

// snapshotsIn reports whether dir is a directory of snapshots.
func snapshotsIn(dir string) bool {
	if filepath.Base(dir) != folder.Snapshots {
		return false
	}
	names, err := Dir(filepath.Dir(dir)).snapshots()
	return err == nil && len(names) > 0
}

// dropSnapshots deletes snapshots. One that is deleted half has another name
// already, which Sweep knows.
func (d Dir) dropSnapshots(doomed func(name string) bool) error {
	names, err := d.snapshots()
	if err != nil {
		return err
	}
	dir := Dir(d.Path(folder.Snapshots))
	for _, name := range names {
		if !doomed(name) {
			continue
		}
		temporary := dir.Path("." + name + ".tmp")
		if err := os.RemoveAll(temporary); err != nil {
			return err
		}
		if err := os.Rename(dir.Path(name), temporary); err != nil {
			return err
		}
		if err := os.RemoveAll(temporary); err != nil {
			return err
		}
	}
	if len(names) > 0 {
		os.Remove(string(dir)) // which removes it only if it is empty
	}
	return nil
}

// handOver moves the snapshots of a run that replaces another into its first
// checkpoint. An empty directory there says that the old run's are to be deleted.
func (d Dir) handOver(checkpoint string) error {
	pending := d.Path(pendingSnapshots)
	_, err := os.Lstat(pending)
	if errors.Is(err, fs.ErrNotExist) {
		old, err := d.snapshots()
		if err != nil || len(old) == 0 {
			return err
		}
		return os.Mkdir(filepath.Join(checkpoint, folder.Snapshots), 0o777)
	}
	if err != nil {
		return err
	}
	return os.Rename(pending, filepath.Join(checkpoint, folder.Snapshots))
}

// takeSnapshots puts the snapshots that the newest checkpoint has in the place of
// those of the run that it replaces. It does what is left if it was cut off.
func (d Dir) takeSnapshots() error {
	newest, err := d.Open()
	if err != nil || newest == "" {
		return err
	}
	from, moving := filepath.Join(newest, folder.Snapshots), filepath.Join(newest, movingSnapshots)
	switch _, err := os.Lstat(from); {
	case err == nil:
		if err := d.dropSnapshots(func(string) bool { return true }); err != nil {
			return err
		}
		if err := os.Rename(from, moving); err != nil {
			return err
		}
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	entries, err := os.ReadDir(moving)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	to := d.Path(folder.Snapshots)
	if len(entries) > 0 {
		if err := os.Mkdir(to, 0o777); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	for _, e := range entries {
		if err := os.Rename(filepath.Join(moving, e.Name()), filepath.Join(to, e.Name())); err != nil {
			return err
		}
	}
	if err := os.Remove(moving); err != nil {
		return err
	}
	if len(entries) > 0 {
		if err := atomicfile.SyncDir(to); err != nil {
			return err
		}
	}
	return atomicfile.SyncDir(string(d))
}

// sweepSnapshots puts snapshots where they belong, and deletes what is half
// written of one.
func (d Dir) sweepSnapshots() error {
	if err := d.takeSnapshots(); err != nil {
		return err
	}
	dir := d.Path(folder.Snapshots)
	info, err := os.Lstat(dir)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !info.IsDir() {
		return nil
	}
	if err != nil {
		return err
	}
	return Dir(dir).remove(snapshotTemporary.MatchString)
}
