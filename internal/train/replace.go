package train

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"caldera/internal/atomicfile"
	"caldera/internal/setting"
	"caldera/internal/train/folder"
)

// unsavedName is a file that says: log.jsonl, loss.svg and snapshots beside it,
// and the plot whose path it has, are of a run that has no checkpoint yet. The
// next run may write over those.
const unsavedName = ".unsaved"

// Occupied returns the path of what a new run would write over: a checkpoint, or
// a log, plot or snapshot that is not of a run without checkpoints. It is "" where there
// is nothing.
func (d Dir) Occupied() (path string, checkpoint bool, err error) {
	if there, err := d.Open(); err != nil || there != "" {
		return there, true, err
	}
	entries, err := os.ReadDir(string(d))
	if err != nil {
		return "", false, err
	}
	for _, e := range entries {
		if stepName.MatchString(e.Name()) {
			return "", false, setting.Errorf("%s is there and is no directory of a checkpoint: move it away, or choose another {out_dir}", d.Path(e.Name()))
		}
	}
	for _, name := range []string{logName, plotName} {
		switch info, err := os.Lstat(d.Path(name)); {
		case err == nil && info.IsDir():
			return "", false, setting.Errorf("%s is a directory: move it away, or choose another {out_dir}", d.Path(name))
		case err == nil && path == "":
			path = d.Path(name)
		case err != nil && !errors.Is(err, fs.ErrNotExist):
			return "", false, err
		}
	}
	if own, err := d.snapshots(); err != nil {
		return "", false, err
	} else if len(own) > 0 && path == "" {
		path = d.Path(folder.Snapshots)
	}
	if _, err := os.Lstat(d.Path(unsavedName)); err == nil {
		return "", false, nil
	}
	return path, false, nil
}

// Drew reports whether the plot with an absolute path is that of a run in d, of
// which s tells if it has a checkpoint.
func (d Dir) Drew(s State, path string) bool {
	if s.Step > 0 {
		own, err := filepath.Abs(d.Path(plotName))
		return path == s.Plot || err == nil && path == own
	}
	f, err := os.Open(d.Path(unsavedName))
	if err != nil {
		return false
	}
	defer f.Close()
	drawn, err := io.ReadAll(io.LimitReader(f, int64(len(path))+1))
	return err == nil && string(drawn) == path
}

// Replace is Save for the first checkpoint of a run that replaces another. The
// checkpoints of that one are there until this one is whole and the newest.
func (d Dir) Replace(step int, best bool, write func(dir string) error) error {
	name := stepDir(step)
	return d.save(name, write, func() error { return d.moveAside(name) }, func() error {
		if err := d.link(Newest, name); err != nil {
			return err
		}
		// If it ends here, Repair does what is left.
		if !best {
			if err := os.Remove(d.Path(Best)); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
		return d.point(name, best)
	})
}

// moveAside makes room for a checkpoint with the name of one that links lead
// to: that one gets a name with more zeros. It must be whole at any time, and
// links must lead to it, so it is there under both names for a moment.
func (d Dir) moveAside(name string) error {
	// A run that was cut off before its first link gets that first.
	if newest, err := d.newest(); err != nil {
		return err
	} else if target, _ := d.target(Newest); newest != "" && target == "" {
		if err := d.link(Newest, newest); err != nil {
			return err
		}
	}
	var moved []string // links
	aside := "step-0" + name[len("step-"):]
	there := false // aside, from a time when this was cut off
	for _, link := range links {
		switch target, err := d.target(link); {
		case err != nil:
			return err
		case target == name:
			moved = append(moved, link)
		case target == aside:
			there = true
		}
	}
	if len(moved) == 0 {
		return nil
	}
	if !there {
		if err := d.copy(name, aside); err != nil {
			return fmt.Errorf("keeping the old checkpoint as %s: %w", d.Path(aside), err)
		}
	}
	for _, link := range moved {
		if err := d.link(link, aside); err != nil {
			return err
		}
	}
	return atomicfile.SyncDir(string(d))
}

// copy makes a second name for a checkpoint. Its files are linked, and copied
// where the file system has no hard links.
func (d Dir) copy(name, to string) (err error) {
	temporary := d.Path("." + to + ".tmp")
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(temporary))
		}
	}()
	if err := errors.Join(os.RemoveAll(temporary), os.RemoveAll(d.Path(to)), os.Mkdir(temporary, 0o777)); err != nil {
		return err
	}
	entries, err := os.ReadDir(d.Path(name))
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !e.Type().IsRegular() {
			continue
		}
		from, to := filepath.Join(d.Path(name), e.Name()), filepath.Join(temporary, e.Name())
		if os.Link(from, to) == nil {
			continue
		}
		if err := atomicfile.Copy(from, to); err != nil {
			return err
		}
	}
	if err := atomicfile.SyncDir(temporary); err != nil {
		return err
	}
	if err := os.Rename(temporary, d.Path(to)); err != nil {
		return err
	}
	return atomicfile.SyncDir(string(d))
}
