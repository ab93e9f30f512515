package gguf

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"math/bits"
	"strconv"
	"strings"
	"unicode/utf8"

	"caldera/internal/strictjson"
)

const (
	magic       = "GGUF"
	version     = 3 // what is written, and the newest that is read
	oldest      = 2 // version 1 had counts of 32 bits
	headerBytes = 4 + 4 + 8 + 8

	alignmentKey     = "general.alignment"
	defaultAlignment = 32
)

// Limits on what a file may hold. Those of names, dimensions and keys are ggml's
// or the format's own; the others are far above any published model, and bound
// what a hostile file costs.
const (
	maxTensors   = 1 << 20
	maxKeys      = 1 << 16
	maxKey       = 1<<16 - 1 // bytes
	maxName      = 63        // bytes; ggml has 64, with a zero at the end
	maxRank      = 4         // dimensions of a tensor
	maxDepth     = 8         // arrays within arrays
	maxAlignment = 1 << 20
)

// The least that the file spends on each: what it says of their number is held
// to that before any is read.
const (
	minKey    = 8 + 1 + 4 + 1     // a key of one byte, the type, a value of one byte
	minTensor = 8 + 1 + 4 + 4 + 8 // a name of one byte, rank 0, type, offset
)

// Parse reads a GGUF file that is in memory. Tensors and values are views of
// data, which must not change while they are used. name stands for the file in
// errors.
func Parse(data []byte, name string) (*File, error) {
	r := &reader{data: data, file: name}
	version, tensors, keys, err := r.header()
	if err != nil {
		return nil, err
	}
	f := &File{Version: version, metadata: make(map[string]Value, keys)}
	for range keys {
		if err := r.keyValue(f.metadata); err != nil {
			return nil, err
		}
	}
	alignment, err := r.alignment(f.metadata)
	if err != nil {
		return nil, err
	}
	f.byName = make(map[string]int, tensors)
	f.tensors = make([]Tensor, 0, tensors)
	for range tensors {
		t, err := r.tensor()
		if err != nil {
			return nil, err
		}
		if _, twice := f.byName[t.Name]; twice {
			return nil, r.fail("tensor "+strconv.Quote(t.Name)+" is listed twice", "", "")
		}
		f.byName[t.Name] = len(f.tensors)
		f.tensors = append(f.tensors, t)
	}
	return f, r.place(f.tensors, alignment)
}

// reader reads the head of a file, which comes in one run.
type reader struct {
	data []byte
	at   int
	file string
}

func (r *reader) fail(problem, found, expected string) error {
	return &FormatError{File: r.file, Problem: problem, Found: found, Expected: expected}
}

// next returns the next n bytes, which are what.
func (r *reader) next(n int, what string) ([]byte, error) {
	if rest := len(r.data) - r.at; n > rest {
		return nil, r.fail(fmt.Sprintf("%s reaches beyond the end of the file; the file may be truncated", what),
			fmt.Sprintf("%d bytes at offset %d of a file of %d", n, r.at, len(r.data)), "")
	}
	p := r.data[r.at : r.at+n : r.at+n]
	r.at += n
	return p, nil
}

func (r *reader) uint32(what string) (uint32, error) {
	p, err := r.next(4, what)
	if err != nil {
		return 0, err
	}
	return binary.LittleEndian.Uint32(p), nil
}

// length reads a count of things that take at least size bytes each in the rest
// of the file.
func (r *reader) length(size int, what string) (int, error) {
	p, err := r.next(8, what)
	if err != nil {
		return 0, err
	}
	n := binary.LittleEndian.Uint64(p)
	if most := uint64(len(r.data)-r.at) / uint64(size); n > most {
		return 0, r.fail(what+" reaches beyond the end of the file; the file may be truncated or damaged",
			fmt.Sprintf("a count of %d", n), fmt.Sprintf("at most %d in the %d bytes that follow", most, len(r.data)-r.at))
	}
	return int(n), nil
}

func (r *reader) text(what string) (string, error) {
	n, err := r.length(1, what)
	if err != nil {
		return "", err
	}
	p, err := r.next(n, what)
	return string(p), err
}

// header reads what comes before the metadata: the version and two counts.
func (r *reader) header() (v, tensors, keys int, err error) {
	if bytes.HasPrefix(r.data, []byte("version https://git-lfs")) {
		return 0, 0, 0, r.fail("this is a Git LFS pointer, which stands for the model: run git lfs pull to fetch it", "", "")
	}
	if start := r.data[:min(len(r.data), 4)]; string(start) != magic[:len(start)] {
		return 0, 0, 0, r.fail("this is no GGUF file", strconv.Quote(string(start)), strconv.Quote(magic)+" as its first bytes")
	}
	if len(r.data) < headerBytes {
		return 0, 0, 0, r.fail("file too short; it may be truncated", fmt.Sprintf("%d bytes", len(r.data)),
			fmt.Sprintf("at least %d", headerBytes))
	}
	r.at = len(magic)
	n, err := r.uint32("the version")
	if err != nil {
		return 0, 0, 0, err
	}
	expected := fmt.Sprintf("%d or %d", oldest, version)
	switch found := fmt.Sprintf("version %d", n); {
	case n&0xffff == 0 && n != 0:
		return 0, 0, 0, r.fail("the file is big-endian: convert the model to a little-endian file",
			fmt.Sprintf("version %d with its bytes reversed", bits.ReverseBytes32(n)), "")
	case n > version:
		return 0, 0, 0, r.fail("the file is of a newer format than this program reads: take a newer program, or an older file", found, expected)
	case n < oldest:
		return 0, 0, 0, r.fail("the file is of an older format than is read: convert the model again", found, expected)
	}
	if tensors, err = r.count(minTensor, maxTensors, "tensors"); err != nil {
		return 0, 0, 0, err
	}
	if keys, err = r.count(minKey, maxKeys, "keys"); err != nil {
		return 0, 0, 0, err
	}
	return int(n), tensors, keys, nil
}

func (r *reader) count(size, limit int, what string) (int, error) {
	n, err := r.length(size, "the list of "+what)
	if err == nil && n > limit {
		err = r.fail("too many "+what, strconv.Itoa(n), fmt.Sprintf("at most %d", limit))
	}
	return n, err
}

// keyValue reads one entry of the metadata.
func (r *reader) keyValue(metadata map[string]Value) error {
	key, err := r.text("a key of the metadata")
	if err != nil {
		return err
	}
	if err := checkKey(key); err != nil {
		return r.fail(err.Error(), "", "")
	}
	if _, twice := metadata[key]; twice {
		return r.fail(fmt.Sprintf("key %q is listed twice", strictjson.Shorten(key)), "", "")
	}
	what := fmt.Sprintf("the value of key %q", strictjson.Shorten(key))
	n, err := r.uint32(what)
	if err != nil {
		return err
	}
	t, start := ValueType(n), r.at
	if err := r.skip(t, 0, what); err != nil {
		return err
	}
	metadata[key] = Value{t, r.data[start:r.at:r.at]}
	return nil
}

func checkKey(key string) error {
	shown := strconv.Quote(strictjson.Shorten(key))
	switch {
	case key == "":
		return fmt.Errorf("a key of the metadata is empty")
	case len(key) > maxKey:
		return fmt.Errorf("key %s is too long: found %d bytes, expected at most %d", shown, len(key), maxKey)
	case !utf8.ValidString(key), strings.ContainsRune(key, 0):
		return fmt.Errorf("key %s is not plain UTF-8", shown)
	}
	return nil
}

// skip reads over a value of type t, at that depth of arrays, and checks it.
func (r *reader) skip(t ValueType, depth int, what string) error {
	switch t {
	case String:
		n, err := r.length(1, what)
		if err == nil {
			_, err = r.next(n, what)
		}
		return err
	case Array:
		return r.skipArray(depth, what)
	case Bool:
		return r.bools(1, what)
	}
	if t.size() == 0 {
		return r.fail(what+" is of an unknown type", t.String(), "0 to 12")
	}
	_, err := r.next(t.size(), what)
	return err
}

func (r *reader) skipArray(depth int, what string) error {
	if depth == maxDepth {
		return r.fail(fmt.Sprintf("%s has arrays within arrays deeper than %d", what, maxDepth), "", "")
	}
	e, err := r.uint32(what)
	if err != nil {
		return err
	}
	t, least := ValueType(e), 0
	switch {
	case t == String:
		least = 8
	case t == Array:
		least = 12
	default:
		if least = t.size(); least == 0 {
			return r.fail(what+" is an array of an unknown type", t.String(), "0 to 12")
		}
	}
	n, err := r.length(least, what)
	if err != nil {
		return err
	}
	switch t {
	case String, Array:
		for range n {
			if err := r.skip(t, depth+1, what); err != nil {
				return err
			}
		}
		return nil
	case Bool:
		return r.bools(n, what)
	}
	_, err = r.next(n*least, what)
	return err
}

func (r *reader) bools(n int, what string) error {
	p, err := r.next(n, what)
	for _, b := range p {
		if b > 1 {
			return r.fail(what+" is no bool", strconv.Itoa(int(b)), "0 or 1")
		}
	}
	return err
}

// alignment is the file's own, or else that which files without one have.
func (r *reader) alignment(metadata map[string]Value) (int, error) {
	v, ok := metadata[alignmentKey]
	if !ok {
		return defaultAlignment, nil
	}
	n, ok := v.Int()
	if !ok || v.Type != Uint32 || n < 1 || n > maxAlignment || n&(n-1) != 0 {
		found := v.Type.String()
		if ok {
			found += " " + strconv.FormatInt(n, 10)
		}
		return 0, r.fail(alignmentKey+" is out of range", found, fmt.Sprintf("a power of two up to %d, as a uint32", maxAlignment))
	}
	return int(n), nil
}

// tensor reads what the head says of one tensor. Offset counts from the start of
// the data, and Data has the tensor's length only.
func (r *reader) tensor() (t Tensor, err error) {
	t.File = r.file
	if t.Name, err = r.text("the name of a tensor"); err != nil {
		return t, err
	}
	what := "tensor " + strconv.Quote(strictjson.Shorten(t.Name))
	if err := checkName(t.Name); err != nil {
		return t, r.fail(what+": "+err.Error(), "", "")
	}
	rank, err := r.uint32(what)
	if err != nil {
		return t, err
	}
	if rank > maxRank {
		return t, r.fail(what+": too many dimensions", strconv.Itoa(int(rank)), fmt.Sprintf("at most %d", maxRank))
	}
	t.Shape = make([]int, rank)
	for i := range t.Shape {
		p, err := r.next(8, what)
		if err != nil {
			return t, err
		}
		n := binary.LittleEndian.Uint64(p)
		if n > math.MaxInt {
			return t, r.fail(what+": bad dimension", strconv.FormatUint(n, 10), fmt.Sprintf("at most %d", math.MaxInt))
		}
		t.Shape[int(rank)-1-i] = int(n)
	}
	n, err := r.uint32(what)
	if err != nil {
		return t, err
	}
	t.Type = Type(n)
	p, err := r.next(8, what)
	if err != nil {
		return t, err
	}
	offset := binary.LittleEndian.Uint64(p)
	if offset > math.MaxInt {
		return t, r.fail(what+": bad offset", strconv.FormatUint(offset, 10), fmt.Sprintf("at most %d", math.MaxInt))
	}
	t.Offset = int64(offset)
	if _, err := byteSize(t); err != nil {
		return t, r.fail(what+": "+err.Error(), "", "")
	}
	return t, nil
}

func checkName(name string) error {
	switch {
	case name == "":
		return fmt.Errorf("the name is empty")
	case len(name) > maxName:
		return fmt.Errorf("name too long: found %d bytes, expected at most %d", len(name), maxName)
	case !utf8.ValidString(name), strings.ContainsRune(name, 0):
		return fmt.Errorf("the name is not plain UTF-8")
	}
	return nil
}

// byteSize is the number of bytes of a tensor, whose product must not overflow
// even with dimensions of 0 left out, so that strides never do.
func byteSize(t Tensor) (int, error) {
	d := t.Type.DType()
	block, size := d.BlockLen(), d.BlockBytes()
	if size == 0 {
		return 0, fmt.Errorf("type not supported: found %v, expected %s", t.Type, known())
	}
	row := 1
	if len(t.Shape) > 0 {
		row = t.Shape[len(t.Shape)-1]
	}
	if row%block != 0 {
		return 0, fmt.Errorf("rows of %v are whole blocks: found %d elements in a row, expected a multiple of %d", t.Type, row, block)
	}
	product, empty := size, false
	for i, n := range t.Shape {
		if i == len(t.Shape)-1 {
			n /= block
		}
		if n == 0 {
			empty = true
			continue
		}
		if n < 0 || product > math.MaxInt/n/block {
			return 0, fmt.Errorf("bad shape: found %v, expected a size that fits %d bits", t.Shape, strconv.IntSize)
		}
		product *= n
	}
	if empty {
		return 0, nil
	}
	return product, nil
}

// place finds the tensors' bytes. They lie in the order of the list, each at the
// first multiple of the alignment behind the one before.
func (r *reader) place(tensors []Tensor, alignment int) error {
	start := pad(r.at, alignment)
	at := 0 // from start on
	for i := range tensors {
		t := &tensors[i]
		what := "tensor " + strconv.Quote(t.Name)
		size, _ := byteSize(*t)
		if t.Offset != int64(at) {
			return r.fail(what+": its data do not begin where those of the tensor before end", fmt.Sprintf("offset %d", t.Offset), strconv.Itoa(at))
		}
		if room := len(r.data) - start - at; size > room {
			return r.fail(what+": its data reach beyond the end of the file; the file may be truncated",
				fmt.Sprintf("%d bytes", size), fmt.Sprintf("at most %d", max(0, room)))
		}
		first := start + at
		t.Data = r.data[first : first+size : first+size]
		t.Offset = int64(first)
		at = pad(at+size, alignment)
	}
	return nil
}

// pad is the first multiple of alignment that is at least n.
func pad(n, alignment int) int { return (n + alignment - 1) / alignment * alignment }
