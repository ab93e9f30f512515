// Package atomicfile writes files that are there whole or not at all.
package atomicfile

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
)

// File is one that is being written. A reader of its path sees the old file, or
// none, until Commit, and then the whole new one.
type File struct {
	*bufio.Writer
	file *os.File // beside path
	path string
}

// Suffix is how many bytes longer the name of a file is while it is written: the name must leave room for them.
const Suffix = len(".0123456789abcdef.tmp")

const suffix = ".%016x.tmp"

// Create begins the file at path, so that a path that cannot be written is told
// before there is anything to write. Where path is a symbolic link, it is the
// file that it leads to which is written, and the link stays.
func Create(path string) (*File, error) {
	path, err := follow(path)
	if err != nil {
		return nil, creating(path, err)
	}
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: it is not a regular file", path) // and must not be replaced by one
	}
	file, err := os.OpenFile(path+fmt.Sprintf(suffix, rand.Uint64()), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return nil, creating(path, err) // people know nothing of the other name
	}
	return &File{bufio.NewWriterSize(file, 1<<20), file, path}, nil
}

// creating is err as an error of creating the file at path.
func creating(path string, err error) error {
	var named *fs.PathError
	if errors.As(err, &named) {
		return &fs.PathError{Op: "create", Path: path, Err: named.Err}
	}
	return err
}

// maxLinks is how many links may lead from one to the next, as on Linux.
const maxLinks = 40

// follow is where path leads to, which need not be there yet; path itself with an error.
func follow(path string) (string, error) {
	at := path
	for range maxLinks {
		info, err := os.Lstat(at)
		if errors.Is(err, fs.ErrNotExist) || err == nil && info.Mode()&fs.ModeSymlink == 0 {
			return at, nil
		}
		if err != nil {
			return path, err
		}
		to, err := os.Readlink(at)
		if err != nil {
			return path, err
		}
		if !filepath.IsAbs(to) {
			dir, _ := filepath.Split(at) // not cleaned: dir/../x is elsewhere if dir is a link
			to = dir + to
		}
		at = to
	}
	return path, fmt.Errorf("%s: too many levels of symbolic links", path)
}

// Commit makes sure that all of the file is on the disk, and gives it its name.
// After an error, such as that of a full disk, the old file stands.
func (f *File) Commit() (err error) {
	defer func() {
		if err != nil {
			f.Discard()
		}
	}()
	if err := f.Flush(); err != nil {
		return err
	}
	if err := errors.Join(f.file.Sync(), f.file.Close()); err != nil {
		return err
	}
	if err := os.Rename(f.file.Name(), f.path); err != nil {
		return err
	}
	// The new name survives a power failure once its directory is synced, where
	// the system can do that; the file is whole either way.
	if dir, err := os.Open(filepath.Dir(f.path)); err == nil {
		dir.Sync()
		dir.Close()
	}
	return nil
}

// Discard gives the file up. After Commit it does nothing.
func (f *File) Discard() {
	f.file.Close()
	os.Remove(f.file.Name())
}

// Write makes the file at path of what content writes, as [Create] and
// [File.Commit] do. After an error the old file stands and nothing else is left
// behind.
func Write(path string, content func(io.Writer) error) error {
	f, err := Create(path)
	if err != nil {
		return err
	}
	defer f.Discard()
	if err := content(f); err != nil {
		return err
	}
	return f.Commit()
}

// Copy writes the file to with what from holds, and makes sure that all of it is on the
// disk. It is for a temporary name, that the caller replaces by the right one: after an
// error a part of to may be there.
func Copy(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Sync(), out.Close())
}

// Mkdir makes the directory at path, unless it is there, for files to be written
// to. undo takes it away again if it was made here and nothing is in it.
func Mkdir(path string) (undo func(), err error) {
	switch err := os.Mkdir(path, 0o777); {
	case err == nil:
		return func() { os.Remove(path) }, nil // which removes it only if it is empty
	case errors.Is(err, os.ErrExist):
		return func() {}, nil
	default:
		return nil, err
	}
}

// SyncDir makes the names of a directory survive a power failure. Windows has no
// such call, and needs none.
func SyncDir(path string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
