package safetensors

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"caldera/gpt/checkpoint/tensorfile"
)

// file makes a safetensors file of a header's text and as many zero bytes of data.
func file(header string, data int) []byte {
	b := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	return append(append(b, header...), make([]byte, data)...)
}

// entry makes a header's entry for one tensor.
func entry(name, dtype, shape, offsets string) string {
	return fmt.Sprintf(`"%s":{"dtype":"%s","shape":%s,"data_offsets":%s}`, name, dtype, shape, offsets)
}

var badFiles = []struct {
	name string
	data []byte
	want string // what the error must contain
}{
	{"empty", nil, "file too short: found 0 bytes, expected at least 8"},
	{"7 bytes", make([]byte, 7), "file too short: found 7 bytes"},
	{"no header", file("", 0), `no JSON object; this may be no safetensors file: found "", expected "{"`},
	{"no header, data", make([]byte, 100), `the header is no JSON object`},
	{"Git LFS", []byte("version https://git-lfs.github.com/spec/v1\noid sha256:0\n"), "git lfs pull"},
	{"header longer than the file", file(`{}`, 0)[:9], "beyond the end of the file; the file may be truncated: found a header of 2 bytes in a file of 9, expected at most 1"},
	{"header beyond the limit", binary.LittleEndian.AppendUint64(nil, 100_000_001), "header too long; this may be no safetensors file: found a length of 100000001 bytes, expected at most 100000000"},
	{"header of 2^64-1", bytes.Repeat([]byte{0xff}, 16), "found a length of 18446744073709551615 bytes"},
	{"GGUF", []byte("GGUF\x03\x00\x00\x00\x00\x00\x00\x00"), "header too long"},
	{"leading space", file(` {}`, 0), `found " {}", expected "{" as its first byte`},
	{"array", file(`[]`, 0), "no JSON object"},
	{"no JSON", file(`{abc}`, 0), "the header is damaged: invalid JSON"},
	{"unfinished", file(`{"a":`, 0), "invalid JSON"},
	{"no UTF-8", file("{\"a\xc0\":1}", 0), "not UTF-8: invalid byte at offset 3"},
	{"trailing text", file(`{}x`, 0), `found "x" after the JSON object`},
	{"trailing zeros", file("{}\x00\x00", 0), `found "\x00\x00" after the JSON object`},
	{"same key", file("{"+entry("a", "U8", "[1]", "[0,1]")+","+entry("a", "U8", "[1]", "[1,2]")+"}", 2), `key "a" stands there twice`},
	{"same field", file(`{"a":{"dtype":"U8","dtype":"I8","shape":[1],"data_offsets":[0,1]}}`, 1), `tensor "a": bad entry in the header: key "dtype" stands there twice`},
	{"deep", file(`{"a":{"dtype":"U8","shape":[[1]],"data_offsets":[0,1]}}`, 1), "deeper than 3 levels"},
	{"very deep", file(`{"a":`+strings.Repeat(`[`, 1_000_000), 0), "deeper than 3 levels"},

	{"name too long", file("{"+entry(strings.Repeat("n", 1025), "U8", "[1]", "[0,1]")+"}", 1), "name too long: found 1025 bytes, expected at most 1024"},
	{"zero byte in a name", file("{"+entry(`a\u0000b`, "U8", "[1]", "[0,1]")+"}", 1), "name holds a zero byte"},
	{"entry is no object", file(`{"a":7}`, 0), `tensor "a": bad entry in the header: found a JSON number`},
	{"unknown field", file(`{"a":{"DType":"U8"}}`, 0), `unknown field "DType"`},
	{"no dtype", file(`{"a":{"shape":[1],"data_offsets":[0,1]}}`, 1), "incomplete entry in the header: no dtype"},
	{"no shape", file(`{"a":{"dtype":"U8","data_offsets":[0,1]}}`, 1), "no shape"},
	{"no data_offsets", file(`{"a":{"dtype":"U8","shape":[1]}}`, 1), "no data_offsets"},
	{"unknown dtype", file("{"+entry("a", "f32", "[1]", "[0,4]")+"}", 4), `tensor "a": unknown dtype: found "f32", expected one of F4, F6_E2M3,`},
	{"dtype null", file(`{"a":{"dtype":null,"shape":[1],"data_offsets":[0,1]}}`, 1), "unknown dtype: found null"},
	{"dtype number", file(`{"a":{"dtype":4,"shape":[1],"data_offsets":[0,1]}}`, 1), "unknown dtype: found 4"},

	{"shape null", file("{"+entry("a", "U8", "null", "[0,1]")+"}", 1), "bad shape: found null, expected an array of integers"},
	{"shape number", file("{"+entry("a", "U8", "1", "[0,1]")+"}", 1), "bad shape: found 1, expected an array"},
	{"shape negative", file("{"+entry("a", "U8", "[-1]", "[0,1]")+"}", 1), "bad shape: found -1, expected integers from 0 to"},
	{"shape minus zero", file("{"+entry("a", "U8", "[-0]", "[0,0]")+"}", 0), "bad shape: found -0"},
	{"shape fractional", file("{"+entry("a", "U8", "[1.5]", "[0,1]")+"}", 1), "bad shape: found 1.5"},
	{"shape in exponents", file("{"+entry("a", "U8", "[1e0]", "[0,1]")+"}", 1), "bad shape: found 1e0"},
	{"shape of strings", file("{"+entry("a", "U8", `["1"]`, "[0,1]")+"}", 1), `bad shape: found "1"`},
	{"shape beyond 64 bits", file("{"+entry("a", "U8", "[18446744073709551617]", "[0,1]")+"}", 1), "bad shape: found 18446744073709551617"},
	{"shape beyond 63 bits", file("{"+entry("a", "U8", "[9223372036854775808]", "[0,1]")+"}", 1), "bad shape: found 9223372036854775808"},
	{"product overflows", file("{"+entry("a", "F32", "[4294967296,4294967296]", "[0,0]")+"}", 0), "bad shape: found [4294967296 4294967296], expected a size that fits"},
	{"product of bytes overflows", file("{"+entry("a", "F64", "[2305843009213693952]", "[0,0]")+"}", 0), "expected a size that fits"},
	{"product overflows but for a zero", file("{"+entry("a", "U8", "[0,4294967296,4294967296]", "[0,0]")+"}", 0), "expected a size that fits"},
	{"rank", file("{"+entry("a", "U8", "["+strings.Repeat("1,", 64)+"1]", "[0,1]")+"}", 1), "bad shape: found 65 numbers, expected at most 64"},
	{"half a byte", file("{"+entry("a", "F4", "[3]", "[0,2]")+"}", 2), "[3] of F4, which is 12 bits, expected whole bytes"},

	{"offsets reversed", file("{"+entry("a", "U8", "[1]", "[2,1]")+"}", 2), `reversed data_offsets: found 2 to 1`},
	{"offsets beyond the end", file("{"+entry("a", "U8", "[4]", "[0,4]")+"}", 3), "data_offsets reach beyond the end of the file; the file may be truncated: found 0 to 4, expected at most 3"},
	{"offsets beyond 63 bits", file("{"+entry("a", "U8", "[4]", "[0,18446744073709551615]")+"}", 4), "bad data_offsets: found 18446744073709551615"},
	{"offsets negative", file("{"+entry("a", "U8", "[4]", "[-4,0]")+"}", 4), "bad data_offsets: found -4"},
	{"one offset", file("{"+entry("a", "U8", "[4]", "[4]")+"}", 4), "bad data_offsets: found 1 numbers, expected 2"},
	{"three offsets", file("{"+entry("a", "U8", "[4]", "[0,4,4]")+"}", 4), "bad data_offsets: found 3 numbers, expected at most 2"},
	{"size too large", file("{"+entry("a", "F32", "[2]", "[0,12]")+"}", 12), "data_offsets do not fit dtype and shape: found 12 bytes, expected 8 for F32 [2]"},
	{"size too small", file("{"+entry("a", "F16", "[2,3]", "[0,6]")+"}", 6), "found 6 bytes, expected 12 for F16 [2 3]"},
	{"scalar of no bytes", file("{"+entry("a", "F32", "[]", "[0,0]")+"}", 0), "found 0 bytes, expected 4 for F32 []"},

	{"overlap", file("{"+entry("a", "U8", "[4]", "[0,4]")+","+entry("b", "U8", "[4]", "[3,7]")+"}", 7), `tensor "b": its data overlap with those of tensor "a"`},
	{"same place", file("{"+entry("a", "U8", "[4]", "[0,4]")+","+entry("b", "U8", "[4]", "[0,4]")+"}", 4), `tensor "b": its data overlap with those of tensor "a"`},
	{"empty tensor within another", file("{"+entry("a", "U8", "[4]", "[0,4]")+","+entry("b", "U8", "[0]", "[2,2]")+"}", 4), `tensor "b": its data overlap`},
	{"hole", file("{"+entry("a", "U8", "[4]", "[0,4]")+","+entry("b", "U8", "[4]", "[5,9]")+"}", 9), `tensor "b": its data follow a hole behind tensor "a"`},
	{"hole at the begin", file("{"+entry("a", "U8", "[4]", "[1,5]")+"}", 5), `tensor "a": its data follow a hole behind the header`},
	{"bytes at the end", file("{"+entry("a", "U8", "[4]", "[0,4]")+"}", 5), `bytes behind the data of tensor "a" belong to no tensor: found a file of`},
	{"bytes and no tensor", file("{}", 5), "bytes behind the data of the header belong to no tensor: found a file of 15 bytes, expected 10"},

	{"metadata is no object", file(`{"__metadata__":[]}`, 0), "bad __metadata__: found a JSON array"},
	{"metadata of numbers", file(`{"__metadata__":{"n":1}}`, 0), `bad __metadata__: value of "n" is no string`},
	{"metadata null", file(`{"__metadata__":{"n":null}}`, 0), `value of "n" is no string`},
	{"metadata twice", file(`{"__metadata__":{},"__metadata__":{}}`, 0), `key "__metadata__" stands there twice`},
}

func TestParseRejects(t *testing.T) {
	for _, test := range badFiles {
		t.Run(test.name, func(t *testing.T) {
			_, err := Parse(test.data, "dir/model.safetensors")
			var format *FormatError
			if !errors.As(err, &format) {
				t.Fatalf("got %v, want a *FormatError", err)
			}
			if !strings.HasPrefix(err.Error(), "dir/model.safetensors: ") || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got error\n\t%v\nwant the file's name and\n\t%s", err, test.want)
			}
			if len(err.Error()) > 500 || strings.Contains(err.Error(), "\n") {
				t.Errorf("error of %d bytes, want one short line", len(err.Error()))
			}
		})
	}
}

// Every file that is cut short must be refused, wherever the cut is.
func TestParseTruncated(t *testing.T) {
	data := file("{"+entry("a", "F32", "[2]", "[0,8]")+","+entry("b", "I64", "[]", "[8,16]")+"}", 16)
	if _, err := Parse(data, "whole"); err != nil {
		t.Fatal(err)
	}
	for n := range data {
		if _, err := Parse(data[:n], "cut"); err == nil {
			t.Errorf("no error for the first %d bytes of %d", n, len(data))
		}
	}
}

func TestParseAccepts(t *testing.T) {
	tests := []struct {
		name    string
		data    []byte
		tensors []string
	}{
		{"nothing", file(`{}`, 0), nil},
		{"padding", file(`{}      `, 0), nil},
		{"metadata alone", file(`{"__metadata__":{"format":"pt"}}`, 0), nil},
		{"scalar", file("{"+entry("s", "F32", "[]", "[0,4]")+"}", 4), []string{"s"}},
		{"empty tensors", file("{"+entry("x", "F32", "[0,7]", "[0,0]")+","+entry("y", "U8", "[1]", "[0,1]")+","+entry("z", "F32", "[0]", "[1,1]")+"}", 1), []string{"x", "y", "z"}},
		{"any order", file("{"+entry("b", "U8", "[1]", "[2,3]")+","+entry("c", "F16", "[1]", "[0,2]")+"}", 3), []string{"b", "c"}},
		{"packed bits", file("{"+entry("p", "F4", "[3,2]", "[0,3]")+","+entry("q", "F6_E2M3", "[4]", "[3,6]")+"}", 6), []string{"p", "q"}},
		{"odd header", file("{"+entry("odd", "F32", "[1]", "[0,4]")+"} ", 4), []string{"odd"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			f, err := Parse(test.data, test.name)
			if err != nil {
				t.Fatal(err)
			}
			if got := f.Tensors(); !slices.Equal(got, test.tensors) {
				t.Errorf("tensors %q, want %q", got, test.tensors)
			}
			checkViews(t, f, test.data)
		})
	}
}

// checkViews holds what Parse accepted to what it promises.
func checkViews(t *testing.T, f *File, data []byte) {
	t.Helper()
	owner := make([]string, len(data))
	for _, name := range f.Tensors() {
		x, ok := f.Tensor(name)
		if !ok || x.Name != name {
			t.Fatalf("Tensor(%q) gives %q, %v", name, x.Name, ok)
		}
		if size := tensorfile.Elements(x.Shape) * x.DType.Bits(); size != 8*len(x.Data) || cap(x.Data) != len(x.Data) {
			t.Fatalf("%q: %d bytes with room for %d, want %d bits", name, len(x.Data), cap(x.Data), size)
		}
		end := x.Offset + int64(len(x.Data))
		if x.Offset < 8 || end > int64(len(data)) {
			t.Fatalf("%q: bytes %d to %d of a file of %d", name, x.Offset, end, len(data))
		}
		if len(x.Data) > 0 && &x.Data[0] != &data[x.Offset] {
			t.Fatalf("%q: the view does not begin at offset %d", name, x.Offset)
		}
		for i := x.Offset; i < end; i++ {
			if owner[i] != "" {
				t.Fatalf("byte %d belongs to %q and %q", i, owner[i], name)
			}
			owner[i] = "tensor " + name
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, bad := range badFiles {
		if len(bad.data) < 10_000 {
			f.Add(bad.data)
		}
	}
	f.Add(file("{"+entry("a", "F32", "[2]", "[0,8]")+","+entry("b", "I64", "[]", "[8,16]")+`,"__metadata__":{"format":"pt"}}`, 16))
	f.Add(file("{"+entry("p", "F4", "[3,2]", "[0,3]")+","+entry("x", "F32", "[0,7]", "[3,3]")+"}  ", 3))
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := Parse(data, "fuzz")
		if err != nil {
			return
		}
		checkViews(t, got, data)

		// What was read can be written, and is then the same.
		var tensors []Tensor
		for _, name := range got.Tensors() {
			x, _ := got.Tensor(name)
			tensors = append(tensors, x)
		}
		var b bytes.Buffer
		if err := encode(&b, "fuzz", tensors, got.Metadata(), writeData); err != nil {
			t.Fatalf("cannot write what was read: %v", err)
		}
		again, err := Parse(b.Bytes(), "again")
		if err != nil {
			t.Fatalf("cannot read what was written: %v", err)
		}
		same(t, again, got)
	})
}
