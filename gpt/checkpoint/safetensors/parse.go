package safetensors

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"caldera/gpt/checkpoint/tensorfile"
	"caldera/internal/strictjson"
)

// Limits on what a header may hold. The first is the format's own. The others are
// far above any published checkpoint: they limit the memory that a hostile file
// can take.
const (
	maxHeader  = 100_000_000 // bytes
	maxTensors = 1 << 20     // in one file
	maxName    = 1024        // bytes
	maxRank    = 64          // dimensions of one tensor
)

// headerDepth is the nesting of {"name": {"shape": [2, 3], …}, …}.
const headerDepth = 3

// metadataKey is the one key of a header that names no tensor.
const metadataKey = "__metadata__"

// parse reads a whole file and returns its tensors in the order of their data.
func parse(data []byte, file string) ([]Tensor, map[string]string, error) {
	header, err := headerOf(data, file)
	if err != nil {
		return nil, nil, err
	}
	body := data[8+len(header):]
	var tensors []Tensor
	metadata := map[string]string{}
	err = strictjson.Object(header, headerDepth, func(name string, value json.RawMessage) error {
		if name == metadataKey {
			return parseMetadata(value, file, metadata)
		}
		if len(tensors) == maxTensors {
			return &FormatError{File: file, Problem: "too many tensors", Found: "more than " + strconv.Itoa(maxTensors)}
		}
		t, err := parseTensor(name, value, file, body)
		t.Offset += int64(8 + len(header))
		tensors = append(tensors, t)
		return err
	})
	if err != nil {
		return nil, nil, damaged(err, file, "the header is damaged")
	}
	return tensors, metadata, covers(tensors, file, 8+len(header), len(data))
}

// damaged is err as a *FormatError that says what the problem is.
func damaged(err error, file, problem string) error {
	if _, ok := err.(*FormatError); ok {
		return err
	}
	return &FormatError{File: file, Problem: problem + ": " + err.Error()}
}

// headerOf finds the header's JSON text within a file.
func headerOf(data []byte, file string) ([]byte, error) {
	if bytes.HasPrefix(data, []byte(tensorfile.LFSPointer)) {
		return nil, &FormatError{File: file, Problem: "this is a Git LFS pointer, which stands for the weights: run git lfs pull to fetch them"}
	}
	if len(data) < 8 {
		return nil, &FormatError{File: file, Problem: "file too short", Found: fmt.Sprintf("%d bytes", len(data)),
			Expected: "at least 8, which hold the header's length"}
	}
	n := binary.LittleEndian.Uint64(data)
	if n > maxHeader {
		return nil, &FormatError{File: file, Problem: "header too long; this may be no safetensors file",
			Found: fmt.Sprintf("a length of %d bytes", n), Expected: fmt.Sprintf("at most %d", maxHeader)}
	}
	if n > uint64(len(data)-8) {
		return nil, &FormatError{File: file, Problem: "the header reaches beyond the end of the file; the file may be truncated",
			Found: fmt.Sprintf("a header of %d bytes in a file of %d", n, len(data)), Expected: fmt.Sprintf("at most %d", len(data)-8)}
	}
	header := data[8 : 8+int(n)]
	if len(header) == 0 || header[0] != '{' {
		return nil, &FormatError{File: file, Problem: "the header is no JSON object; this may be no safetensors file",
			Found: fmt.Sprintf("%q", header[:min(len(header), 8)]), Expected: `"{" as its first byte`}
	}
	return header, nil
}

func parseMetadata(value []byte, file string, metadata map[string]string) error {
	const problem = "bad " + metadataKey
	err := strictjson.Object(value, headerDepth-1, func(key string, value json.RawMessage) error {
		var s *string // a pointer, because null would leave a string empty
		if json.Unmarshal(value, &s) != nil || s == nil {
			key := strictjson.Shorten(key)
			return &FormatError{File: file, Problem: fmt.Sprintf("%s: value of %q is no string", problem, key), Found: fmt.Sprintf("%q: %s", key, strictjson.Text(value))}
		}
		metadata[key] = *s
		return nil
	})
	if err != nil {
		return damaged(err, file, problem)
	}
	return nil
}

// entryFields are the fields of a tensor's entry, none of which may be missing.
var entryFields = []string{"dtype", "shape", "data_offsets"}

// parseTensor reads one tensor's entry. Offset in the result counts from the start of body.
func parseTensor(name string, entry []byte, file string, body []byte) (Tensor, error) {
	t := Tensor{Name: name, File: file}
	bad := func(problem, found, expected string) error {
		return &FormatError{File: file, Tensor: strictjson.Shorten(name), Problem: problem, Found: found, Expected: expected}
	}
	if err := checkName(name); err != nil {
		return t, bad(err.Error(), "", "")
	}

	fields := map[string]json.RawMessage{}
	err := strictjson.Object(entry, headerDepth-1, func(key string, value json.RawMessage) error {
		if !slices.Contains(entryFields, key) {
			return fmt.Errorf("unknown field %q", strictjson.Shorten(key))
		}
		fields[key] = value
		return nil
	})
	if err != nil {
		return t, bad("bad entry in the header: "+err.Error(), "", "")
	}
	for _, key := range entryFields {
		if fields[key] == nil {
			return t, bad("incomplete entry in the header: no "+key, "", "")
		}
	}

	if json.Unmarshal(fields["dtype"], &t.DType) != nil || t.DType.Bits() == 0 {
		return t, bad("unknown dtype", strictjson.Text(fields["dtype"]), known())
	}
	if t.Shape, err = integers(fields["shape"], maxRank); err != nil {
		return t, bad("bad shape", err.Error(), "")
	}
	size, err := byteSize(t.DType, t.Shape)
	if err != nil {
		return t, bad("bad shape", err.Error(), "")
	}
	offsets, err := integers(fields["data_offsets"], 2)
	if err == nil && len(offsets) != 2 {
		err = fmt.Errorf("%d numbers, expected 2, begin and end", len(offsets))
	}
	if err != nil {
		return t, bad("bad data_offsets", err.Error(), "")
	}
	begin, end := offsets[0], offsets[1]
	switch {
	case end < begin:
		return t, bad("reversed data_offsets", fmt.Sprintf("%d to %d", begin, end), "begin before end")
	case end > len(body):
		return t, bad("data_offsets reach beyond the end of the file; the file may be truncated",
			fmt.Sprintf("%d to %d", begin, end), fmt.Sprintf("at most %d, which is all that follows the header", len(body)))
	case end-begin != size:
		return t, bad("data_offsets do not fit dtype and shape", fmt.Sprintf("%d bytes", end-begin),
			fmt.Sprintf("%d for %s %v", size, t.DType, t.Shape))
	}
	t.Data = body[begin:end:end]
	t.Offset = int64(begin)
	return t, nil
}

// checkName refuses names that no writer makes and that could mislead a reader.
func checkName(name string) error {
	switch {
	case len(name) > maxName:
		return fmt.Errorf("name too long: found %d bytes, expected at most %d", len(name), maxName)
	case strings.ContainsRune(name, 0):
		return errors.New("name holds a zero byte")
	case !utf8.ValidString(name):
		return errors.New("name is not UTF-8")
	}
	return nil
}

// integers reads a JSON array of at most limit numbers that are plain integers,
// zero or more. Its errors say what was found and what was expected.
func integers(array []byte, limit int) ([]int, error) {
	if array[0] != '[' {
		return nil, fmt.Errorf("%s, expected an array of integers", strictjson.Text(array))
	}
	// Counting commas finds an array that is too long before it takes memory.
	if n := bytes.Count(array, []byte{','}) + 1; n > limit {
		return nil, fmt.Errorf("%d numbers, expected at most %d", n, limit)
	}
	var items []json.RawMessage // and no numbers: a float64 would round them
	if err := json.Unmarshal(array, &items); err != nil {
		return nil, err
	}
	ints := make([]int, len(items))
	for i, item := range items {
		n, err := strconv.ParseUint(string(item), 10, strconv.IntSize-1)
		if err != nil {
			return nil, fmt.Errorf("%s, expected integers from 0 to %d", strictjson.Text(item), math.MaxInt)
		}
		ints[i] = int(n)
	}
	return ints, nil
}

// byteSize is the number of bytes of a tensor. The product of its dimensions must
// not overflow even where dimensions of 0 are left out, so that no stride overflows.
func byteSize(d DType, shape []int) (int, error) {
	product := d.Bits()
	for _, n := range shape {
		if n < 0 {
			return 0, fmt.Errorf("dimension %d in %v, expected 0 or more", n, shape)
		}
		if n > 0 && product > math.MaxInt/n {
			return 0, fmt.Errorf("%v, expected a size that fits %d bits", shape, strconv.IntSize)
		}
		product *= max(n, 1)
	}
	if slices.Contains(shape, 0) {
		return 0, nil
	}
	if product%8 != 0 {
		return 0, fmt.Errorf("%v of %s, which is %d bits, expected whole bytes", shape, d, product)
	}
	return product / 8, nil
}

// covers sorts the tensors by their offset. It checks that their data fill the file
// from byte start, the end of the header, to its end, without overlap or gap.
func covers(tensors []Tensor, file string, start, size int) error {
	slices.SortFunc(tensors, func(a, b Tensor) int {
		return cmp.Or(cmp.Compare(a.Offset, b.Offset), cmp.Compare(len(a.Data), len(b.Data)), strings.Compare(a.Name, b.Name))
	})
	at, before := int64(start), "the header"
	for _, t := range tensors {
		if t.Offset != at {
			problem := "its data overlap with those of " + before
			if t.Offset > at {
				problem = "its data follow a hole behind " + before
			}
			return &FormatError{File: file, Tensor: t.Name, Problem: problem,
				Found: fmt.Sprintf("a begin at byte %d of the file", t.Offset), Expected: fmt.Sprintf("byte %d", at)}
		}
		at += int64(len(t.Data))
		before = fmt.Sprintf("tensor %q", t.Name)
	}
	if at != int64(size) {
		return &FormatError{File: file, Problem: "bytes behind the data of " + before + " belong to no tensor",
			Found: fmt.Sprintf("a file of %d bytes", size), Expected: fmt.Sprintf("%d", at)}
	}
	return nil
}
