// Package folder reads the folder of a training run: which weights it has of
// which step, and its log. Package train writes the folder.
//
//	snapshot.go  snapshot.json, which a snapshot of a run's weights has
//	log.go       log.jsonl
//	folder.go    the folder as a whole
//
// Nothing in a folder is believed: sizes are bounded, and files are regular ones.
package folder

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"

	"caldera/internal/regular"
	"caldera/internal/strictjson"
)

// Names in the folder of a run.
const (
	Newest    = "newest"     // link to the newest checkpoint
	Best      = "best"       // link to the checkpoint of the least validation loss
	Snapshots = "snapshots"  // directory of snapshots
	LogName   = "log.jsonl"  // losses
	StateName = "train.json" // of a checkpoint: what a run needs to go on
)

// StepName matches the name of a checkpoint or snapshot; its first group is the step.
var StepName = regexp.MustCompile(`^step-(\d{6,10})$`)

// StepDir is the name of the checkpoint or snapshot of a step.
func StepDir(step int) string { return fmt.Sprintf("step-%06d", step) }

// Kinds of [Weights].
const (
	KindSnapshot   = "snapshot"   // kept by the run on its way
	KindBest       = "best"       // the checkpoint of the least validation loss
	KindNewest     = "newest"     // the newest checkpoint
	KindCheckpoint = "checkpoint" // another one
)

// Weights are those of one step of a run.
type Weights struct {
	Step    int      `json:"step"`     // steps of training before
	Path    string   `json:"path"`     // directory in Hugging Face's layout, or in PEFT's
	Kinds   []string `json:"kinds"`    // what they are kept as, at least one
	Loss    *float64 `json:"loss"`     // training loss of that step, before it, in nats a token; null where it is not known
	ValLoss *float64 `json:"val_loss"` // validation loss, in nats a token; null where it was not measured
	Base    *Base    `json:"base"`     // the model beside which these are an adapter; null where they are all weights
}

// Run is what the folder of a run has.
type Run struct {
	Weights []Weights // by step, each step once
	Log     []Entry   // in the order of log.jsonl; empty where there is none
	Notes   []string  // what could not be read and was left out, for people
}

// maxStateSize is the most that train.json of a checkpoint may have.
const maxStateSize = 1 << 20

// Open reads the folder of a run. It is an error if there are no weights in it.
// A folder that is changed meanwhile, by a run that goes on, may lack what it
// deletes or adds.
func Open(dir string) (*Run, error) {
	info, err := os.Stat(dir)
	switch {
	case err != nil:
		return nil, fmt.Errorf("training run %s: %w", dir, regular.Cause(err))
	case !info.IsDir():
		return nil, fmt.Errorf("training run %s: found a file, expected the folder of a training run", dir)
	}
	r := &Run{}
	if err := r.checkpoints(dir); err != nil {
		return nil, err
	}
	// A run that takes the place of another has its log and snapshots in its first
	// checkpoint for a moment, and leaves them there if it is killed then.
	own := func(name string) string {
		if inner := filepath.Join(dir, Newest, name); there(inner) {
			return inner
		}
		return filepath.Join(dir, name)
	}
	if err := r.snapshots(own(Snapshots)); err != nil {
		return nil, err
	}
	if len(r.Weights) == 0 {
		return nil, fmt.Errorf("training run %s: found no checkpoint and no snapshot in it, expected the folder that a training run wrote", dir)
	}
	slices.SortFunc(r.Weights, func(a, b Weights) int { return cmp.Compare(a.Step, b.Step) })
	r.readLog(own(LogName))
	return r, nil
}

func there(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

func (r *Run) note(path string, err error) {
	r.Notes = append(r.Notes, fmt.Sprintf("%s is left out: %v", path, regular.Cause(err)))
}

// add enters weights, or says more of those of the same step.
func (r *Run) add(w Weights) {
	i := slices.IndexFunc(r.Weights, func(x Weights) bool { return x.Step == w.Step })
	if i < 0 {
		r.Weights = append(r.Weights, w)
		return
	}
	x := &r.Weights[i]
	for _, k := range w.Kinds {
		if !slices.Contains(x.Kinds, k) {
			x.Kinds = append(x.Kinds, k)
		}
	}
	x.Loss, x.ValLoss = cmp.Or(x.Loss, w.Loss), cmp.Or(x.ValLoss, w.ValLoss)
}

// checkpoints enters those that links lead to, and those without.
func (r *Run) checkpoints(dir string) error {
	for _, link := range []string{Best, Newest} {
		path := filepath.Join(dir, link)
		if !there(path) {
			continue
		}
		w, err := checkpoint(path)
		if err != nil {
			r.note(path, err)
			continue
		}
		w.Kinds = []string{link}
		r.add(w)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("training run %s: cannot list the folder: %w", dir, regular.Cause(err))
	}
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		m := StepName.FindStringSubmatch(e.Name())
		if m == nil || !e.IsDir() || IsSnapshot(path) || r.linked(path) {
			continue
		}
		w, err := checkpoint(path)
		if err != nil {
			r.note(path, err)
			continue
		}
		w.Kinds = []string{KindCheckpoint}
		r.add(w)
	}
	// The folder may be that of the snapshots.
	return r.snapshots(dir)
}

// linked reports whether a path is that of a checkpoint which was entered by its link.
func (r *Run) linked(path string) bool {
	info, err := os.Stat(path)
	if err != nil {
		return false
	}
	return slices.ContainsFunc(r.Weights, func(w Weights) bool {
		other, err := os.Stat(w.Path)
		return err == nil && os.SameFile(info, other)
	})
}

// checkpoint reads what train.json in dir tells of its weights.
func checkpoint(dir string) (w Weights, err error) {
	text, err := regular.Read(os.DirFS(dir), StateName, maxStateSize)
	if err != nil {
		return w, fmt.Errorf("%s: %w", StateName, regular.Cause(err))
	}
	var s struct {
		Step       *int `json:"step"`
		Evaluation *struct {
			Step    int      `json:"step"`
			ValLoss *float64 `json:"val_loss"`
		} `json:"evaluation"`
		Base *Base `json:"base"`
	}
	if err := decode(text, &s); err != nil {
		return w, fmt.Errorf("%s: %w", StateName, err)
	}
	if s.Step == nil || !stepOK(*s.Step) {
		return w, fmt.Errorf("%s: found no step from 0 to %d", StateName, math.MaxInt32)
	}
	w = Weights{Step: *s.Step, Path: dir, Base: s.Base}
	if e := s.Evaluation; e != nil && e.Step == w.Step {
		w.ValLoss = e.ValLoss
	}
	return w, nil
}

// snapshots enters the snapshots in dir, which need not be there.
func (r *Run) snapshots(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("training run: cannot list %s: %w", dir, regular.Cause(err))
	}
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		if !StepName.MatchString(e.Name()) || !IsSnapshot(path) {
			continue
		}
		s, err := ReadSnapshot(path)
		if err != nil {
			r.note(path, err)
			continue
		}
		r.add(Weights{Step: s.Step, Path: path, Kinds: []string{KindSnapshot}, Loss: s.Loss, ValLoss: s.ValLoss, Base: s.Base})
	}
	return nil
}

// readLog reads the log, and takes losses of weights from it that nothing else tells.
func (r *Run) readLog(path string) {
	err := ReadLog(path, func(_ []byte, e Entry) {
		if !stepOK(e.Step) {
			return
		}
		r.Log = append(r.Log, e)
		i, found := slices.BinarySearchFunc(r.Weights, e.Step, func(w Weights, step int) int { return cmp.Compare(w.Step, step) })
		if found {
			w := &r.Weights[i]
			w.Loss, w.ValLoss = cmp.Or(w.Loss, e.Loss), cmp.Or(w.ValLoss, e.ValLoss)
		}
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		r.Notes = append(r.Notes, fmt.Sprintf("the log is left out from there on: %v", err))
	}
}

func stepOK(step int) bool { return step >= 0 && step <= math.MaxInt32 }

// decode decodes the one JSON object that text holds. Members that to does not
// have are passed over.
func decode(text []byte, to any) error {
	if err := strictjson.Object(text, 8, func(string, json.RawMessage) error { return nil }); err != nil {
		return err
	}
	return json.Unmarshal(text, to)
}

// stepOf is the step that the name of a checkpoint or snapshot tells, -1 where it is none.
func stepOf(name string) int {
	m := StepName.FindStringSubmatch(name)
	if m == nil {
		return -1
	}
	n, err := strconv.Atoi(m[1])
	if err != nil {
		return -1
	}
	return n
}
