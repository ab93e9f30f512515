package train

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"

	"caldera/internal/atomicfile"
	"caldera/internal/setting"
	"caldera/internal/train/folder"
)

// Dir is where a run keeps its checkpoints:
//
//	step-000500/  a model directory, optimizer.safetensors and train.json
//	newest        a symbolic link to the latest one
//	best          a symbolic link to that of the least validation loss
//	snapshots/    weights of the way, where they are kept (snapshot.go)
//
// A directory takes the name step-… when it is whole and on the disk, and a link
// is replaced by renaming another over it. So whenever a run is cut off, each
// link leads to a whole checkpoint: the old one or the new one.
//
// Where a run replaces another (replace.go), the old one's checkpoints and log
// stay until the new one has saved its first checkpoint.
type Dir string

// Links of a Dir.
const (
	Newest = folder.Newest
	Best   = folder.Best
)

var links = []string{Newest, Best}

var (
	stepName      = folder.StepName
	temporaryName = regexp.MustCompile(`^(\.(step-\d{6,10}|newest|best|snapshots|log\.jsonl)\.tmp|(log\.jsonl|loss\.svg|train\.json)\.[0-9a-f]{16}\.tmp|\.unsaved)$`)
)

func stepDir(step int) string { return folder.StepDir(step) }

// Path is that of a link, which the user is told.
func (d Dir) Path(name string) string { return filepath.Join(string(d), name) }

// Open returns the directory of the newest checkpoint, or "" where there is none.
func (d Dir) Open() (string, error) {
	name, err := d.newest()
	if err != nil || name == "" {
		return "", err
	}
	return d.Path(name), nil
}

// newest is the name of the newest checkpoint, "" where there is none.
func (d Dir) newest() (string, error) {
	if target, err := d.target(Newest); err != nil || target != "" {
		return target, err
	}
	// The first one was cut off before its link was made: it is whole.
	steps, err := d.steps()
	if err != nil || len(steps) == 0 {
		return "", err
	}
	return steps[len(steps)-1], nil
}

// target is what a link leads to, the name of a checkpoint; "" where there is no link.
func (d Dir) target(link string) (string, error) {
	path := d.Path(link)
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	if info.Mode()&fs.ModeSymlink == 0 {
		return "", setting.Errorf("%s is there and is no link to a checkpoint: move it away, or choose another {out_dir}", path)
	}
	target, err := os.Readlink(path)
	if err != nil {
		return "", err
	}
	if !stepName.MatchString(target) {
		return "", fmt.Errorf("%s leads to %s, expected the name of a checkpoint such as %s", path, target, stepDir(500))
	}
	return target, nil
}

// steps are the names of whole checkpoints, by step.
func (d Dir) steps() ([]string, error) {
	entries, err := os.ReadDir(string(d))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var names []string
	for _, e := range entries {
		if e.IsDir() && stepName.MatchString(e.Name()) {
			names = append(names, e.Name())
		}
	}
	number := func(name string) int {
		n, _ := strconv.Atoi(name[len("step-"):])
		return n
	}
	slices.SortFunc(names, func(a, b string) int { return cmp.Compare(number(a), number(b)) })
	return names, err
}

// Save makes a checkpoint of what write writes to a directory, the newest one
// and, if best, the best one. After an error, such as that of a full disk, both
// are those of before.
func (d Dir) Save(step int, best bool, write func(dir string) error) error {
	name := stepDir(step)
	return d.save(name, write, func() error {
		for _, link := range links {
			if target, err := d.target(link); err != nil || target == name {
				return cmp.Or(err, fmt.Errorf("%s is step %d already", d.Path(link), step))
			}
		}
		return nil
	}, func() error { return d.point(name, best) })
}

// save writes a checkpoint and gives it its name, which free has made sure that
// no link leads to. Then done makes the links.
func (d Dir) save(name string, write func(dir string) error, free, done func() error) (err error) {
	temporary := d.Path("." + name + ".tmp")
	if err := os.RemoveAll(temporary); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(temporary))
		}
	}()
	if err := os.Mkdir(temporary, 0o777); err != nil {
		return err
	}
	if err := write(temporary); err != nil {
		return err
	}
	if err := atomicfile.SyncDir(temporary); err != nil {
		return err
	}
	if err := free(); err != nil {
		return err
	}
	// A checkpoint of that name was cut off before a link was made to it.
	if err := os.RemoveAll(d.Path(name)); err != nil {
		return err
	}
	if err := os.Rename(temporary, d.Path(name)); err != nil {
		return err
	}
	if err := atomicfile.SyncDir(string(d)); err != nil {
		return err
	}
	return done()
}

// Mark makes the newest checkpoint, of which s tells, the best one too if best,
// with another train.json.
func (d Dir) Mark(s State, best bool) error {
	name, err := d.newest()
	if err != nil {
		return err
	}
	if err := writeState(d.Path(name), s); err != nil {
		return err
	}
	return d.point(name, best)
}

// Repair makes the links those of the newest checkpoint's run, of which s tells,
// if it was cut off before it made them.
func (d Dir) Repair(s State) error {
	if s.Step == 0 {
		return nil
	}
	name, err := d.newest()
	if err != nil {
		return err
	}
	newest, err := d.target(Newest)
	if err != nil {
		return err
	}
	best, err := d.target(Best)
	if err != nil {
		return err
	}
	switch {
	case s.Best != nil && s.Best.Step == s.Step && best != name:
		return d.point(name, true)
	case best != "" && (s.Best == nil || s.Best.Step == 0): // it is of the run before
		err = os.Remove(d.Path(Best))
	}
	if err != nil || newest == name {
		return err
	}
	return d.link(Newest, name)
}

// Finished is the link to the best checkpoint, or where no loss was below that
// before the first step, to the newest.
func (d Dir) Finished() string {
	if target, err := d.target(Best); err != nil || target == "" {
		return Newest
	}
	return Best
}

// point makes the links and deletes checkpoints that no link leads to.
func (d Dir) point(name string, best bool) error {
	if err := d.link(Newest, name); err != nil {
		return err
	}
	if best {
		if err := d.link(Best, name); err != nil {
			return err
		}
	}
	if err := atomicfile.SyncDir(string(d)); err != nil {
		return err
	}
	return d.clean()
}

// link has a link lead to a checkpoint. There is no moment without the link.
func (d Dir) link(link, name string) error {
	temporary := d.Path("." + link + ".tmp")
	if err := os.Remove(temporary); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.Symlink(name, temporary); err != nil {
		return fmt.Errorf("%w: checkpoints need a file system with symbolic links", err)
	}
	if err := os.Rename(temporary, d.Path(link)); err != nil {
		return errors.Join(err, os.Remove(temporary))
	}
	return nil
}

// clean deletes what no link leads to and what was cut off.
func (d Dir) clean() error {
	keep := map[string]bool{}
	for _, link := range links {
		target, err := d.target(link)
		if err != nil {
			return err
		}
		keep[target] = true
	}
	return d.remove(func(name string) bool {
		return stepName.MatchString(name) && !keep[name] || temporaryName.MatchString(name)
	})
}

// Sweep deletes what a run that was killed left half written, at the start of
// the next one, and puts its snapshots where they belong. unsavedName stays until
// there is a checkpoint: the next run may fail before it begins a log of its own.
func (d Dir) Sweep() error {
	if err := d.sweepSnapshots(); err != nil {
		return err
	}
	newest, err := d.newest()
	if err != nil {
		return err
	}
	err = d.remove(func(name string) bool {
		return temporaryName.MatchString(name) && (name != unsavedName || newest != "")
	})
	if err != nil {
		return err
	}
	for _, link := range links {
		target, err := d.target(link)
		if err == nil && target != "" {
			err = Dir(d.Path(target)).remove(temporaryName.MatchString)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

func (d Dir) remove(doomed func(name string) bool) error {
	entries, err := os.ReadDir(string(d))
	if err != nil {
		return err
	}
	for _, e := range entries {
		if doomed(e.Name()) {
			if err := os.RemoveAll(d.Path(e.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}
