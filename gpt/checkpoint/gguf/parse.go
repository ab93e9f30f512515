package gguf

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/bits"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"caldera/gpt/checkpoint/tensorfile"
	"caldera/internal/strictjson"
)

// MaxKey is the length of the longest key that is read, in bytes.
const MaxKey = 1<<16 - 1

const (
	magic       = "GGUF"
	newest      = 3 // the version that is written, and the newest that is read
	oldest      = 2 // version 1 had counts of 32 bits
	headerBytes = 4 + 4 + 8 + 8

	alignmentKey     = "general.alignment"
	defaultAlignment = 32
)

// Limits on what a file may hold. Those of names, dimensions and keys are ggml's
// or the format's own. The others are far above any published model: they limit
// the memory that a hostile file can take.
const (
	maxTensors   = 1 << 20
	maxKeys      = 1 << 16
	maxName      = 63 // bytes; ggml has 64, with a zero at the end
	maxRank      = 4  // dimensions of a tensor
	maxDepth     = 8  // arrays within arrays
	maxAlignment = 1 << 20
)

// The fewest bytes that a file has for each. A count that the rest of the file
// has no room for is refused before memory is allocated for it.
const (
	minKey    = 8 + 1 + 4 + 1     // a key of one byte, the type, a value of one byte
	minTensor = 8 + 1 + 4 + 4 + 8 // a name of one byte, rank 0, type, offset
)

// Parse reads a GGUF file that is in memory. Tensors and values are views of
// data, which must not change while they are used. Errors call the file name;
// they are of type *FormatError.
func Parse(data []byte, name string) (*File, error) {
	r := &reader{data: data, file: name}
	version, tensors, keys := r.header()
	if r.err != nil {
		return nil, r.err
	}
	f := &File{Version: version, byName: make(map[string]int, tensors), metadata: make(map[string]Value, keys)}
	for i := 0; i < keys && r.err == nil; i++ {
		r.keyValue(f.metadata)
	}
	alignment := r.alignment(f.metadata)
	for i := 0; i < tensors && r.err == nil; i++ {
		r.tensor(f)
	}
	if r.err == nil {
		r.place(f.tensors, alignment)
	}
	return f, r.err
}

// reader reads the head of a file from its start to its end. After the first
// error it reads only zeros and empty values, so that a caller may read several
// things before it looks at err.
type reader struct {
	data []byte
	at   int // offset in data of what is read next
	file string
	err  error // the first one
}

// fail sets err, unless there was an error before.
func (r *reader) fail(problem, found, expected string) {
	if r.err == nil {
		r.err = &FormatError{File: r.file, Problem: problem, Found: found, Expected: expected}
	}
}

// next returns the next n bytes, or nil if there are fewer. Errors call them what.
func (r *reader) next(n int, what string) []byte {
	if rest := len(r.data) - r.at; n > rest {
		r.fail(fmt.Sprintf("%s reaches beyond the end of the file; the file may be truncated", what),
			fmt.Sprintf("%d bytes at offset %d of a file of %d", n, r.at, len(r.data)), "")
	}
	if r.err != nil {
		return nil
	}
	p := r.data[r.at : r.at+n : r.at+n]
	r.at += n
	return p
}

func (r *reader) uint32(what string) uint32 {
	if p := r.next(4, what); p != nil {
		return binary.LittleEndian.Uint32(p)
	}
	return 0
}

func (r *reader) uint64(what string) uint64 {
	if p := r.next(8, what); p != nil {
		return binary.LittleEndian.Uint64(p)
	}
	return 0
}

// length reads a count of things that take at least size bytes each in the rest
// of the file.
func (r *reader) length(size int, what string) int {
	n := r.uint64(what)
	if most := uint64(len(r.data)-r.at) / uint64(size); n > most {
		r.fail(what+" reaches beyond the end of the file; the file may be truncated or damaged",
			fmt.Sprintf("a count of %d", n), fmt.Sprintf("at most %d in the %d bytes that follow", most, len(r.data)-r.at))
		return 0
	}
	return int(n)
}

func (r *reader) text(what string) string { return string(r.next(r.length(1, what), what)) }

// header reads what comes before the metadata: the version and two counts.
func (r *reader) header() (version, tensors, keys int) {
	start := r.data[:min(len(r.data), 4)]
	switch {
	case bytes.HasPrefix(r.data, []byte(tensorfile.LFSPointer)):
		r.fail("this is a Git LFS pointer, which stands for the model: run git lfs pull to fetch it", "", "")
	case string(start) != magic[:len(start)]:
		r.fail("this is no GGUF file", strconv.Quote(string(start)), strconv.Quote(magic)+" as its first bytes")
	case len(r.data) < headerBytes:
		r.fail("file too short; it may be truncated", fmt.Sprintf("%d bytes", len(r.data)), fmt.Sprintf("at least %d", headerBytes))
	}
	r.at = len(magic)
	n := r.uint32("the version")
	expected := fmt.Sprintf("%d or %d", oldest, newest)
	switch found := fmt.Sprintf("version %d", n); {
	case n&0xffff == 0 && n != 0:
		r.fail("the file is big-endian: convert the model to a little-endian file",
			fmt.Sprintf("version %d with its bytes reversed", bits.ReverseBytes32(n)), "")
	case n > newest:
		r.fail("the file is of a newer format than this program reads: take a newer program, or an older file", found, expected)
	case n < oldest:
		r.fail("the file is of an older format than is read: convert the model again", found, expected)
	}
	return int(n), r.count(minTensor, maxTensors, "tensors"), r.count(minKey, maxKeys, "keys")
}

func (r *reader) count(size, limit int, what string) int {
	n := r.length(size, "the list of "+what)
	if n > limit {
		r.fail("too many "+what, strconv.Itoa(n), fmt.Sprintf("at most %d", limit))
	}
	return n
}

// keyValue reads one entry of the metadata.
func (r *reader) keyValue(metadata map[string]Value) {
	key := r.text("a key of the metadata")
	if err := checkKey(key); err != nil {
		r.fail(err.Error(), "", "")
	}
	shown := strconv.Quote(strictjson.Shorten(key))
	if _, twice := metadata[key]; twice {
		r.fail(fmt.Sprintf("key %s is listed twice", shown), "", "")
	}
	what := "the value of key " + shown
	t, start := ValueType(r.uint32(what)), r.at
	if t.size() == 0 {
		r.fail(what+" is of an unknown type", t.String(), "0 to 12")
	}
	r.skip(t, 1, 0, what)
	metadata[key] = Value{t, r.data[start:r.at:r.at]}
}

func checkKey(key string) error {
	shown := strconv.Quote(strictjson.Shorten(key))
	switch {
	case key == "":
		return errors.New("a key of the metadata is empty")
	case len(key) > MaxKey:
		return fmt.Errorf("key %s is too long: found %d bytes, expected at most %d", shown, len(key), MaxKey)
	case !utf8.ValidString(key), strings.ContainsRune(key, 0):
		return fmt.Errorf("key %s is not plain UTF-8", shown)
	}
	return nil
}

// skip reads over n values of type t and checks them. They are within as many
// arrays as depth says.
func (r *reader) skip(t ValueType, n, depth int, what string) {
	switch t {
	case String:
		for range n {
			r.next(r.length(1, what), what)
		}
	case Array:
		for range n {
			r.skipArray(depth, what)
		}
	case Bool:
		p := r.next(n, what)
		if i := slices.IndexFunc(p, func(b byte) bool { return b > 1 }); i >= 0 {
			r.fail(what+" is no bool", strconv.Itoa(int(p[i])), "0 or 1")
		}
	default:
		r.next(n*t.size(), what)
	}
}

func (r *reader) skipArray(depth int, what string) {
	if depth == maxDepth {
		r.fail(fmt.Sprintf("%s has arrays within arrays deeper than %d", what, maxDepth), "", "")
		return
	}
	t := ValueType(r.uint32(what))
	if t.size() == 0 {
		r.fail(what+" is an array of an unknown type", t.String(), "0 to 12")
		return
	}
	r.skip(t, r.length(t.size(), what), depth+1, what)
}

// alignment is the file's own, or the default where it names none.
func (r *reader) alignment(metadata map[string]Value) int {
	v, found := metadata[alignmentKey]
	if !found {
		return defaultAlignment
	}
	n, ok := v.Int()
	if !ok || v.Type != Uint32 || n < 1 || n > maxAlignment || n&(n-1) != 0 {
		r.fail(alignmentKey+" is out of range", v.describe(), fmt.Sprintf("a power of two up to %d, as a uint32", maxAlignment))
	}
	return int(n)
}

// tensor reads what the head says of one tensor, and adds it to f. Its Offset
// counts from the start of the data until place has found its Data.
func (r *reader) tensor(f *File) {
	t := Tensor{File: r.file, Name: r.text("the name of a tensor")}
	what := "tensor " + strconv.Quote(strictjson.Shorten(t.Name))
	if err := checkName(t.Name); err != nil {
		r.fail(what+": "+err.Error(), "", "")
	}
	if _, twice := f.byName[t.Name]; twice {
		r.fail(what+" is listed twice", "", "")
	}
	rank := r.uint32(what)
	if rank > maxRank {
		r.fail(what+": too many dimensions", strconv.Itoa(int(rank)), fmt.Sprintf("at most %d", maxRank))
	}
	t.Shape = make([]int, min(rank, maxRank))
	for axis := range slices.Backward(t.Shape) { // the file has the innermost dimension first
		t.Shape[axis] = r.integer(what, "dimension")
	}
	t.Type = Type(r.uint32(what))
	t.Offset = int64(r.integer(what, "offset"))
	if _, err := byteSize(t); err != nil {
		r.fail(what+": "+err.Error(), "", "")
	}
	f.byName[t.Name] = len(f.tensors)
	f.tensors = append(f.tensors, t)
}

// integer reads a number of a tensor that an int must hold.
func (r *reader) integer(what, of string) int {
	n := r.uint64(what)
	if n > math.MaxInt {
		r.fail(fmt.Sprintf("%s: bad %s", what, of), strconv.FormatUint(n, 10), fmt.Sprintf("at most %d", math.MaxInt))
		return 0
	}
	return int(n)
}

func checkName(name string) error {
	switch {
	case name == "":
		return errors.New("the name is empty")
	case len(name) > maxName:
		return fmt.Errorf("name too long: found %d bytes, expected at most %d", len(name), maxName)
	case !utf8.ValidString(name), strings.ContainsRune(name, 0):
		return errors.New("the name is not plain UTF-8")
	}
	return nil
}

// byteSize is the number of bytes of a tensor. The product of its dimensions must
// not overflow even where dimensions of 0 are left out, so that no stride overflows.
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
	product := size
	for axis, n := range t.Shape {
		if axis == len(t.Shape)-1 {
			n /= block
		}
		if n < 0 || n > 0 && product > math.MaxInt/n/block {
			return 0, fmt.Errorf("bad shape: found %v, expected a size that fits %d bits", t.Shape, strconv.IntSize)
		}
		product *= max(n, 1)
	}
	if slices.Contains(t.Shape, 0) {
		return 0, nil
	}
	return product, nil
}

// place sets the Data of the tensors, and their Offset in the file. The format
// wants each tensor at the first multiple of the alignment after the one before.
func (r *reader) place(tensors []Tensor, alignment int) {
	start := pad(r.at, alignment)
	at := start
	for i := range tensors {
		t := &tensors[i]
		size, _ := byteSize(*t)
		what := "tensor " + strconv.Quote(t.Name)
		if t.Offset != int64(at-start) {
			r.fail(what+": its data do not begin where those of the tensor before end", fmt.Sprintf("offset %d", t.Offset), strconv.Itoa(at-start))
			return
		}
		if rest := len(r.data) - at; size > rest {
			r.fail(what+": its data reach beyond the end of the file; the file may be truncated",
				fmt.Sprintf("%d bytes", size), fmt.Sprintf("at most %d", max(0, rest)))
			return
		}
		t.Offset, t.Data = int64(at), r.data[at:at+size:at+size]
		at = pad(at+size, alignment)
	}
}

// pad is the first multiple of alignment that is at least n.
func pad(n, alignment int) int { return (n + alignment - 1) / alignment * alignment }
