package gguf

import (
	"encoding/binary"
	"fmt"
	"io"
	"slices"
	"strconv"

	"caldera/internal/atomicfile"
)

// KeyValue is one entry of the metadata.
type KeyValue struct {
	Key   string
	Value Value
}

// Write writes a GGUF file, of version 3 and with the default alignment, at
// path: metadata and tensors in that order, whose data is made as it is written.
// data writes that of each tensor, row-major, in place of its field Data. A reader
// of path sees the old file or the whole new one, as [atomicfile.Write] makes sure.
func Write(path string, metadata []KeyValue, tensors []Tensor, data func(w io.Writer, t Tensor) error) error {
	return atomicfile.Write(path, func(w io.Writer) error { return encode(w, path, metadata, tensors, data) })
}

// encode writes a GGUF file to w; path stands for it in errors.
func encode(w io.Writer, path string, metadata []KeyValue, tensors []Tensor, data func(w io.Writer, t Tensor) error) error {
	head, err := headFor(path, metadata, tensors)
	if err != nil {
		return err
	}
	out := &counter{w: w}
	if _, err := out.Write(head); err != nil {
		return err
	}
	for _, t := range tensors {
		if err := out.pad(); err != nil {
			return err
		}
		start := out.n
		if err := data(out, t); err != nil {
			return err
		}
		if size, _ := byteSize(t); out.n-start != size {
			return &FormatError{File: path, Problem: fmt.Sprintf("tensor %q", t.Name),
				Found: fmt.Sprintf("%d bytes", out.n-start), Expected: fmt.Sprintf("%d for %v %v", size, t.Type, t.Shape)}
		}
	}
	return out.pad()
}

// counter counts what is written through it.
type counter struct {
	w io.Writer
	n int
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += n
	return n, err
}

// pad writes zeros up to the next multiple of the alignment.
func (c *counter) pad() error {
	_, err := c.Write(make([]byte, pad(c.n, defaultAlignment)-c.n))
	return err
}

// headFor makes all that comes before the data, and holds it to the rules that
// the reader enforces.
func headFor(path string, metadata []KeyValue, tensors []Tensor) ([]byte, error) {
	fail := func(problem, found, expected string) ([]byte, error) {
		return nil, &FormatError{File: path, Problem: problem, Found: found, Expected: expected}
	}
	if len(tensors) > maxTensors {
		return fail("too many tensors", strconv.Itoa(len(tensors)), fmt.Sprintf("at most %d", maxTensors))
	}
	if len(metadata) > maxKeys {
		return fail("too many keys", strconv.Itoa(len(metadata)), fmt.Sprintf("at most %d", maxKeys))
	}
	p := binary.LittleEndian.AppendUint32([]byte(magic), version)
	p = binary.LittleEndian.AppendUint64(p, uint64(len(tensors)))
	p = binary.LittleEndian.AppendUint64(p, uint64(len(metadata)))
	keys := map[string]bool{}
	for _, kv := range metadata {
		if err := checkKey(kv.Key); err != nil {
			return fail(err.Error(), "", "")
		}
		if keys[kv.Key] || kv.Key == alignmentKey {
			return fail(fmt.Sprintf("key %q: name taken", kv.Key), "", "")
		}
		if len(kv.Value.raw) == 0 {
			return fail(fmt.Sprintf("key %q has no value", kv.Key), "", "")
		}
		keys[kv.Key] = true
		p = appendText(p, kv.Key)
		p = binary.LittleEndian.AppendUint32(p, uint32(kv.Value.Type))
		p = append(p, kv.Value.raw...)
	}
	names := map[string]bool{}
	at := 0
	for _, t := range tensors {
		what := fmt.Sprintf("tensor %q", t.Name)
		if err := checkName(t.Name); err != nil {
			return fail(what+": "+err.Error(), "", "")
		}
		if names[t.Name] {
			return fail(what+": name taken", "", "")
		}
		names[t.Name] = true
		if len(t.Shape) > maxRank {
			return fail(what+": too many dimensions", strconv.Itoa(len(t.Shape)), fmt.Sprintf("at most %d", maxRank))
		}
		size, err := byteSize(t)
		if err != nil {
			return fail(what+": "+err.Error(), "", "")
		}
		p = appendText(p, t.Name)
		p = binary.LittleEndian.AppendUint32(p, uint32(len(t.Shape)))
		for _, n := range slices.Backward(t.Shape) {
			p = binary.LittleEndian.AppendUint64(p, uint64(n))
		}
		p = binary.LittleEndian.AppendUint32(p, uint32(t.Type))
		p = binary.LittleEndian.AppendUint64(p, uint64(at))
		at = pad(at+size, defaultAlignment)
	}
	return p, nil
}
