package safetensors

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"slices"

	"caldera/gpt/checkpoint/tensorfile"
	"caldera/internal/atomicfile"
)

// Write writes tensors and metadata (which may be nil) to a safetensors file at
// path. A reader of path sees the old file or the whole new one: see
// [atomicfile.Write]. It calls data for each tensor, to write the elements to w, and
// does not use the field Data.
//
// The tensors with the largest elements come first and the header is padded to a
// multiple of 8 bytes, so that every tensor of the file is aligned. Tensors with
// elements of one size are in the order of their names.
func Write(path string, tensors []Tensor, metadata map[string]string, data func(w io.Writer, t Tensor) error) error {
	return atomicfile.Write(path, func(w io.Writer) error { return encode(w, path, tensors, metadata, data) })
}

// encode writes a safetensors file to w; path stands for it in errors.
func encode(w io.Writer, path string, tensors []Tensor, metadata map[string]string, data func(w io.Writer, t Tensor) error) error {
	tensors = slices.Clone(tensors)
	slices.SortFunc(tensors, func(a, b Tensor) int {
		return cmp.Or(cmp.Compare(b.DType.Bits(), a.DType.Bits()), cmp.Compare(a.Name, b.Name))
	})
	header, err := headerFor(path, tensors, metadata)
	if err != nil {
		return err
	}
	if _, err := w.Write(header); err != nil {
		return err
	}
	for _, t := range tensors {
		size, err := byteSize(t.DType, t.Shape)
		if err != nil {
			return err
		}
		counted := &tensorfile.Counter{W: w}
		if err := data(counted, t); err != nil {
			return err
		}
		if counted.N != size {
			return &FormatError{File: path, Tensor: t.Name, Problem: fmt.Sprintf("found %d bytes, expected %d for %s %v", counted.N, size, t.DType, t.Shape)}
		}
	}
	return nil
}

// headerFor makes the length and the header of a file that holds tensors in that
// order. It enforces the rules that the reader enforces.
func headerFor(path string, tensors []Tensor, metadata map[string]string) ([]byte, error) {
	type entry struct {
		DType   DType  `json:"dtype"`
		Shape   []int  `json:"shape"`
		Offsets [2]int `json:"data_offsets"`
	}
	if len(tensors) > maxTensors {
		return nil, &FormatError{File: path, Problem: "too many tensors", Found: fmt.Sprint(len(tensors)), Expected: fmt.Sprintf("at most %d", maxTensors)}
	}
	header := make(map[string]any, len(tensors)+1)
	if len(metadata) > 0 {
		header[metadataKey] = metadata
	}
	end := 0
	for _, t := range tensors {
		bad := func(problem string) error {
			return &FormatError{File: path, Tensor: t.Name, Problem: problem}
		}
		if err := checkName(t.Name); err != nil {
			return nil, bad(err.Error())
		}
		if _, twice := header[t.Name]; twice || t.Name == metadataKey {
			return nil, bad("name taken")
		}
		if t.DType.Bits() == 0 {
			return nil, bad(fmt.Sprintf("unknown dtype: found %q, expected %s", t.DType, known()))
		}
		if len(t.Shape) > maxRank {
			return nil, bad(fmt.Sprintf("found %d dimensions, expected at most %d", len(t.Shape), maxRank))
		}
		size, err := byteSize(t.DType, t.Shape)
		if err != nil {
			return nil, bad("bad shape: found " + err.Error())
		}
		// append, so that a scalar's shape is written [] and not null
		header[t.Name] = entry{t.DType, append([]int{}, t.Shape...), [2]int{end, end + size}}
		end += size
	}
	text, err := json.Marshal(header) // which sorts the keys, so equal tensors make equal files
	if err != nil {
		return nil, err
	}
	text = append(text, bytes.Repeat([]byte{' '}, (8-len(text)%8)%8)...)
	if len(text) > maxHeader {
		return nil, &FormatError{File: path, Problem: "header too long", Found: fmt.Sprintf("%d bytes", len(text)), Expected: fmt.Sprintf("at most %d", maxHeader)}
	}
	return append(binary.LittleEndian.AppendUint64(nil, uint64(len(text))), text...), nil
}
