// Package regular opens the files of a checkpoint, which nobody vouches for.
package regular

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
)

// Open opens a file that must be a regular one. Opening a named pipe would wait
// for its writer, perhaps for ever, and a device may have no end.
func Open(fsys fs.FS, name string) (fs.File, error) {
	info, err := fs.Stat(fsys, name) // follows links, and opens nothing
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fmt.Errorf("found a %s, expected a regular file", kind(info.Mode()))}
	}
	return fsys.Open(name)
}

// Read reads a file that Open opens, of at most limit bytes. It takes no more of a
// larger one than shows that it is.
func Read(fsys fs.FS, name string, limit int) ([]byte, error) {
	f, err := Open(fsys, name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, int64(limit)+1))
	if err == nil && len(data) > limit {
		return nil, &fs.PathError{Op: "read", Path: name, Err: fmt.Errorf("found more than %d bytes, the most that is read", limit)}
	}
	return data, err
}

// Cause is the system's error without the call and the path: the caller names the
// whole path, where that of an os.DirFS has its last part only.
func Cause(err error) error {
	var named *fs.PathError
	if errors.As(err, &named) {
		return named.Err
	}
	return err
}

func kind(m fs.FileMode) string {
	switch {
	case m.IsDir():
		return "directory"
	case m&fs.ModeDevice != 0:
		return "device"
	case m&fs.ModeNamedPipe != 0:
		return "named pipe"
	}
	return "special file"
}
