package gguf

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"testing"
)

// The tests spell files out in these, after the specification, so that they do
// not lean on the writer.

func u32(n uint32) string { return string(binary.LittleEndian.AppendUint32(nil, n)) }
func u64(n uint64) string { return string(binary.LittleEndian.AppendUint64(nil, n)) }
func str(s string) string { return u64(uint64(len(s))) + s }

// head is a file up to its metadata.
func head(version uint32, tensors, keys uint64) string {
	return "GGUF" + u32(version) + u64(tensors) + u64(keys)
}

// entry is what the head says of a tensor; dims has the innermost first.
func entry(name string, t Type, offset uint64, dims ...uint64) string {
	s := str(name) + u32(uint32(len(dims)))
	for _, n := range dims {
		s += u64(n)
	}
	return s + u32(uint32(t)) + u64(offset)
}

// data ends a head at a multiple of 32 and adds n bytes of data.
func data(head string, n int) []byte {
	b := append([]byte(head), make([]byte, -len(head)&31)...)
	for i := range n {
		b = append(b, byte(i))
	}
	return b
}

func one(entry string, n int) []byte { return data(head(3, 1, 0)+entry, n) }

func value(t ValueType, encoded string) []byte {
	return []byte(head(3, 0, 1) + str("key") + u32(uint32(t)) + encoded)
}

func alignment(t ValueType, encoded string) []byte {
	return []byte(head(3, 0, 1) + str("general.alignment") + u32(uint32(t)) + encoded)
}

var badFiles = []struct {
	name string
	data []byte
	want string // what the error must contain
}{
	{"empty", nil, "file too short; it may be truncated: found 0 bytes, expected at least 24"},
	{"magic alone", []byte("GGUF"), "file too short; it may be truncated: found 4 bytes"},
	{"truncated magic", []byte("GG"), "file too short"},
	{"safetensors", []byte("\x02\x00\x00\x00\x00\x00\x00\x00{}"), `this is no GGUF file: found "\x02\x00\x00\x00", expected "GGUF"`},
	{"PyTorch", []byte("PK\x03\x04 and so on, for longer than a header"), `this is no GGUF file: found "PK\x03\x04"`},
	{"GGML's old format", []byte("lmgg" + u32(1) + strings.Repeat("\x00", 40)), `this is no GGUF file: found "lmgg"`},
	{"Git LFS", []byte("version https://git-lfs.github.com/spec/v1\noid sha256:0\n"), "git lfs pull"},
	{"version 0", []byte(head(0, 0, 0)), "older format than is read: convert the model again: found version 0, expected 2 or 3"},
	{"version 1", []byte(head(1, 0, 0)), "older format than is read: convert the model again: found version 1, expected 2 or 3"},
	{"version 4", []byte(head(4, 0, 0)), "newer format than this program reads: take a newer program, or an older file: found version 4, expected 2 or 3"},
	{"version 2^32-1", []byte(head(math.MaxUint32, 0, 0)), "newer format than this program reads"},
	{"big-endian", []byte(head(3<<24, 0, 0)), "the file is big-endian: convert the model to a little-endian file: found version 3 with its bytes reversed"},

	{"too many tensors for the file", []byte(head(3, 9, 0)), "the list of tensors reaches beyond the end of the file; the file may be truncated or damaged: found a count of 9, expected at most 0"},
	{"2^64-1 tensors", []byte(head(3, math.MaxUint64, 0)), "found a count of 18446744073709551615"},
	{"2^64-1 keys", []byte(head(3, 0, math.MaxUint64)), "the list of keys reaches beyond the end of the file"},
	{"too many tensors", append([]byte(head(3, 1<<20+1, 0)), make([]byte, 30<<20)...), "too many tensors: found 1048577, expected at most 1048576"},
	{"too many keys", append([]byte(head(3, 0, 1<<16+1)), make([]byte, 1<<20)...), "too many keys: found 65537, expected at most 65536"},

	{"key beyond the end", []byte(head(3, 0, 1) + u64(100) + strings.Repeat("k", 99)), "a key of the metadata reaches beyond the end of the file"},
	{"key empty", []byte(head(3, 0, 1) + str("") + u32(0) + "\x01\x00"), "a key of the metadata is empty"},
	{"key too long", []byte(head(3, 0, 1) + str(strings.Repeat("k", 65536)) + u32(0) + "\x01"), "is too long: found 65536 bytes, expected at most 65535"},
	{"key not UTF-8", []byte(head(3, 0, 1) + str("\xff") + u32(0) + "\x01"), `key "\xff" is not plain UTF-8`},
	{"key with a zero", []byte(head(3, 0, 1) + str("a\x00") + u32(0) + "\x01"), "is not plain UTF-8"},
	{"key twice", []byte(head(3, 0, 2) + str("a") + u32(0) + "\x01" + str("a") + u32(0) + "\x02"), `key "a" is listed twice`},

	{"value missing", []byte(head(3, 0, 1) + str("key") + u32(4) + "\x00\x00\x00"), `the value of key "key" reaches beyond the end of the file`},
	{"value type 13", value(13, u64(0)), `the value of key "key" is of an unknown type: found value type 13, expected 0 to 12`},
	{"value type 2^32-1", value(math.MaxUint32, u64(0)), "unknown type: found value type 4294967295"},
	{"bool 2", value(Bool, "\x02"), `the value of key "key" is no bool: found 2, expected 0 or 1`},
	{"string beyond the end", value(String, u64(5)+"text"), "found a count of 5, expected at most 4 in the 4 bytes that follow"},
	{"string of 2^64-1 bytes", value(String, u64(math.MaxUint64)+"text"), "found a count of 18446744073709551615"},
	{"array of an unknown type", value(Array, u32(13)+u64(0)), "array of an unknown type: found value type 13"},
	{"array beyond the end", value(Array, u32(uint32(Int32))+u64(3)+u64(0)), "found a count of 3, expected at most 2 in the 8 bytes"},
	{"array of 2^61 numbers", value(Array, u32(uint32(Int64))+u64(1<<61)+u64(0)), "found a count of 2305843009213693952"},
	{"array of strings beyond the end", value(Array, u32(uint32(String))+u64(2)+str("a")+str("b")[:8]), "reaches beyond the end of the file"},
	{"array of bools", value(Array, u32(uint32(Bool))+u64(3)+"\x00\x01\x07"), "is no bool: found 7"},
	{"arrays too deep", value(Array, strings.Repeat(u32(uint32(Array))+u64(1), 9)), "has arrays within arrays deeper than 8"},
	{"arrays very deep", value(Array, strings.Repeat(u32(uint32(Array))+u64(1), 100_000)), "deeper than 8"},

	{"alignment 0", alignment(Uint32, u32(0)), "general.alignment is out of range: found uint32 0, expected a power of two up to 1048576, as a uint32"},
	{"alignment 48", alignment(Uint32, u32(48)), "found uint32 48"},
	{"alignment 2^31", alignment(Uint32, u32(1<<31)), "found uint32 2147483648"},
	{"alignment of another type", alignment(Uint64, u64(32)), "found uint64 32"},
	{"alignment of text", alignment(String, str("32")), "found string, expected a power of two"},

	{"no name", one(entry("", F32, 0, 1), 32), `tensor "": the name is empty`},
	{"name too long", one(entry(strings.Repeat("n", 64), F32, 0, 1), 32), "name too long: found 64 bytes, expected at most 63"},
	{"name not UTF-8", one(entry("\xff", F32, 0, 1), 32), `tensor "\xff": the name is not plain UTF-8`},
	{"name with a zero", one(entry("a\x00b", F32, 0, 1), 32), "the name is not plain UTF-8"},
	{"name twice", data(head(3, 2, 0)+entry("a", F32, 0, 1)+entry("a", F32, 32, 1), 64), `tensor "a" is listed twice`},
	{"rank 5", one(entry("a", F32, 0, 1, 1, 1, 1, 1), 32), `tensor "a": too many dimensions: found 5, expected at most 4`},
	{"rank 2^32-1", one(str("a")+u32(math.MaxUint32)+strings.Repeat(u64(1), 20), 32), "too many dimensions"},
	{"dimension of 2^63", one(entry("a", F32, 0, 1<<63), 32), "bad dimension: found 9223372036854775808"},
	{"product overflows", one(entry("a", F32, 0, 1<<32, 1<<32), 32), "bad shape: found [4294967296 4294967296], expected a size that fits"},
	{"product overflows but for a zero", one(entry("a", F32, 0, 1<<32, 1<<32, 0), 32), "bad shape: found [0 4294967296 4294967296]"},
	{"bytes overflow", one(entry("a", F32, 0, 1<<61), 32), "bad shape"},
	{"type that is not read", one(entry("a", 11, 0, 256), 110), `tensor "a": type not supported: found Q3_K, expected one of BF16, F16, F32, IQ4_NL, IQ4_XS, MXFP4, Q4_0, Q4_1, Q4_K, Q5_0, Q5_1, Q5_K, Q6_K, Q8_0`},
	{"type that has been removed", one(entry("a", 4, 0, 32), 32), "type not supported: found type 4"},
	{"type 2^32-1", one(entry("a", math.MaxUint32, 0, 32), 32), "type not supported: found type 4294967295"},
	{"half a block", one(entry("a", Q8_0, 0, 48, 2), 102), `rows of Q8_0 are whole blocks: found 48 elements in a row, expected a multiple of 32`},
	{"half a block of 256", one(entry("a", 12, 0, 384, 2), 432), `rows of Q4_K are whole blocks: found 384 elements in a row, expected a multiple of 256`},
	{"blocks beyond the end", one(entry("a", 14, 0, 256, 2), 416), `tensor "a": its data reach beyond the end of the file; the file may be truncated: found 420 bytes, expected at most 416`},
	{"scalar of blocks", one(entry("a", Q4_0, 0), 18), "found 1 elements in a row"},
	{"offset of 2^63", one(entry("a", F32, 1<<63, 1), 32), "bad offset: found 9223372036854775808"},
	{"offset not aligned", one(entry("a", F32, 4, 1), 64), `tensor "a": its data do not begin where those of the tensor before end: found offset 4, expected 0`},
	{"offset beyond the end", one(entry("a", F32, 1<<40, 1), 64), "found offset 1099511627776"},
	{"overlap", data(head(3, 2, 0)+entry("a", F32, 0, 9)+entry("b", F32, 32, 1), 96), `tensor "b": its data do not begin where those of the tensor before end: found offset 32, expected 64`},
	{"same place", data(head(3, 2, 0)+entry("a", F32, 0, 1)+entry("b", F32, 0, 1), 96), "found offset 0, expected 32"},
	{"hole", data(head(3, 2, 0)+entry("a", F32, 0, 1)+entry("b", F32, 64, 1), 96), "found offset 64, expected 32"},
	{"other order", data(head(3, 2, 0)+entry("a", F32, 32, 1)+entry("b", F32, 0, 1), 64), "found offset 32, expected 0"},
	{"data truncated", one(entry("a", F32, 0, 4), 15), `tensor "a": its data reach beyond the end of the file; the file may be truncated: found 16 bytes, expected at most 15`},
	{"no data", []byte(head(3, 1, 0) + entry("a", F32, 0, 4)), "found 16 bytes, expected at most 0"},
}

func TestParseRejects(t *testing.T) {
	for _, test := range badFiles {
		t.Run(test.name, func(t *testing.T) {
			_, err := Parse(test.data, "dir/model.gguf")
			var format *FormatError
			if !errors.As(err, &format) {
				t.Fatalf("got %v, want a *FormatError", err)
			}
			if !strings.HasPrefix(err.Error(), "dir/model.gguf: ") || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got error\n\t%v\nwant the file's name and\n\t%s", err, test.want)
			}
			if len(err.Error()) > 500 || strings.Contains(err.Error(), "\n") {
				t.Errorf("error of %d bytes, want one short line", len(err.Error()))
			}
		})
	}
}

// sample has a value of every type, and tensors of every type.
func sample(version uint32) []byte {
	values := []struct {
		key, value string
		t          ValueType
	}{
		{"u8", "\xfe", Uint8}, {"i8", "\xfe", Int8}, {"u16", "\xfe\xff", Uint16}, {"i16", "\xfe\xff", Int16},
		{"u32", u32(math.MaxUint32), Uint32}, {"i32", u32(math.MaxUint32), Int32},
		{"u64", u64(1 << 40), Uint64}, {"i64", u64(math.MaxUint64), Int64}, {"large", u64(math.MaxUint64), Uint64},
		{"f32", u32(math.Float32bits(1.5)), Float32}, {"f64", u64(math.Float64bits(-2.25)), Float64},
		{"bool", "\x01", Bool}, {"string", str("naïve"), String}, {"empty", str(""), String},
		{"strings", u32(uint32(String)) + u64(3) + str("a") + str("") + str("ccc"), Array},
		{"ints", u32(uint32(Int32)) + u64(2) + u32(7) + u32(math.MaxUint32), Array},
		{"bytes", u32(uint32(Uint8)) + u64(3) + "\x01\x02\xff", Array},
		{"floats", u32(uint32(Float32)) + u64(1) + u32(0), Array},
		{"bools", u32(uint32(Bool)) + u64(2) + "\x01\x00", Array},
		{"nested", u32(uint32(Array)) + u64(2) + u32(uint32(Uint8)) + u64(1) + "\x05" + u32(uint32(String)) + u64(1) + str("x"), Array},
		{"none", u32(uint32(Float64)) + u64(0), Array},
	}
	s := head(version, 6, uint64(len(values)))
	for _, v := range values {
		s += str(v.key) + u32(uint32(v.t)) + v.value
	}
	s += entry("f32", F32, 0, 3, 2) + entry("f16", F16, 32, 5) + entry("bf16", BF16, 64, 1) +
		entry("q8_0", Q8_0, 96, 64, 2) + entry("q4_0", Q4_0, 256, 32) + entry("scalar", F32, 288)
	return data(s, 292)
}

func TestParseAccepts(t *testing.T) {
	for _, version := range []uint32{2, 3} {
		b := sample(version)
		f, err := Parse(b, "sample")
		if err != nil {
			t.Fatal(err)
		}
		if f.Version != int(version) {
			t.Errorf("version %d, want %d", f.Version, version)
		}
		for _, want := range []struct {
			name  string
			t     Type
			shape []int
			first byte // data counts its bytes
			bytes int
		}{
			{"f32", F32, []int{2, 3}, 0, 24}, {"f16", F16, []int{5}, 32, 10}, {"bf16", BF16, []int{1}, 64, 2},
			{"q8_0", Q8_0, []int{2, 64}, 96, 4 * 34}, {"q4_0", Q4_0, []int{32}, 0, 18}, {"scalar", F32, []int{}, 32, 4},
		} {
			x, ok := f.Tensor(want.name)
			if !ok || x.Type != want.t || !slices.Equal(x.Shape, want.shape) || len(x.Data) != want.bytes || x.Data[0] != want.first {
				t.Errorf("%s: %v %v, %d bytes", want.name, x.Type, x.Shape, len(x.Data))
			}
		}
		if got := f.Tensors(); !slices.Equal(got, []string{"f32", "f16", "bf16", "q8_0", "q4_0", "scalar"}) {
			t.Errorf("tensors %q", got)
		}
		if len(f.Keys()) != 21 {
			t.Errorf("keys %q", f.Keys())
		}
		checkViews(t, f, b)
	}
}

func TestValues(t *testing.T) {
	f, err := Parse(sample(3), "sample")
	if err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]string{
		"u8": "254 - - - - -", "i8": "-2 - - - - -", "u16": "65534 - - - - -", "i16": "-2 - - - - -",
		"u32": "4294967295 - - - - -", "i32": "-1 - - - - -", "u64": "1099511627776 - - - - -", "i64": "-1 - - - - -",
		"large": "- - - - - -", "f32": "- 1.5 - - - -", "f64": "- -2.25 - - - -", "bool": "- - true - - -",
		"string": `- - - "naïve" - -`, "empty": `- - - "" - -`, "strings": `- - - - ["a" "" "ccc"] -`,
		"ints": "- - - - - [7 -1]", "bytes": "- - - - - [1 2 255]", "floats": "- - - - - -", "bools": "- - - - - -",
		"nested": "- - - - - -", "none": "- - - - - []", "absent": "- - - - - -",
	} {
		v, _ := f.Value(key)
		var got []string
		add := func(format string, x any, ok bool) {
			if ok {
				got = append(got, fmt.Sprintf(format, x))
			} else {
				got = append(got, "-")
			}
		}
		n, ok := v.Int()
		add("%d", n, ok)
		x, ok := v.Float()
		add("%v", x, ok)
		b, ok := v.Bool()
		add("%v", b, ok)
		s, ok := v.Text()
		add("%q", s, ok)
		texts, ok := v.Texts()
		add("%q", texts, ok)
		ints, ok := v.Ints()
		add("%d", ints, ok)
		if got := strings.Join(got, " "); got != want {
			t.Errorf("%s: %s, want %s", key, got, want)
		}
	}
}

// Every file that is cut short must be refused, wherever the cut is.
func TestParseTruncated(t *testing.T) {
	whole := sample(3)
	for n := range whole {
		if _, err := Parse(whole[:n], "cut"); err == nil {
			t.Errorf("no error for the first %d bytes of %d", n, len(whole))
		}
	}
}

func TestOwnAlignment(t *testing.T) {
	for _, n := range []int{1, 8, 64, 4096} {
		s := head(3, 2, 1) + str("general.alignment") + u32(uint32(Uint32)) + u32(uint32(n)) +
			entry("a", F32, 0, 1) + entry("b", F32, uint64(pad(4, n)), 1)
		b := append([]byte(s), make([]byte, pad(len(s), n)-len(s))...)
		start := len(b)
		b = append(b, make([]byte, pad(4, n)+4)...)
		b[start+pad(4, n)] = 7
		f, err := Parse(b, "aligned")
		if err != nil {
			t.Fatalf("alignment %d: %v", n, err)
		}
		if x, _ := f.Tensor("b"); x.Offset != int64(start+pad(4, n)) || x.Data[0] != 7 {
			t.Errorf("alignment %d: tensor b begins at %d", n, x.Offset)
		}
		for shift := range 4 {
			x := Tensor{Type: F32, Data: b[start+shift&^3+shift:]}
			if got := x.Aligned(); got != (uintptrOf(x.Data)%4 == 0) {
				t.Errorf("shifted by %d: aligned %v", shift, got)
			}
		}
	}
}

// checkViews holds what Parse accepted to what it promises.
func checkViews(t *testing.T, f *File, data []byte) {
	t.Helper()
	end := int64(0)
	for _, name := range f.Tensors() {
		x, ok := f.Tensor(name)
		if !ok || x.Name != name {
			t.Fatalf("Tensor(%q) gives %q, %v", name, x.Name, ok)
		}
		elements := 1
		for _, n := range x.Shape {
			elements *= n
		}
		if len(x.Data) != x.Type.DType().Bytes(elements) || cap(x.Data) != len(x.Data) {
			t.Fatalf("%q: %d bytes with room for %d, for %v %v", name, len(x.Data), cap(x.Data), x.Type, x.Shape)
		}
		if x.Offset < end || x.Offset+int64(len(x.Data)) > int64(len(data)) {
			t.Fatalf("%q: bytes from %d on of a file of %d, after a tensor that ends at %d", name, x.Offset, len(data), end)
		}
		if len(x.Data) > 0 && &x.Data[0] != &data[x.Offset] {
			t.Fatalf("%q: the view does not begin at offset %d", name, x.Offset)
		}
		end = x.Offset + int64(len(x.Data))
	}
	for _, key := range f.Keys() {
		v, ok := f.Value(key)
		if !ok {
			t.Fatalf("no value of %q", key)
		}
		v.Int()
		v.Float()
		v.Bool()
		v.Text()
		v.Texts()
		v.Ints()
	}
}

func FuzzParse(f *testing.F) {
	for _, bad := range badFiles {
		if len(bad.data) < 10_000 {
			f.Add(bad.data)
		}
	}
	f.Add(sample(2))
	f.Add(sample(3))
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := Parse(data, "fuzz")
		if err != nil {
			if len(err.Error()) > 1000 {
				t.Errorf("an error of %d bytes", len(err.Error()))
			}
			return
		}
		checkViews(t, got, data)

		// What was read can be written, and is then the same.
		var metadata []KeyValue
		for _, key := range got.Keys() {
			if key != alignmentKey { // a file is written with the default
				v, _ := got.Value(key)
				metadata = append(metadata, KeyValue{key, v})
			}
		}
		var tensors []Tensor
		for _, name := range got.Tensors() {
			x, _ := got.Tensor(name)
			tensors = append(tensors, x)
		}
		var b bytes.Buffer
		if err := encode(&b, "fuzz", metadata, tensors, writeData); err != nil {
			t.Fatalf("cannot write what was read: %v", err)
		}
		again, err := Parse(b.Bytes(), "again")
		if err != nil {
			t.Fatalf("cannot read what was written: %v", err)
		}
		same(t, again, got)
	})
}

func writeData(w io.Writer, x Tensor) error {
	_, err := w.Write(x.Data)
	return err
}
