// Package regular opens the files of a checkpoint, which nobody vouches for.
package regular

import (
	"fmt"
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
