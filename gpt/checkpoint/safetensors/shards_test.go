package safetensors

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

// shard makes a file with tensors of one byte, each holding the first of its name.
func shard(names ...string) string {
	var entries, data []string
	for i, name := range names {
		entries = append(entries, entry(name, "U8", "[1]", fmt.Sprintf("[%d,%d]", i, i+1)))
		data = append(data, name[:1])
	}
	return string(file("{"+strings.Join(entries, ",")+"}", 0)) + strings.Join(data, "")
}

const goodIndex = `{"metadata":{"total_size":4,"nested":[[{}]]},
	"weight_map":{"a":"s-1.safetensors","c":"s-2.safetensors","b":"s-2.safetensors","d":"s-1.safetensors"}}`

func goodShards() map[string]string {
	return map[string]string{
		"s-1.safetensors": shard("a", "d"),
		"s-2.safetensors": shard("b", "c"),
		IndexName:         goodIndex,
	}
}

func TestShards(t *testing.T) {
	dir, memory := t.TempDir(), fstest.MapFS{}
	for name, text := range goodShards() {
		memory[name] = &fstest.MapFile{Data: []byte(text)}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	onDisk, err := OpenDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	inMemory, err := OpenFS(memory)
	if err != nil {
		t.Fatal(err)
	}
	if len(onDisk.mappings) != 2 || len(inMemory.mappings) != 0 {
		t.Errorf("%d and %d mappings, want 2 and 0", len(onDisk.mappings), len(inMemory.mappings))
	}
	for _, f := range []*File{onDisk, inMemory} {
		if got, want := f.Tensors(), []string{"a", "b", "c", "d"}; !slices.Equal(got, want) {
			t.Errorf("tensors %q, want %q", got, want)
		}
		for _, name := range f.Tensors() {
			if x, _ := f.Tensor(name); string(x.Data) != name {
				t.Errorf("tensor %s holds %q", name, x.Data)
			}
		}
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}

	// A single file comes before an index, as Hugging Face's library has it.
	memory[SingleName] = &fstest.MapFile{Data: []byte(shard("single"))}
	f, err := OpenFS(memory)
	if err != nil || !slices.Equal(f.Tensors(), []string{"single"}) {
		t.Errorf("got %v, %v, want the tensors of %s", f, err, SingleName)
	}
}

func TestShardsRejects(t *testing.T) {
	weightMap := func(shard string) string {
		return `{"weight_map":{"a":"` + shard + `"}}`
	}
	tests := []struct {
		name   string
		change map[string]string // files that differ from the good ones; empty: absent
		want   string
	}{
		{"missing shard", map[string]string{"s-2.safetensors": ""}, "s-2.safetensors: this shard is missing, dir/model.safetensors.index.json names it"},
		{"damaged shard", map[string]string{"s-2.safetensors": "{}"}, "dir/s-2.safetensors: file too short"},
		{"tensor missing", map[string]string{"s-2.safetensors": shard("b")}, `dir/s-2.safetensors: tensor "c": missing in this shard, where dir/model.safetensors.index.json places it`},
		{"tensor in two shards", map[string]string{"s-2.safetensors": shard("b", "c", "a")}, `dir/s-2.safetensors: tensor "a": in two shards: found it in dir/s-1.safetensors too`},
		{"tensor in another shard", map[string]string{"s-1.safetensors": shard("a", "d", "c"), "s-2.safetensors": shard("b")}, `dir/s-2.safetensors: tensor "c": missing in this shard`},
		{"tensor not in the index", map[string]string{"s-2.safetensors": shard("b", "c", "x")}, `dir/s-2.safetensors: tensor "x": not in the index`},
		{"no JSON", map[string]string{IndexName: "weights"}, "dir/model.safetensors.index.json: the index is damaged: invalid JSON"},
		{"empty index", map[string]string{IndexName: " "}, "the index is damaged"},
		{"array", map[string]string{IndexName: "[]"}, "found a JSON array, expected an object"},
		{"no weight_map", map[string]string{IndexName: "{}"}, "no weight_map"},
		{"weight_map is no object", map[string]string{IndexName: `{"weight_map":"a"}`}, "found a JSON string"},
		{"shard is no string", map[string]string{IndexName: `{"weight_map":{"a":1}}`}, `tensor "a": bad name of a shard: found 1`},
		{"shard null", map[string]string{IndexName: `{"weight_map":{"a":null}}`}, "bad name of a shard: found null"},
		{"tensor twice", map[string]string{IndexName: `{"weight_map":{"a":"s-1.safetensors","a":"s-2.safetensors"}}`}, `key "a" stands there twice`},
		{"long tensor name", map[string]string{IndexName: `{"weight_map":{"` + strings.Repeat("n", 2000) + `":"s"}}`}, "name too long"},
		{"deep", map[string]string{IndexName: `{"metadata":` + strings.Repeat("[", 20)}, "deeper than 16 levels"},
		{"shard above", map[string]string{IndexName: weightMap("../s-1.safetensors")}, `bad name of a shard: found "../s-1.safetensors", expected the name of a file beside the index`},
		{"shard below", map[string]string{IndexName: weightMap("sub/s-1.safetensors")}, "bad name of a shard"},
		{"absolute shard", map[string]string{IndexName: weightMap("/etc/passwd")}, "bad name of a shard"},
		{"Windows path", map[string]string{IndexName: weightMap(`..\\s-1.safetensors`)}, "bad name of a shard"},
		{"Windows drive", map[string]string{IndexName: weightMap(`C:s-1.safetensors`)}, "bad name of a shard"},
		{"zero byte", map[string]string{IndexName: weightMap(`s\u0000`)}, "bad name of a shard"},
		{"control characters", map[string]string{IndexName: weightMap(`s\u001b[31m`)}, `bad name of a shard: found "s\u001b[31m"`},
		{"C1 control characters", map[string]string{IndexName: weightMap("s\u009b31m")}, `bad name of a shard: found "s\u009b31m"`},
		{"dot", map[string]string{IndexName: weightMap(`.`)}, "bad name of a shard"},
		{"dots", map[string]string{IndexName: weightMap(`..`)}, "bad name of a shard"},
		{"no name", map[string]string{IndexName: weightMap(``)}, "bad name of a shard"},
		{"long shard name", map[string]string{IndexName: weightMap(strings.Repeat("s", 256))}, "bad name of a shard"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			files := goodShards()
			maps.Copy(files, test.change)
			memory := fstest.MapFS{}
			for name, text := range files {
				if text != "" {
					memory[name] = &fstest.MapFile{Data: []byte(text)}
				}
			}
			_, err := openCheckpoint(memory, "dir")
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want one with %q", err, test.want)
			}
			var format *FormatError
			if !errors.As(err, &format) && !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("error %v is neither a *FormatError nor fs.ErrNotExist", err)
			}
		})
	}
}

func FuzzIndex(f *testing.F) {
	f.Add([]byte(goodIndex))
	f.Add([]byte(`{"weight_map":{"a":"../s"}}`))
	f.Add([]byte(`{"weight_map":{"a":"s","a":"t"}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		weightMap, err := parseIndex(text, IndexName)
		if err != nil {
			return
		}
		for tensor, shard := range weightMap {
			if len(tensor) > maxName || filepath.Base(shard) != shard || shard == "." || shard == ".." || shard == "" {
				t.Errorf("tensor %q in shard %q", tensor, shard)
			}
		}
	})
}
