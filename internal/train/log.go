package train

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"caldera/internal/atomicfile"
	"caldera/internal/train/folder"
)

// Files beside the checkpoints.
const (
	logName  = folder.LogName
	plotName = "loss.svg"
)

// Entry is a line of log.jsonl.
type Entry = folder.Entry

// Log is log.jsonl, and what it holds so far.
type Log struct {
	Entries []Entry
	file    *os.File
	path    string // of file
}

// pendingLog is the log of a run that replaces another, until its first
// checkpoint. That moves it: first into the checkpoint, so that it comes to be
// there with it, and then to the place of the old log.
const pendingLog = "." + logName + ".tmp"

// NewLog begins the log of a new run in dir, which draws its losses to plot. If
// pending, a log that is there stays until the first checkpoint.
func NewLog(dir, plot string, pending bool) (*Log, error) {
	path := filepath.Join(dir, logName)
	if pending {
		path = filepath.Join(dir, pendingLog)
	} else if err := os.WriteFile(filepath.Join(dir, unsavedName), []byte(plot), 0o666); err != nil {
		return nil, err
	}
	l := &Log{}
	return l, l.create(path, nil)
}

// create makes the file of what the log has so far.
func (l *Log) create(path string, text []byte) error {
	err := atomicfile.Write(path, func(w io.Writer) error {
		_, err := w.Write(text)
		return err
	})
	if err != nil {
		return err
	}
	return l.open(path)
}

// open opens the file to add lines to it.
func (l *Log) open(path string) (err error) {
	l.path = path
	l.file, err = os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	return err
}

// move gives the file another path.
func (l *Log) move(to string) error {
	if err := l.file.Close(); err != nil { // Windows moves no open file
		return err
	}
	if err := os.Rename(l.path, to); err != nil {
		return errors.Join(err, l.open(l.path))
	}
	return l.open(to)
}

// OpenLog opens the log in dir and drops what it tells of steps after step: a
// run that went on beyond its newest checkpoint does these steps again.
func OpenLog(dir string, step int) (_ *Log, err error) {
	path := filepath.Join(dir, logName)
	moved, err := Dir(dir).takeLog(path)
	if err != nil {
		return nil, err
	}
	l := &Log{}
	kept, err := l.read(path, step)
	if err != nil {
		return nil, fmt.Errorf("%w: move it away to begin another", err)
	}
	if err := l.create(path, kept); err != nil {
		return nil, err
	}
	if moved {
		err = l.WritePlot(filepath.Join(dir, plotName))
	}
	return l, err
}

// takeLog moves the log of the newest checkpoint to path, if the run was cut off
// before it did so.
func (d Dir) takeLog(path string) (moved bool, err error) {
	newest, err := d.Open()
	if err != nil || newest == "" {
		return false, err
	}
	switch err := os.Rename(filepath.Join(newest, logName), path); {
	case err == nil:
		return true, nil
	case !errors.Is(err, fs.ErrNotExist):
		return false, err
	}
	return false, nil
}

// read returns the lines of steps up to step, and enters them.
func (l *Log) read(path string, step int) (kept []byte, err error) {
	if step == 0 {
		return nil, nil
	}
	err = folder.ReadLog(path, func(line []byte, e Entry) {
		if e.Step <= step {
			l.Entries = append(l.Entries, e)
			kept = append(append(kept, line...), '\n')
		}
	})
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return kept, err
}

// Add writes a line.
func (l *Log) Add(e Entry) error {
	line, err := json.Marshal(e)
	if err != nil {
		return err
	}
	if _, err := l.file.Write(append(line, '\n')); err != nil {
		return err
	}
	l.Entries = append(l.Entries, e)
	return nil
}

// loss is the training loss of a step, nil if the log does not tell.
func (l *Log) loss(step int) *float64 {
	for i := len(l.Entries) - 1; i >= 0 && l.Entries[i].Step >= step; i-- {
		if e := l.Entries[i]; e.Step == step && e.Loss != nil {
			return e.Loss
		}
	}
	return nil
}

// Sync brings the lines to the disk, before the checkpoint of their step.
func (l *Log) Sync() error { return l.file.Sync() }

// Close closes the file.
func (l *Log) Close() error { return l.file.Close() }
