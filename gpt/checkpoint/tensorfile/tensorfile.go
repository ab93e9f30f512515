// Package tensorfile has what the formats of weights share: packages gguf and
// safetensors.
package tensorfile

import (
	"fmt"
	"io"
	"unsafe"
)

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

// Elements is the product of a shape: 1 for a scalar.
func Elements(shape []int) int {
	n := 1
	for _, d := range shape {
		n *= d
	}
	return n
}

// Aligned reports whether the address of data is a multiple of size, in bytes, so
// that data may be read in place as numbers of that size. size 0 counts as 1.
func Aligned(data []byte, size int) bool {
	return uintptr(unsafe.Pointer(unsafe.SliceData(data)))%uintptr(max(1, size)) == 0
}
