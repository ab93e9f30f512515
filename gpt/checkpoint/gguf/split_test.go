package gguf

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// part is one file of a split model, as gguf-split writes them.
type part struct {
	name     string
	metadata []KeyValue
	tensors  []Tensor
}

func uint16Value(n uint16) Value { return Value{Uint16, []byte{byte(n), byte(n >> 8)}} }

func int32Value(n int32) Value {
	return Value{Int32, []byte{byte(n), byte(n >> 8), byte(n >> 16), byte(n >> 24)}}
}

// parts are three files with a tensor or two each.
func parts() []part {
	tensor := func(name string, data string) Tensor {
		return Tensor{Name: name, Type: F32, Shape: []int{len(data) / 4}, Data: []byte(data)}
	}
	all := []part{
		{metadata: []KeyValue{{"general.architecture", OfText("gpt2")}}, tensors: []Tensor{tensor("a", "aaaa"), tensor("b", "bbbbBBBB")}},
		{tensors: []Tensor{tensor("c", "cccc")}},
		{tensors: []Tensor{tensor("d", "dddd")}},
	}
	for i := range all {
		all[i].name = fmt.Sprintf("model-%05d-of-00003.gguf", i+1)
		all[i].metadata = append(all[i].metadata, KeyValue{splitNo, uint16Value(uint16(i))}, KeyValue{splitCount, uint16Value(3)},
			KeyValue{splitTensors, int32Value(4)})
	}
	return all
}

func (p *part) set(key string, v Value) {
	p.metadata = slices.DeleteFunc(p.metadata, func(kv KeyValue) bool { return kv.Key == key })
	if v.raw != nil {
		p.metadata = append(p.metadata, KeyValue{key, v})
	}
}

func writeParts(t testing.TB, all []part) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for _, p := range all {
		if err := Write(filepath.Join(dir, p.name), p.metadata, p.tensors, writeData); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestOpenSplit(t *testing.T) {
	dir := writeParts(t, parts())
	f, err := Open(filepath.Join(dir, "model-00001-of-00003.gguf"))
	if err != nil {
		t.Fatal(err)
	}
	if got := f.Tensors(); !slices.Equal(got, []string{"a", "b", "c", "d"}) {
		t.Errorf("tensors %q", got)
	}
	for name, want := range map[string]string{"a": "aaaa", "b": "bbbbBBBB", "c": "cccc", "d": "dddd"} {
		if x, ok := f.Tensor(name); !ok || string(x.Data) != want {
			t.Errorf("tensor %s holds %q, expected %q", name, x.Data, want)
		}
	}
	if x, _ := f.Tensor("d"); x.File != filepath.Join(dir, "model-00003-of-00003.gguf") {
		t.Errorf("tensor d is said to be in %s", x.File)
	}
	if v, _ := f.Value("general.architecture"); v.Type != String || len(f.mappings) != 3 {
		t.Errorf("architecture is a %v; %d files are mapped", v.Type, len(f.mappings))
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
}

func TestOpenSplitRejects(t *testing.T) {
	const first = "model-00001-of-00003.gguf"
	for name, c := range map[string]struct {
		change func(all []part) []part
		open   string
		want   []string
	}{
		"another part": {func(all []part) []part { return all }, "model-00002-of-00003.gguf",
			[]string{"model-00002-of-00003.gguf: this is part 2 of 3 of a split model: give the first part, ", first}},
		"another part, renamed": {func(all []part) []part { all[1].name = "x"; return all }, "x",
			[]string{"x: this is part 2 of 3", "whose name has -00001-of-"}},
		"first, renamed": {func(all []part) []part { all[0].name = "blob"; return all }, "blob",
			[]string{"blob: this is the first of 3 parts", `found "blob"`, "-00001-of-00003.gguf"}},
		"name of another count": {func(all []part) []part { all[0].name = "model-00001-of-00002.gguf"; return all }, "model-00001-of-00002.gguf",
			[]string{"this is the first of 3 parts", "-00001-of-00003.gguf"}},
		"name of another part": {func(all []part) []part {
			all[0], all[1] = part{"model-00001-of-00003.gguf", all[1].metadata, all[1].tensors}, all[0]
			return all[:1]
		},
			first, []string{"its name is that of part 1, and this is part 2 of 3", "names back"}},
		"one missing": {func(all []part) []part { return all[:2] }, first, []string{"parts of the model are missing beside it, 1 of 3: model-00003-of-00003.gguf"}},
		"both missing": {func(all []part) []part { return all[:1] }, first,
			[]string{"missing beside it, 2 of 3: model-00002-of-00003.gguf, model-00003-of-00003.gguf"}},
		"many missing": {func(all []part) []part {
			all[0].name = "model-00001-of-65535.gguf"
			all[0].set(splitCount, uint16Value(65535))
			return all[:1]
		}, "model-00001-of-65535.gguf", []string{"65534 of 65535: ", "and 65531 more"}},
		"a part of another model":   {func(all []part) []part { all[1].set(splitCount, uint16Value(4)); return all }, first, []string{"model-00002", "split.count", "found 4, expected 3"}},
		"a part that is a whole":    {func(all []part) []part { all[1].set(splitCount, Value{}); return all }, first, []string{"model-00002", "split.count", "found none"}},
		"parts that changed places": {func(all []part) []part { all[1].name, all[2].name = all[2].name, all[1].name; return all }, first, []string{"split.no", "found 2, expected 1"}},
		"no number":                 {func(all []part) []part { all[0].set(splitNo, Value{}); return all }, first, []string{"split.no of a split model is wrong: found none"}},
		"number that is text":       {func(all []part) []part { all[0].set(splitNo, OfText("0")); return all }, first, []string{"split.no", "found string"}},
		"negative count":            {func(all []part) []part { all[0].set(splitCount, Value{Int8, []byte{255}}); return all }, first, []string{"split.count", "found int8 -1"}},
		"twice":                     {func(all []part) []part { all[2].tensors = all[1].tensors; return all }, first, []string{"model-00003", `tensor "c" is in `, "model-00002"}},
		"a tensor less": {func(all []part) []part { all[2].tensors = nil; return all }, first,
			[]string{"do not hold the model's tensors: found 3, expected 4 by split.tensors.count"}},
		"not told how many tensors": {func(all []part) []part { all[0].set(splitTensors, Value{}); return all }, first, []string{"split.tensors.count"}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := writeParts(t, c.change(parts()))
			f, err := Open(filepath.Join(dir, c.open))
			if err == nil {
				f.Close()
				t.Fatal("it opened")
			}
			for _, part := range c.want {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("%q lacks %q", err, part)
				}
			}
			if missing := strings.Contains(name, "missing"); errors.Is(err, fs.ErrNotExist) != missing {
				t.Errorf("%v is fs.ErrNotExist: %v", err, !missing)
			}
		})
	}
	dir := writeParts(t, parts())
	last := filepath.Join(dir, "model-00003-of-00003.gguf")
	if err := os.Truncate(last, 60); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(filepath.Join(dir, first)); err == nil || !strings.Contains(err.Error(), last) || !strings.Contains(err.Error(), "truncated") {
		t.Errorf("with a part cut off: %v", err)
	}
}

// TestOpenOfOne opens files that gguf-split has merged: they have split.count 0.
func TestOpenOfOne(t *testing.T) {
	for count := range uint16(2) {
		one := parts()[:1]
		one[0].name = "merged.gguf"
		one[0].set(splitCount, uint16Value(count))
		f, err := Open(filepath.Join(writeParts(t, one), "merged.gguf"))
		if err != nil {
			t.Fatal(err)
		}
		f.Close()
	}
}

// FuzzOpenSplit has a second part of any bytes, and a first of any numbers.
func FuzzOpenSplit(f *testing.F) {
	second, err := os.ReadFile(filepath.Join(writeParts(f, parts()), "model-00002-of-00003.gguf"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(second, uint16(3), int32(4))
	f.Add(second[:50], uint16(2), int32(-1))
	f.Add([]byte{}, uint16(65535), int32(0))
	f.Fuzz(func(t *testing.T, second []byte, count uint16, tensors int32) {
		all := parts()
		all[0].name = fmt.Sprintf("model-00001-of-%05d.gguf", count)
		all[0].set(splitCount, uint16Value(count))
		all[0].set(splitTensors, int32Value(tensors))
		dir := writeParts(t, all)
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("model-00002-of-%05d.gguf", count)), second, 0o666); err != nil {
			t.Fatal(err)
		}
		file, err := Open(filepath.Join(dir, all[0].name))
		if err != nil {
			return
		}
		for _, name := range file.Tensors() {
			x, ok := file.Tensor(name)
			n, err := byteSize(x)
			if !ok || err != nil || n != len(x.Data) {
				t.Errorf("tensor %q of %v has %d bytes, %v", name, x.Shape, len(x.Data), err)
			}
		}
		if err := file.Close(); err != nil {
			t.Error(err)
		}
	})
}
