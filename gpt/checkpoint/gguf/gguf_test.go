package gguf

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func uintptrOf(p []byte) uintptr { return uintptr(unsafe.Pointer(unsafe.SliceData(p))) }

// same fails the test unless both files hold equal tensors and metadata, but for
// an alignment.
func same(t *testing.T, got, want *File) {
	t.Helper()
	options := cmp.Options{
		cmp.AllowUnexported(Value{}),
		cmp.Comparer(func(a, b []byte) bool { return bytes.Equal(a, b) }),
		cmp.Comparer(func(a, b []int) bool { return slices.Equal(a, b) }),
		cmpopts.IgnoreFields(Tensor{}, "File", "Offset"),
	}
	if diff := cmp.Diff(want.tensors, got.tensors, options); diff != "" {
		t.Errorf("tensors differ (-want +got):\n%s", diff)
	}
	alignment := cmpopts.IgnoreMapEntries(func(key string, v Value) bool { return key == alignmentKey })
	if diff := cmp.Diff(want.metadata, got.metadata, options, alignment); diff != "" {
		t.Errorf("metadata differ (-want +got):\n%s", diff)
	}
}

// TestWrite compares a file with one that is spelled out after the specification.
func TestWrite(t *testing.T) {
	q8 := bytes.Repeat([]byte{1, 2}, 34)
	metadata := []KeyValue{
		{"general.architecture", OfText("gpt2")},
		{"n", OfUint32(7)},
		{"x", OfFloat32(1.5)},
		{"yes", OfBool(true)},
		{"no", OfBool(false)},
		{"texts", OfTexts([]string{"a", "", "ccc"})},
		{"ints", OfInt32s([]int32{1, -1})},
	}
	tensors := []Tensor{
		{Name: "a", Type: Q8_0, Shape: []int{2, 32}, Data: q8},
		{Name: "b.weight", Type: F32, Shape: []int{3}, Data: []byte("twelve bytes")},
	}
	path := filepath.Join(t.TempDir(), "model.gguf")
	if err := Write(path, metadata, tensors, writeData); err != nil {
		t.Fatal(err)
	}
	want := data(head(3, 2, 7)+
		str("general.architecture")+u32(8)+str("gpt2")+
		str("n")+u32(4)+u32(7)+
		str("x")+u32(6)+u32(0x3fc00000)+
		str("yes")+u32(7)+"\x01"+
		str("no")+u32(7)+"\x00"+
		str("texts")+u32(9)+u32(8)+u64(3)+str("a")+str("")+str("ccc")+
		str("ints")+u32(9)+u32(5)+u64(2)+u32(1)+u32(0xffffffff)+
		entry("a", 8, 0, 32, 2)+entry("b.weight", 0, 96, 3), 0)
	want = append(append(want, q8...), make([]byte, 96-68)...)
	want = append(append(want, "twelve bytes"...), make([]byte, 20)...)
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("got\n%q, want\n%q", got, want)
	}
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range tensors {
		y, ok := f.Tensor(x.Name)
		if !ok || !y.Aligned() || !bytes.Equal(x.Data, y.Data) || !slices.Equal(x.Shape, y.Shape) || x.Type != y.Type {
			t.Errorf("%s came back as %+v", x.Name, y)
		}
		if y.Offset%32 != 0 || y.File != path {
			t.Errorf("%s is at offset %d of %s", x.Name, y.Offset, y.File)
		}
	}
	for range 2 {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}
	if _, ok := f.Tensor("a"); ok || len(f.Tensors()) != 0 || len(f.Keys()) != 0 {
		t.Error("a closed file has tensors or keys")
	}
}

func TestWriteRejects(t *testing.T) {
	ok := Tensor{Name: "a", Type: F32, Shape: []int{1}, Data: []byte{1, 2, 3, 4}}
	full := errors.New("no space left on device")
	for name, c := range map[string]struct {
		metadata []KeyValue
		tensors  []Tensor
		data     func(io.Writer, Tensor) error
		want     string
	}{
		"twice":         {tensors: []Tensor{ok, ok}, want: `tensor "a": name taken`},
		"no name":       {tensors: []Tensor{{Type: F32, Shape: []int{1}}}, want: "the name is empty"},
		"long name":     {tensors: []Tensor{{Name: strings.Repeat("n", 64), Type: F32}}, want: "name too long"},
		"too short":     {tensors: []Tensor{{Name: "a", Type: F32, Shape: []int{2}, Data: ok.Data}}, want: `tensor "a": found 4 bytes, expected 8 for F32 [2]`},
		"too long":      {tensors: []Tensor{{Name: "a", Type: F16, Shape: []int{1}, Data: ok.Data}}, want: "found 4 bytes, expected 2"},
		"half a block":  {tensors: []Tensor{{Name: "a", Type: Q4_0, Shape: []int{32, 2}}}, want: "found 2 elements in a row"},
		"type":          {tensors: []Tensor{{Name: "a", Type: 11, Shape: []int{256}}}, want: "found Q3_K"},
		"negative":      {tensors: []Tensor{{Name: "a", Type: F32, Shape: []int{-1}}}, want: "bad shape"},
		"rank":          {tensors: []Tensor{{Name: "a", Type: F32, Shape: make([]int, 5)}}, want: "too many dimensions"},
		"key twice":     {metadata: []KeyValue{{"k", OfBool(true)}, {"k", OfBool(true)}}, want: `key "k": name taken`},
		"key empty":     {metadata: []KeyValue{{"", OfBool(true)}}, want: "is empty"},
		"key reserved":  {metadata: []KeyValue{{"general.alignment", OfUint32(8)}}, want: "name taken"},
		"no value":      {metadata: []KeyValue{{Key: "k"}}, want: `key "k" has no value`},
		"a full disk":   {tensors: []Tensor{ok}, data: func(io.Writer, Tensor) error { return full }, want: full.Error()},
		"too many keys": {metadata: make([]KeyValue, 1<<16+1), want: "too many keys"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "model.gguf")
			if err := Write(path, nil, []Tensor{ok}, writeData); err != nil {
				t.Fatal(err)
			}
			if c.data == nil {
				c.data = writeData
			}
			err := Write(path, c.metadata, c.tensors, c.data)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want one with %q", err, c.want)
			}
			// The old file is untouched, and nothing else is left behind.
			f, err := Open(path)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			entries, _ := os.ReadDir(dir)
			if x, ok := f.Tensor("a"); !ok || !bytes.Equal(x.Data, []byte{1, 2, 3, 4}) || len(entries) != 1 {
				t.Errorf("a failed Write left %v and tensor %v, %v", entries, x, ok)
			}
		})
	}
}

func TestOpenRejects(t *testing.T) {
	dir := t.TempDir()
	if _, err := Open(dir); err == nil || !strings.Contains(err.Error(), dir+": opening it: found a directory, expected a regular file") {
		t.Errorf("directory: %v", err)
	}
	missing := filepath.Join(dir, "missing.gguf")
	if _, err := Open(missing); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), missing) {
		t.Errorf("missing file: %v", err)
	}
	for _, bad := range badFiles {
		path := filepath.Join(dir, "bad.gguf")
		if err := os.WriteFile(path, bad.data, 0o666); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(path); err == nil || !strings.Contains(err.Error(), bad.want) {
			t.Errorf("%s: error %v, want one with %q", bad.name, err, bad.want)
		}
	}
}

// TestMemory opens a file whose metadata are large, which must cost nothing
// until somebody asks for them, and one that lies about what it holds.
func TestMemory(t *testing.T) {
	large := value(Array, u32(uint32(String))+u64(1<<20)+strings.Repeat(str(""), 1<<20))
	for name, b := range map[string][]byte{
		"a million strings": large,
		"a count that lies": value(Array, u32(uint32(Uint8))+u64(1<<50)),
		"tensors that lie":  []byte(head(3, 1<<19, 0)),
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		Parse(b, name)
		runtime.ReadMemStats(&after)
		if n := after.TotalAlloc - before.TotalAlloc; n > 1<<20 {
			t.Errorf("%s: %d bytes were allocated", name, n)
		}
	}
}
