package train

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
)

// Dir is where a run keeps its checkpoints:
//
//	step-000500/  a model directory, optimizer.safetensors and train.json
//	newest        a symbolic link to the latest one
//	best          a symbolic link to that of the least validation loss
//
// A directory takes the name step-… when it is whole and on the disk, and a link
// is replaced by renaming another over it. So whenever a run is cut off, each
// link leads to a whole checkpoint: the old one or the new one.
type Dir string

// Links of a Dir.
const (
	Newest = "newest"
	Best   = "best"
)

var (
	stepName      = regexp.MustCompile(`^step-(\d{6,10})$`)
	temporaryName = regexp.MustCompile(`^\.(step-\d{6,10}|newest|best)\.tmp$`)
)

func stepDir(step int) string { return fmt.Sprintf("step-%06d", step) }

// Path is that of a link, which the user is told.
func (d Dir) Path(name string) string { return filepath.Join(string(d), name) }

// Open returns the directory of the newest checkpoint, or "" where there is none.
func (d Dir) Open() (string, error) {
	target, err := d.target(Newest)
	if err != nil {
		return "", err
	}
	if target == "" {
		// The first one was cut off before its link was made: it is whole.
		steps, err := d.steps()
		if err != nil || len(steps) == 0 {
			return "", err
		}
		target = steps[len(steps)-1]
	}
	return d.Path(target), nil
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
		return "", fmt.Errorf("%s is there and is no link to a checkpoint: move it away, or choose another --out_dir", path)
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
func (d Dir) Save(step int, best bool, write func(dir string) error) (err error) {
	name := stepDir(step)
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
	if err := syncDir(temporary); err != nil {
		return err
	}
	for _, link := range []string{Newest, Best} {
		if target, err := d.target(link); err != nil || target == name {
			return cmp.Or(err, fmt.Errorf("%s is step %d already", d.Path(link), step))
		}
	}
	// A checkpoint of that name was cut off before a link was made to it.
	if err := os.RemoveAll(d.Path(name)); err != nil {
		return err
	}
	if err := os.Rename(temporary, d.Path(name)); err != nil {
		return err
	}
	if err := syncDir(string(d)); err != nil {
		return err
	}
	return d.point(name, best)
}

// Mark makes the checkpoint of step, which is the newest, the best one too if
// best, with another train.json.
func (d Dir) Mark(s State, best bool) error {
	if err := writeState(d.Path(stepDir(s.Step)), s); err != nil {
		return err
	}
	return d.point(stepDir(s.Step), best)
}

// point makes the links and deletes checkpoints that no link leads to.
func (d Dir) point(name string, best bool) error {
	links := []string{Newest}
	if best {
		links = append(links, Best)
	}
	for _, link := range links {
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
	}
	if err := syncDir(string(d)); err != nil {
		return err
	}
	return d.clean()
}

// clean deletes what no link leads to and what was cut off.
func (d Dir) clean() error {
	keep := map[string]bool{}
	for _, link := range []string{Newest, Best} {
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

// Clear deletes all checkpoints, the links first.
func (d Dir) Clear() error {
	for _, link := range []string{Newest, Best} {
		if target, err := d.target(link); err != nil {
			return err
		} else if target != "" {
			if err := os.Remove(d.Path(link)); err != nil {
				return err
			}
		}
	}
	return d.remove(func(name string) bool { return stepName.MatchString(name) || temporaryName.MatchString(name) })
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

// syncDir makes the names of a directory survive a power failure. Windows has
// no such call, and needs none.
func syncDir(path string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
