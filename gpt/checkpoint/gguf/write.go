package gguf

import (
	"encoding/binary"
	"fmt"
	"io"
	"slices"
	"strconv"

	"caldera/gpt/checkpoint/tensorfile"
	"caldera/internal/atomicfile"
)

// KeyValue is one entry of the metadata.
type KeyValue struct {
	Key   string
	Value Value
}

// Write writes a GGUF file of version 3, with the default alignment, at path. It
// has metadata and tensors in that order. Write calls data for each tensor, to
// write its elements row-major to w; the field Data is not used. A reader of path
// sees the old file or the whole new one: see [atomicfile.Write].
//
// It is an error if a key or a name is not allowed or is used twice, or if data
// writes another number of bytes than type and shape ask for.
func Write(path string, metadata []KeyValue, tensors []Tensor, data func(w io.Writer, t Tensor) error) error {
	return atomicfile.Write(path, func(w io.Writer) error { return encode(w, path, metadata, tensors, data) })
}

// encode writes a GGUF file to w; path stands for it in errors.
func encode(w io.Writer, path string, metadata []KeyValue, tensors []Tensor, data func(w io.Writer, t Tensor) error) error {
	head, err := headFor(path, metadata, tensors)
	if err != nil {
		return err
	}
	out := &tensorfile.Counter{W: w}
	if _, err := out.Write(head); err != nil {
		return err
	}
	for _, t := range tensors {
		if err := writePad(out); err != nil {
			return err
		}
		start := out.N
		if err := data(out, t); err != nil {
			return err
		}
		if size, _ := byteSize(t); out.N-start != size {
			return &FormatError{File: path, Problem: fmt.Sprintf("tensor %q", t.Name),
				Found: fmt.Sprintf("%d bytes", out.N-start), Expected: fmt.Sprintf("%d for %v %v", size, t.Type, t.Shape)}
		}
	}
	return writePad(out)
}

// writePad writes zeros up to the next multiple of the alignment.
func writePad(w *tensorfile.Counter) error {
	_, err := w.Write(make([]byte, pad(w.N, defaultAlignment)-w.N))
	return err
}

// headFor makes all that comes before the data. It enforces the rules that the
// reader enforces.
func headFor(path string, metadata []KeyValue, tensors []Tensor) ([]byte, error) {
	fail := func(problem, found, expected string) ([]byte, error) {
		return nil, &FormatError{File: path, Problem: problem, Found: found, Expected: expected}
	}
	switch {
	case len(tensors) > maxTensors:
		return fail("too many tensors", strconv.Itoa(len(tensors)), fmt.Sprintf("at most %d", maxTensors))
	case len(metadata) > maxKeys:
		return fail("too many keys", strconv.Itoa(len(metadata)), fmt.Sprintf("at most %d", maxKeys))
	}
	p := binary.LittleEndian.AppendUint32([]byte(magic), newest)
	p = binary.LittleEndian.AppendUint64(p, uint64(len(tensors)))
	p = binary.LittleEndian.AppendUint64(p, uint64(len(metadata)))
	keys := map[string]bool{alignmentKey: true} // the default alignment needs no entry
	for _, kv := range metadata {
		if err := checkKey(kv.Key); err != nil {
			return fail(err.Error(), "", "")
		}
		switch {
		case keys[kv.Key]:
			return fail(fmt.Sprintf("key %q: name taken", kv.Key), "", "")
		case len(kv.Value.raw) == 0:
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
		size, err := byteSize(t)
		switch nameErr := checkName(t.Name); {
		case nameErr != nil:
			return fail(what+": "+nameErr.Error(), "", "")
		case names[t.Name]:
			return fail(what+": name taken", "", "")
		case len(t.Shape) > maxRank:
			return fail(what+": too many dimensions", strconv.Itoa(len(t.Shape)), fmt.Sprintf("at most %d", maxRank))
		case err != nil:
			return fail(what+": "+err.Error(), "", "")
		}
		names[t.Name] = true
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
