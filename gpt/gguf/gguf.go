// Package gguf reads and writes GGUF, the format of llama.cpp and ollama: a
// model in one file. The magic GGUF, a version, and two counts are followed by
// metadata (named values: the shape of the model, its tokenizer), by the name,
// dimensions, type and place of each tensor, and by the tensors' bytes, each at a
// multiple of the alignment. All numbers are little-endian.
// https://github.com/ggml-org/ggml/blob/master/docs/gguf.md describes it.
//
// Files of versions 2 and 3 are read, which differ in nothing but their number;
// version 3 is written. A file is mapped, so opening costs no copy of the weights,
// and it is hostile until proven otherwise: nothing in it makes this package panic
// or allocate more than a small multiple of the number of its tensors and keys.
// What is wrong with a file is a *FormatError.
//
// gguf.go opens files, split.go those of a model in several parts, parse.go reads their head, value.go is the metadata,
// type.go lists the types of tensors (a new one goes there), write.go writes.
package gguf

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unsafe"

	"github.com/edsrzf/mmap-go"

	"caldera/internal/mapfile"
)

// Tensor is one tensor of a file, or one to be written.
type Tensor struct {
	Name  string
	Type  Type
	Shape []int // outermost dimension first, which the file has last; empty for a scalar

	// Data holds the elements, row-major. It is a view, which is read-only and
	// gone after File.Close. Write does not use it.
	Data []byte

	File   string // the file that holds it, for messages; not used by Write
	Offset int64  // where Data begins, in bytes from the start of that file; not used by Write
}

// Aligned reports whether Data may be read as numbers in place: whether its
// address is a multiple of the size of those that it is made of. A file with an
// alignment of its own need not grant that.
func (t Tensor) Aligned() bool {
	return uintptr(unsafe.Pointer(unsafe.SliceData(t.Data)))%uintptr(max(1, t.Type.DType().Unit())) == 0
}

// File is an open GGUF file. Its methods other than Close may be called from
// several goroutines.
type File struct {
	Version  int // of the format: 2 or 3
	tensors  []Tensor
	byName   map[string]int
	metadata map[string]Value
	mappings []mmap.MMap
}

// FormatError says what is wrong with a file.
type FormatError struct {
	File     string // the file at fault
	Problem  string // with the name of the tensor or key at fault, if any
	Found    string // may be empty
	Expected string // may be empty
}

func (e *FormatError) Error() string {
	var s strings.Builder
	s.WriteString(e.File + ": " + e.Problem)
	if e.Found != "" {
		s.WriteString(": found " + e.Found)
	}
	if e.Expected != "" {
		s.WriteString(", expected " + e.Expected)
	}
	return s.String()
}

// Open maps the GGUF file at path, read-only. Close unmaps it. The file must
// keep its length while it is open: see [mapfile.Open].
//
// Where the file is the first part of a model that was split into several, the
// others, which lie beside it, are opened too: the File has the metadata of the
// first and the tensors of all. Another part than the first is an error.
func Open(path string) (*File, error) {
	f, err := openOne(path)
	if err != nil {
		return nil, err
	}
	if err := f.join(path); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// openOne maps the file at path, which may be one part of a model.
func openOne(path string) (*File, error) {
	data, mappings, err := mapfile.Open(os.DirFS(filepath.Dir(path)), filepath.Base(path), path)
	if err != nil {
		return nil, err
	}
	f, err := Parse(data, path)
	if err != nil {
		return nil, errors.Join(err, mapfile.Unmap(mappings))
	}
	f.mappings = mappings
	return f, nil
}

// Tensors returns the names of the tensors, in the order of the file.
func (f *File) Tensors() []string {
	names := make([]string, len(f.tensors))
	for i, t := range f.tensors {
		names[i] = t.Name
	}
	return names
}

// Tensor returns the tensor of that name, and whether there is one.
func (f *File) Tensor(name string) (Tensor, bool) {
	i, ok := f.byName[name]
	if !ok {
		return Tensor{}, false
	}
	return f.tensors[i], true
}

// Keys returns the keys of the metadata, sorted.
func (f *File) Keys() []string { return slices.Sorted(maps.Keys(f.metadata)) }

// Value returns the metadata of that key, and whether there is any. It is a view
// of the file, gone after Close.
func (f *File) Value(key string) (Value, bool) {
	v, ok := f.metadata[key]
	return v, ok
}

// Close unmaps the file. Its tensors and values must not be touched afterwards;
// the File itself has none any more. A second Close does nothing.
func (f *File) Close() error {
	mappings := f.mappings
	*f = File{}
	return mapfile.Unmap(mappings)
}
