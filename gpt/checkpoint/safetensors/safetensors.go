// Package safetensors reads and writes the safetensors format, in which Hugging
// Face publishes weights: eight bytes that hold N, the header's length, as a
// little-endian integer; N bytes of JSON with the dtype, shape and offsets of each
// tensor; and the tensors' bytes, row-major and little-endian, without a gap.
// https://github.com/huggingface/safetensors describes it.
//
// The package maps a file, so that opening one copies no weights. It does not
// trust a file: no content makes it panic, or allocate more than a small multiple
// of the header's length. The error of a bad file is a *FormatError.
//
// safetensors.go opens files, parse.go reads the header, shards.go a checkpoint
// of several files, dtype.go lists the element types (a new one goes there), and
// write.go writes files.
package safetensors

import (
	"io/fs"
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
	DType DType
	Shape []int // outermost dimension first; empty for a scalar

	// Data holds the elements, row-major and little-endian. In a tensor read from
	// a File it is a read-only view of the file, not valid after File.Close.
	Data []byte

	File   string // the file that holds it, for messages; not used by Write
	Offset int64  // where Data begins, in bytes from the start of that file; not used by Write
}

// Aligned reports whether the address of Data is a multiple of the size of an
// element, so that it may be read as a slice of elements in place. The format
// does not promise it: a header of odd length shifts every tensor of a file.
// Callers who need alignment copy the tensors that lack it.
func (t Tensor) Aligned() bool {
	return tensorfile.Aligned(t.Data, t.DType.Bits()/8)
}

// File is an open checkpoint: one file, or several shards seen as one.
// Its methods other than Close may be called from several goroutines.
type File struct {
	names    []string // sorted
	tensors  map[string]Tensor
	metadata map[string]string
	mappings []mmap.MMap
}

// FormatError says what is wrong with a file.
type FormatError = tensorfile.FormatError

// Open maps the safetensors file at path, read-only. Close unmaps it.
//
// The file must keep its length while it is open. Where another process
// truncates it, reading a tensor beyond the new end is a fault that Go cannot
// turn into an error. Replacing the file by renaming another over it, as Write
// does, is safe.
func Open(path string) (*File, error) {
	return openFS(os.DirFS(filepath.Dir(path)), filepath.Base(path), path)
}

// OpenDir opens the checkpoint in a directory: model.safetensors, or else the
// shards that model.safetensors.index.json names. It maps them as Open does.
func OpenDir(dir string) (*File, error) {
	return openCheckpoint(os.DirFS(dir), dir)
}

// OpenFS is OpenDir for a file system. Files of an os.DirFS are mapped; those of
// another file system, such as an embed.FS, are read into memory. For an
// embedded file without that copy, embed it as a []byte and call Parse.
func OpenFS(fsys fs.FS) (*File, error) {
	return openCheckpoint(fsys, "")
}

// Parse reads a safetensors file that is in memory. Tensors are views of data,
// which must not change while they are used. name stands for the file in errors.
func Parse(data []byte, name string) (*File, error) {
	tensors, metadata, err := parse(data, name)
	if err != nil {
		return nil, err
	}
	f := &File{tensors: make(map[string]Tensor, len(tensors)), metadata: metadata}
	for _, t := range tensors {
		f.tensors[t.Name] = t
		f.names = append(f.names, t.Name)
	}
	slices.Sort(f.names)
	return f, nil
}

// openFS opens one file of fsys; path stands for it in errors.
func openFS(fsys fs.FS, name, path string) (*File, error) {
	f, mappings, err := mapfile.Parse(fsys, name, path, Parse)
	if err != nil {
		return nil, err
	}
	f.mappings = mappings
	return f, nil
}

// Tensors returns the names of the tensors, sorted.
func (f *File) Tensors() []string { return slices.Clone(f.names) }

// Tensor returns the tensor of that name, and whether there is one.
func (f *File) Tensor(name string) (Tensor, bool) {
	t, ok := f.tensors[name]
	return t, ok
}

// Metadata returns the file's __metadata__, free-form strings such as
// "format": "pt". Of a checkpoint in shards it is the first shard's.
func (f *File) Metadata() map[string]string { return f.metadata }

// Drop tells the system that the data of a tensor of this file is not needed in memory for now: see [mapfile.Drop].
func (f *File) Drop(t Tensor) { mapfile.Drop(f.mappings, t.Data) }

// Close unmaps the file. Data of its tensors must not be used afterwards. The File
// is then empty. A second Close does nothing.
func (f *File) Close() error {
	mappings := f.mappings
	*f = File{}
	return mapfile.Unmap(mappings)
}
