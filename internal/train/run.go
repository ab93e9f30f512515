package train

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"caldera/internal/setting"
)

// Learner is what learns: a model in training.
type Learner interface {
	// Step learns from [accumulation · batch · time] ids and what follows each,
	// and returns the mean loss before the step and the norm of its gradients.
	Step(ids, targets []int, rate float64) (loss, norm float64, err error)

	// Loss is the mean loss of [batch · time] ids, to which those whose target is
	// below 0 add nothing.
	Loss(ids, targets []int) (float64, error)

	// Save writes all that was learned to a directory.
	Save(dir string) error

	// SaveWeights writes what a model needs to run, and nothing else, to a directory.
	SaveWeights(dir string) error
}

// Reporter is told what a run does.
type Reporter interface {
	Step(e Entry, left time.Duration)        // after each step; left is 0 where it is not known yet
	Evaluating(done, total int)              // batches
	Evaluated(m Measured, best bool)         //
	Saved(step int, best bool)               //
	Snapshot(m Measured)                     // is saved
	Sample(ctx context.Context, s int) error // is asked for text after s steps
}

// Run is a training run, new or going on.
type Run struct {
	Options
	Data     *Data
	Learner  Learner
	Dir      Dir
	Log      *Log
	State    State  // Step 0 for a new run
	Plot     string // file for the picture of the log, SVG or PNG by its ending; empty: loss.svg in Dir
	Reporter Reporter
	Replaces bool // another run in Dir, which is kept until the first checkpoint

	eval      *evaluation
	saved     int   // step of the newest checkpoint
	snapshots []int // steps of which the weights are kept, in order

	// For speed and the time that is left.
	steps   int           // in this process
	busy    time.Duration // of these steps
	began   time.Time     // of what State.Seconds does not count yet
	logged  time.Duration // busy, when the latest line was logged
	logStep int
}

// DivergedError says that a loss or its gradients are no numbers any more.
type DivergedError struct {
	Step     int // the step that was computed
	What     string
	Saved    int  // step of the newest checkpoint; 0: none
	Replaces bool // another run, which is kept where nothing was saved
}

func (e *DivergedError) Error() string { return e.Unwrap().Error() }

// Unwrap returns what Error says, with the names of settings.
func (e *DivergedError) Unwrap() error {
	if e.Step == 0 {
		return setting.Errorf("step 0: %s before any training: the weights to begin with are too large, or the device is at fault; take another checkpoint, or another {device}", e.What)
	}
	kept := "nothing was saved before"
	switch {
	case e.Saved > 0:
		kept = fmt.Sprintf("the checkpoint of step %d is kept", e.Saved)
	case e.Replaces:
		kept += ", and what was there is kept"
	}
	return setting.Errorf("step %d: %s: training has diverged; %s; try a lower {learning_rate}, a longer {warmup_iters}, or {grad_clip=0.5}", e.Step, e.What, kept)
}

// Prepare plans evaluations and returns what they measure, for people.
func (r *Run) Prepare() (string, error) {
	var err error
	if r.eval, err = newEvaluation(r.Data.Val, r.Options); err != nil {
		return "", err
	}
	r.saved = r.State.Step
	r.snapshots = r.SnapshotSteps()
	return r.eval.String(), nil
}

// Evaluate measures the validation loss without training.
func (r *Run) Evaluate(ctx context.Context) (float64, error) {
	return r.eval.loss(ctx, r.Learner, r.Reporter.Evaluating)
}

// Train does the steps that are left. When ctx ends it finishes the one that it
// is at, saves, and returns the error of ctx.
func (r *Run) Train(ctx context.Context) (failed error) {
	defer func() {
		if !r.Replaces {
			return
		}
		// Nothing was saved, and snapshots may be large.
		if err := os.RemoveAll(r.Dir.Path(pendingSnapshots)); err != nil {
			failed = errors.Join(failed, err)
		}
	}()
	if err := r.Dir.Repair(r.State); err != nil {
		return err
	}
	if err := r.beginSnapshots(); err != nil {
		return err
	}
	r.began = time.Now()
	r.logStep = r.State.Step
	size := r.StepTokens()
	ids, targets := make([]int, size), make([]int, size)
	for {
		err := r.between(ctx)
		if err == nil {
			err = ctx.Err()
		}
		if err != nil && ctx.Err() != nil && errors.Is(err, ctx.Err()) {
			if failed := r.save(false, false); failed != nil {
				return failed // which is no mere interruption
			}
			return err
		}
		if err != nil || r.State.Step >= r.MaxIters {
			return err
		}
		if err := r.step(ids, targets); err != nil {
			return err
		}
	}
}

// between does what is due between two steps.
func (r *Run) between(ctx context.Context) error {
	step := r.State.Step
	end := step >= r.MaxIters
	if m := r.State.Measured; (step%r.EvalInterval == 0 || end) && (m == nil || m.Step != step) {
		if err := r.evaluate(ctx); err != nil {
			return err
		}
	}
	if end {
		if err := r.save(false, true); err != nil {
			return err
		}
	}
	if err := r.snapshot(ctx); err != nil {
		return err
	}
	if every := r.SampleEvery(); every > 0 && step > 0 && (step%every == 0 || end) {
		// A terminal that is closed ends ctx and has writes to it fail, in either order.
		if err := r.Reporter.Sample(ctx, step); err != nil {
			return cmp.Or(ctx.Err(), err)
		}
	}
	return nil
}

// measure measures the validation loss, and logs it.
func (r *Run) measure(ctx context.Context) (m Measured, err error) {
	loss, err := r.Evaluate(ctx)
	if err != nil {
		return m, err
	}
	if !finite(loss) {
		return m, r.diverged("the validation loss is %v", loss)
	}
	r.clock()
	return Measured{r.State.Step, loss}, r.Log.Add(Entry{Step: r.State.Step, ValLoss: &loss, Time: r.State.Seconds})
}

// evaluate measures the validation loss, and saves where that is due.
func (r *Run) evaluate(ctx context.Context) error {
	m, err := r.measure(ctx)
	if err != nil {
		return err
	}
	best := r.State.Best == nil || m.ValLoss < r.State.Best.ValLoss
	r.State.Measured = &m
	if best {
		r.State.Best = &m
	}
	r.Reporter.Evaluated(m, best)
	if m.Step > 0 && (best || r.AlwaysSave) {
		if err := r.save(best, true); err != nil {
			return err
		}
	}
	return r.draw()
}

// draw draws the losses.
func (r *Run) draw() error {
	if r.Replaces {
		return nil // the plot is the old run's
	}
	return r.Log.WritePlot(cmp.Or(r.Plot, r.Dir.Path(plotName)))
}

func (r *Run) diverged(format string, value float64) error {
	return &DivergedError{r.State.Step, fmt.Sprintf(format, value), r.saved, r.Replaces}
}

// save makes a checkpoint, unless there is one of this step, which may have to
// learn that it is the best.
func (r *Run) save(best, report bool) error {
	step := r.State.Step
	r.clock()
	r.State.Options = r.Options
	var err error
	switch {
	case step == 0 || step == r.saved && !best:
		return nil
	case step == r.saved:
		err = r.Dir.Mark(r.State, best)
	case r.Replaces:
		err = r.replace(best)
	default:
		err = r.write(r.Dir.Save, best)
	}
	if err != nil {
		return r.notSaved(err)
	}
	r.saved = step
	if report {
		r.Reporter.Saved(step, best)
	}
	if r.Replaces {
		r.Replaces = false
		return r.draw()
	}
	return nil
}

// write makes a checkpoint with save.
func (r *Run) write(save func(int, bool, func(string) error) error, best bool) error {
	if err := r.Log.Sync(); err != nil {
		return err
	}
	return save(r.State.Step, best, func(dir string) error {
		if err := r.Learner.Save(dir); err != nil {
			return err
		}
		if r.Replaces {
			if err := r.Log.move(filepath.Join(dir, logName)); err != nil {
				return err
			}
			if err := r.Dir.handOver(dir); err != nil {
				return err
			}
		}
		return writeState(dir, r.State)
	})
}

// replace makes the first checkpoint of a run that replaces another.
func (r *Run) replace(best bool) error {
	if err := r.write(r.Dir.Replace, best); err != nil {
		return err
	}
	// The checkpoint had another name when the log was moved into it.
	r.Log.path = filepath.Join(r.Dir.Path(stepDir(r.State.Step)), logName)
	if err := r.Log.move(r.Dir.Path(logName)); err != nil {
		return err
	}
	return r.Dir.takeSnapshots()
}

// notSaved tells what is left where saving failed.
func (r *Run) notSaved(err error) error {
	kept := "there is no other"
	switch {
	case r.saved > 0:
		kept = fmt.Sprintf("that of step %d is kept", r.saved)
	case r.Replaces:
		kept = "what was there is kept"
	}
	return fmt.Errorf("saving the checkpoint of step %d: %w; %s", r.State.Step, err, kept)
}

// SavedStep is the step of the newest checkpoint, 0 if there is none.
func (r *Run) SavedStep() int { return r.saved }

// step learns from one batch.
func (r *Run) step(ids, targets []int) error {
	start := time.Now()
	drawBatch(r.Data.Train, r.Seed, forTraining, r.State.Step, r.BlockSize, ids, targets)
	rate := r.Rate(r.State.Step)
	loss, norm, err := r.Learner.Step(ids, targets, rate)
	if err != nil {
		return fmt.Errorf("step %d: %w", r.State.Step+1, err)
	}
	r.State.Step++
	switch {
	case !finite(loss):
		return r.diverged("the loss is %v", loss)
	case !finite(norm):
		return r.diverged("the norm of the gradients is %v", norm)
	}
	r.State.Tokens += int64(len(ids))
	r.steps++
	r.busy += time.Since(start)
	r.clock()
	e := Entry{Step: r.State.Step, Loss: &loss, LR: &rate, Norm: &norm, Tokens: r.State.Tokens, Time: r.State.Seconds}
	if spent := (r.busy - r.logged).Seconds(); spent > 0 {
		e.Speed = float64((r.State.Step-r.logStep)*len(ids)) / spent
	}
	if r.State.Step%r.LogInterval == 0 || r.State.Step == r.MaxIters || r.keeps(r.State.Step) {
		r.logged, r.logStep = r.busy, r.State.Step
		if err := r.Log.Add(e); err != nil {
			return err
		}
	}
	r.Reporter.Step(e, r.left())
	return nil
}

// left is how long the steps that are left take, evaluations aside.
func (r *Run) left() time.Duration {
	const enough = 3 // steps: the first one is slower
	if r.steps < enough {
		return 0
	}
	return r.busy / time.Duration(r.steps) * time.Duration(r.MaxIters-r.State.Step)
}

// clock adds the time since it was last read.
func (r *Run) clock() {
	now := time.Now()
	r.State.Seconds += now.Sub(r.began).Seconds()
	r.began = now
}
