// Package gguf reads and writes GGUF, the format of llama.cpp and ollama: a
// model in one file. The magic GGUF, a version, and two counts are followed by
// metadata (named values: the shape of the model, its tokenizer), by the name,
// dimensions, type and offset of each tensor, and by the tensors' bytes, each at a
// multiple of the alignment. All numbers are little-endian.
// https://github.com/ggml-org/ggml/blob/master/docs/gguf.md describes it.
//
// The package reads versions 2 and 3, which differ only in their number, and
// writes version 3. It maps a file, so that opening one copies no weights. It does
// not trust a file: no content makes it panic, or allocate more than a small
// multiple of the number of tensors and keys. The error of a bad file is a
// *FormatError.
//
// gguf.go opens files and split.go those of a model in several parts; parse.go
// reads the head of a file, value.go is the metadata, type.go the types of tensors,
// and write.go writes files.
package gguf

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/edsrzf/mmap-go"

	"caldera/gpt/checkpoint/tensorfile"
	"caldera/internal/mapfile"
)

// Tensor is one tensor of a file, or one to be written.
type Tensor struct {
	Name  string
	Type  Type
	Shape []int // outermost dimension first (the file has it last); empty for a scalar

	// Data holds the elements, row-major. It is a read-only view of the file, not
	// valid after File.Close. Write does not use it.
	Data []byte

	File   string // the file that holds it, for messages; not used by Write
	Offset int64  // where Data begins, in bytes from the start of that file; not used by Write
}

// Aligned reports whether the address of Data is a multiple of the size of the
// numbers in it, so that they may be read in place. A file may choose an alignment
// that is too small for that.
func (t Tensor) Aligned() bool {
	return tensorfile.Aligned(t.Data, t.Type.DType().Unit())
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
type FormatError = tensorfile.FormatError

// Open maps the GGUF file at path, read-only. Close unmaps it. The file must
// keep its length while it is open: see [mapfile.Open].
//
// If the file is the first part of a model that was split into several, Open also
// opens the other parts, which must be in the same directory: the File has the
// metadata of the first part and the tensors of all. Any other part is an error.
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
	f, mappings, err := mapfile.Parse(os.DirFS(filepath.Dir(path)), filepath.Base(path), path, Parse)
	if err != nil {
		return nil, err
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
// of the file, not valid after Close.
func (f *File) Value(key string) (Value, bool) {
	v, ok := f.metadata[key]
	return v, ok
}

// Drop tells the system that the data of a tensor of this file is not needed in memory for now: see [mapfile.Drop].
func (f *File) Drop(t Tensor) { mapfile.Drop(f.mappings, t.Data) }

// Close unmaps the file. Data of tensors and values must not be used afterwards.
// The File is then empty. A second Close does nothing.
func (f *File) Close() error {
	mappings := f.mappings
	*f = File{}
	return mapfile.Unmap(mappings)
}
