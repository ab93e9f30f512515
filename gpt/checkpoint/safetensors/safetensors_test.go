package safetensors

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// writeData writes a tensor that has its data.
func writeData(w io.Writer, t Tensor) error {
	_, err := w.Write(t.Data)
	return err
}

const reference = "../../testdata/gpt2-tiny"

// same fails the test unless both files hold equal tensors and metadata.
func same(t *testing.T, got, want *File) {
	t.Helper()
	if diff := cmp.Diff(want.Metadata(), got.Metadata(), cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("metadata differ (-want +got):\n%s", diff)
	}
	options := cmp.Options{
		cmp.Comparer(func(a, b []byte) bool { return bytes.Equal(a, b) }),
		cmp.Comparer(func(a, b []int) bool { return slices.Equal(a, b) }),
		cmpopts.IgnoreFields(Tensor{}, "File", "Offset"),
	}
	if diff := cmp.Diff(want.tensors, got.tensors, options); diff != "" {
		t.Errorf("tensors differ (-want +got):\n%s", diff)
	}
}

func open(t *testing.T, path string) *File {
	t.Helper()
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	})
	return f
}

func TestReferenceFiles(t *testing.T) {
	f := open(t, filepath.Join(reference, "model.safetensors"))
	if got, want := len(f.Tensors()), 3*12+4; got != want {
		t.Errorf("%d tensors, want %d", got, want)
	}
	if got := f.Metadata()["format"]; got != "pt" {
		t.Errorf("metadata format %q, want pt", got)
	}
	x, ok := f.Tensor("h.0.attn.c_attn.weight")
	if !ok {
		t.Fatalf("no h.0.attn.c_attn.weight among %q", f.Tensors())
	}
	if diff := cmp.Diff([]int{64, 192}, x.Shape); diff != "" || x.DType != F32 || len(x.Data) != 4*64*192 {
		t.Errorf("found %s %v of %d bytes, want F32 [64 192] of %d", x.DType, x.Shape, len(x.Data), 4*64*192)
	}
	whole, err := os.ReadFile(x.File)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(whole[x.Offset:][:len(x.Data)], x.Data) {
		t.Error("Data are not the bytes of File at Offset")
	}
	// A layer norm's weights begin near 1: the bytes are where and what they should be.
	norm, _ := f.Tensor("h.0.ln_1.weight")
	for i := 0; i < len(norm.Data); i += 4 {
		if v := math.Float32frombits(binary.LittleEndian.Uint32(norm.Data[i:])); v < 0 || v > 2 {
			t.Fatalf("h.0.ln_1.weight[%d] = %v, want about 1", i/4, v)
		}
	}
	if _, ok := f.Tensor("h.3.ln_1.weight"); ok {
		t.Error("found a tensor of a layer that does not exist")
	}

	expected := open(t, filepath.Join(reference, "expected.safetensors"))
	if x, _ := expected.Tensor("attn.0"); !cmp.Equal(x.Shape, []int{2, 4, 17, 17}) {
		t.Errorf("attn.0 has shape %v, want [2 4 17 17]", x.Shape)
	}
}

func TestRoundTrip(t *testing.T) {
	f := open(t, filepath.Join(reference, "expected.safetensors"))
	var tensors []Tensor
	for _, name := range f.Tensors() {
		x, _ := f.Tensor(name)
		tensors = append(tensors, x)
	}
	// Each dtype, a scalar, an empty tensor, and a name to be escaped.
	for d, bits := range bits {
		tensors = append(tensors, Tensor{Name: "of " + string(d), DType: d, Shape: []int{2, 4}, Data: bytes.Repeat([]byte{7}, bits)})
	}
	tensors = append(tensors,
		Tensor{Name: "scalar", DType: F32, Data: []byte{1, 2, 3, 4}},
		Tensor{Name: "empty", DType: F32, Shape: []int{0, 3}},
		Tensor{Name: "\"<é>\"\n", DType: U8, Shape: []int{1}, Data: []byte{9}})
	path := filepath.Join(t.TempDir(), "copy.safetensors")
	metadata := map[string]string{"format": "pt", "é": "\""}
	if err := Write(path, tensors, metadata, writeData); err != nil {
		t.Fatal(err)
	}
	got := open(t, path)
	want := &File{tensors: map[string]Tensor{}, metadata: metadata}
	for _, x := range tensors {
		want.tensors[x.Name] = x
	}
	same(t, got, want)
	for _, name := range got.Tensors() {
		if x, _ := got.Tensor(name); !x.Aligned() {
			t.Errorf("%q, of %s at offset %d, is not aligned", name, x.DType, x.Offset)
		}
	}

	// Equal tensors make equal files, in whatever order they come.
	for i, j := 0, len(tensors)-1; i < j; i, j = i+1, j-1 {
		tensors[i], tensors[j] = tensors[j], tensors[i]
	}
	again := filepath.Join(t.TempDir(), "again.safetensors")
	if err := Write(again, tensors, metadata, writeData); err != nil {
		t.Fatal(err)
	}
	a, _ := os.ReadFile(path)
	b, _ := os.ReadFile(again)
	if !bytes.Equal(a, b) {
		t.Error("the order of the tensors changed the file")
	}
}

func TestWriteRejects(t *testing.T) {
	one := Tensor{Name: "a", DType: U8, Shape: []int{1}, Data: []byte{1}}
	tests := []struct {
		name    string
		tensors []Tensor
		want    string
	}{
		{"twice", []Tensor{one, one}, `tensor "a": name taken`},
		{"reserved", []Tensor{{Name: "__metadata__", DType: U8, Shape: []int{1}, Data: []byte{1}}}, "name taken"},
		{"size", []Tensor{{Name: "b", DType: F32, Shape: []int{2}, Data: make([]byte, 7)}}, "found 7 bytes, expected 8 for F32 [2]"},
		{"negative", []Tensor{{Name: "b", DType: F32, Shape: []int{-2}}}, "dimension -2"},
		{"dtype", []Tensor{{Name: "b", DType: "f32", Shape: []int{2}}}, `found "f32", expected one of`},
		{"rank", []Tensor{{Name: "b", DType: U8, Shape: make([]int, 65)}}, "found 65 dimensions"},
		{"name", []Tensor{{Name: strings.Repeat("n", 1025), DType: U8, Shape: []int{1}, Data: []byte{1}}}, "name too long"},
		{"name not UTF-8", []Tensor{{Name: "\xff", DType: U8, Shape: []int{1}, Data: []byte{1}}}, "name is not UTF-8"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "model.safetensors")
			if err := Write(path, []Tensor{one}, nil, writeData); err != nil {
				t.Fatal(err)
			}
			err := Write(path, test.tensors, nil, writeData)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want one with %q", err, test.want)
			}
			// The old file is untouched, and nothing else is left behind.
			entries, _ := os.ReadDir(dir)
			if x, ok := open(t, path).Tensor("a"); !ok || x.Data[0] != 1 || len(entries) != 1 {
				t.Errorf("a failed Write left %v and tensor %v, %v", entries, x, ok)
			}
		})
	}
}

// Replacing a file leaves those who have the old one open with the old data.
func TestWriteReplaces(t *testing.T) {
	path := filepath.Join(t.TempDir(), "model.safetensors")
	write := func(b byte) {
		if err := Write(path, []Tensor{{Name: "a", DType: U8, Shape: []int{3}, Data: []byte{b, b, b}}}, nil, writeData); err != nil {
			t.Fatal(err)
		}
	}
	write(1)
	before := open(t, path)
	write(2)
	after := open(t, path)
	for _, test := range []struct {
		f    *File
		want byte
	}{{before, 1}, {after, 2}} {
		if x, _ := test.f.Tensor("a"); !bytes.Equal(x.Data, bytes.Repeat([]byte{test.want}, 3)) {
			t.Errorf("data %v, want %d each", x.Data, test.want)
		}
	}
}

func TestAligned(t *testing.T) {
	buffer := make([]byte, 256)
	base := 0 // where an address is a multiple of 8
	for ; !(Tensor{DType: F64, Data: buffer[base:]}).Aligned(); base++ {
	}
	for shift := range 8 {
		data := file("{"+entry("a", "F32", "[1]", "[0,4]")+","+entry("b", "F16", "[1]", "[4,6]")+"}"+strings.Repeat(" ", shift), 6)
		view := buffer[base : base+copy(buffer[base:], data)]
		f, err := Parse(view, "shifted")
		if err != nil {
			t.Fatal(err)
		}
		a, _ := f.Tensor("a")
		b, _ := f.Tensor("b")
		if a.Aligned() != (a.Offset%4 == 0) || b.Aligned() != (b.Offset%2 == 0) {
			t.Errorf("offsets %d and %d: Aligned says %v and %v", a.Offset, b.Offset, a.Aligned(), b.Aligned())
		}
	}
}

func TestOpenRejects(t *testing.T) {
	dir := t.TempDir()
	empty := filepath.Join(dir, "empty.safetensors")
	if err := os.WriteFile(empty, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(empty); err == nil || !strings.Contains(err.Error(), "file too short") {
		t.Errorf("empty file: %v", err)
	}
	if _, err := Open(dir); err == nil || !strings.Contains(err.Error(), dir+": opening it: found a directory, expected a regular file") {
		t.Errorf("directory: %v", err)
	}
	missing := filepath.Join(dir, "missing.safetensors")
	if _, err := Open(missing); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), missing) {
		t.Errorf("missing file: %v", err)
	}
	if _, err := OpenDir(dir); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "expected model.safetensors, or model.safetensors.index.json") {
		t.Errorf("directory without weights: %v", err)
	}
	if _, err := OpenFS(fstest.MapFS{}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("file system without weights: %v", err)
	}
	for i, bad := range badFiles {
		path := filepath.Join(dir, fmt.Sprintf("bad-%d.safetensors", i))
		if err := os.WriteFile(path, bad.data, 0o666); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(path); err == nil || !strings.Contains(err.Error(), bad.want) {
			t.Errorf("%s: error %v, want one with %q", bad.name, err, bad.want)
		}
	}
}

func TestClose(t *testing.T) {
	f, err := Open(filepath.Join(reference, "model.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	if len(f.mappings) != 1 {
		t.Errorf("%d mappings, want 1: opening must not copy the weights", len(f.mappings))
	}
	for range 2 {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}
	if _, ok := f.Tensor("wte.weight"); ok || len(f.Tensors()) != 0 {
		t.Error("a closed file has tensors")
	}
}
