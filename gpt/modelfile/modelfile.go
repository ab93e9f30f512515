// Package modelfile has what the readers and writers of a model's files share.
package modelfile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"unsafe"

	"caldera/internal/regular"
)

// Read reads a regular file of fsys, but at most most bytes of it. To find out that
// a file is too large, a caller asks for one byte more than it may have.
func Read(fsys fs.FS, name string, most int64) ([]byte, error) {
	f, err := regular.Open(fsys, name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, most))
}

// Cause is the system's error in err, without the operation and the path, which the
// caller names better; it is err itself if it has none.
func Cause(err error) error {
	var named *fs.PathError
	if errors.As(err, &named) {
		return named.Err
	}
	return err
}

// LFSPointer begins a file that Git LFS has put in the place of a large one.
const LFSPointer = "version https://git-lfs"

// FormatError says what is wrong with a file.
type FormatError struct {
	File     string // path of the file with the error
	Tensor   string // name of the tensor with the error, or empty
	Problem  string
	Found    string // may be empty
	Expected string // may be empty
}

func (e *FormatError) Error() string {
	text := e.File + ": "
	if e.Tensor != "" {
		text += fmt.Sprintf("tensor %q: ", e.Tensor)
	}
	text += e.Problem
	if e.Found != "" {
		text += ": found " + e.Found
	}
	if e.Expected != "" {
		text += ", expected " + e.Expected
	}
	return text
}

// A Counter counts the bytes that are written through it.
type Counter struct {
	W io.Writer
	N int // bytes so far
}

// Write writes p to c.W.
func (c *Counter) Write(p []byte) (int, error) {
	n, err := c.W.Write(p)
	c.N += n
	return n, err
}

// Aligned reports whether the address of data is a multiple of size, in bytes, so
// that data may be read in place as numbers of that size. size 0 counts as 1.
func Aligned(data []byte, size int) bool {
	return uintptr(unsafe.Pointer(unsafe.SliceData(data)))%uintptr(max(1, size)) == 0
}
