// Package mapfile maps files of weights into memory, so that opening one costs
// no copy of it.
package mapfile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"

	"github.com/edsrzf/mmap-go"

	"caldera/internal/regular"
)

// Open returns the bytes of a file of fsys, read-only, and the mapping that
// holds them, if any: a file of an os.DirFS is mapped, one of another file system
// is read into memory. path stands for the file in errors.
//
// The file must keep its length while it is mapped. Where another process
// truncates it, reading beyond the new end is a fault that Go cannot turn into
// an error. Replacing the file by renaming another over it is safe.
func Open(fsys fs.FS, name, path string) ([]byte, []mmap.MMap, error) {
	file, err := regular.Open(fsys, name)
	if err != nil {
		return nil, nil, Error(path, err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, nil, Error(path, err)
	}
	switch {
	case info.Size() > math.MaxInt:
		return nil, nil, fmt.Errorf("%s: %d bytes are more than this machine can address", path, info.Size())
	case info.Size() == 0:
		return nil, nil, nil // which cannot be mapped; Parse says what is wrong with it
	}
	osFile, ok := file.(*os.File)
	if !ok {
		data := make([]byte, info.Size())
		if _, err := io.ReadFull(file, data); err != nil {
			return nil, nil, fmt.Errorf("%s: reading it: %w", path, err)
		}
		return data, nil, nil
	}
	mapping, err := mmap.Map(osFile, mmap.RDONLY, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: mapping it into memory: %w", path, err)
	}
	return mapping, []mmap.MMap{mapping}, nil
}

// Error names the whole path, where the error of a DirFS has the last part only.
func Error(path string, err error) error {
	return fmt.Errorf("%s: opening it: %w", path, regular.Cause(err))
}

// Parse is Open of a file whose bytes parse makes something of. They are unmapped
// where it fails.
func Parse[F any](fsys fs.FS, name, path string, parse func(data []byte, path string) (F, error)) (f F, mappings []mmap.MMap, err error) {
	data, mappings, err := Open(fsys, name, path)
	if err != nil {
		return f, nil, err
	}
	if f, err = parse(data, path); err != nil {
		return f, nil, errors.Join(err, Unmap(mappings))
	}
	return f, mappings, nil
}

// Unmap ends mappings. The bytes they held must not be touched afterwards.
func Unmap(mappings []mmap.MMap) error {
	var errs []error
	for i := range mappings {
		errs = append(errs, mappings[i].Unmap())
	}
	return errors.Join(errs...)
}
