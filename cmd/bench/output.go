package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
)

// file is one that takes its name only when it is whole: until commit there
// is the old one, or none.
type file struct {
	*os.File
	path string
}

func create(path string) (*file, error) {
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: it is not a regular file", path)
	}
	f, err := os.OpenFile(fmt.Sprintf("%s.%016x.tmp", path, rand.Uint64()), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return nil, err
	}
	return &file{f, path}, nil
}

// commit gives the file its name.
func (f *file) commit() error {
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), f.path)
}

// discard removes the file, unless it has been committed.
func (f *file) discard() {
	f.Close()
	os.Remove(f.Name())
}
