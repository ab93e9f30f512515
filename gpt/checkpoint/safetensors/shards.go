package safetensors

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"caldera/internal/mapfile"
	"caldera/internal/printable"
	"caldera/internal/regular"
	"caldera/internal/strictjson"
)

// The names under which Hugging Face publishes a checkpoint's weights.
const (
	SingleName = "model.safetensors"
	IndexName  = "model.safetensors.index.json"
)

// indexDepth is how deep the JSON of an index may be nested: its metadata may be
// of any form.
const indexDepth = 16

// openCheckpoint opens the checkpoint in fsys; errors call fsys dir.
func openCheckpoint(fsys fs.FS, dir string) (*File, error) {
	f, err := openFS(fsys, SingleName, filepath.Join(dir, SingleName))
	if !errors.Is(err, fs.ErrNotExist) {
		return f, err
	}
	f, err = openIndex(fsys, dir, IndexName)
	if errors.Is(err, errNoIndex) {
		if dir == "" {
			dir = "the file system"
		}
		return nil, fmt.Errorf("%s: no weights: expected %s, or %s and its shards: %w", dir, SingleName, IndexName, fs.ErrNotExist)
	}
	return f, err
}

// OpenIndex opens the shards that the index at path names. They must be in the
// directory of the index. A shard that is missing is an error that wraps
// fs.ErrNotExist.
func OpenIndex(path string) (*File, error) {
	dir, name := filepath.Dir(path), filepath.Base(path)
	return openIndex(os.DirFS(dir), dir, name)
}

// errNoIndex is the error of a missing index. That of a missing shard is another one.
var errNoIndex = fmt.Errorf("no index: %w", fs.ErrNotExist)

// openIndex opens the shards of the index of that name in fsys; errors call fsys dir.
func openIndex(fsys fs.FS, dir, name string) (*File, error) {
	index := filepath.Join(dir, name)
	text, err := regular.Read(fsys, name, maxHeader)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: %w", index, errNoIndex)
	}
	if err != nil {
		return nil, mapfile.Error(index, err)
	}
	weightMap, err := parseIndex(text, index)
	if err != nil {
		return nil, err
	}
	return openShards(fsys, dir, index, weightMap)
}

// IndexedFiles returns the names of the shards that an index, whose content text is, names,
// each once. Errors call the index by its name.
func IndexedFiles(text []byte, index string) ([]string, error) {
	if len(text) > maxHeader {
		return nil, &FormatError{File: index, Problem: "too long", Found: fmt.Sprintf("%d bytes", len(text)), Expected: fmt.Sprintf("at most %d", maxHeader)}
	}
	weightMap, err := parseIndex(text, index)
	if err != nil {
		return nil, err
	}
	return slices.Compact(slices.Sorted(maps.Values(weightMap))), nil
}

// parseIndex returns the weight_map of an index: the shard of each tensor.
func parseIndex(text []byte, index string) (map[string]string, error) {
	weightMap := map[string]string{}
	found := false
	err := strictjson.Object(text, indexDepth, func(key string, value json.RawMessage) error {
		if key != "weight_map" {
			return nil // metadata, such as total_size
		}
		found = true
		return strictjson.Object(value, indexDepth, func(tensor string, value json.RawMessage) error {
			if err := checkName(tensor); err != nil {
				return &FormatError{File: index, Tensor: strictjson.Shorten(tensor), Problem: err.Error()}
			}
			var shard string
			if json.Unmarshal(value, &shard) != nil || !plainName(shard) {
				return &FormatError{File: index, Tensor: tensor, Problem: "bad name of a shard",
					Found: strictjson.Text(value), Expected: "the name of a file beside the index, without a path"}
			}
			if len(weightMap) == maxTensors {
				return &FormatError{File: index, Problem: "too many tensors", Found: fmt.Sprintf("more than %d", maxTensors)}
			}
			weightMap[tensor] = shard
			return nil
		})
	})
	if err == nil && !found {
		err = &FormatError{File: index, Problem: "no weight_map", Expected: `an object of "tensor": "shard"`}
	}
	if err != nil {
		return nil, damaged(err, index, "the index is damaged")
	}
	return weightMap, nil
}

// plainName reports whether name is that of a file in the same directory on any
// operating system, so that an index cannot make us read elsewhere, and one that
// can be printed.
func plainName(name string) bool {
	return fs.ValidPath(name) && path.Base(name) == name && name != "." && len(name) <= 255 &&
		!strings.ContainsAny(name, "\\:\x00") && printable.Text(name) == name
}

// openShards opens the shards that an index names and joins them.
func openShards(fsys fs.FS, dir, index string, weightMap map[string]string) (_ *File, err error) {
	all := &File{tensors: make(map[string]Tensor, len(weightMap))}
	defer func() {
		if err != nil {
			err = errors.Join(err, all.Close())
		}
	}()
	shards := slices.Sorted(maps.Values(weightMap))
	for _, shard := range slices.Compact(shards) {
		path := filepath.Join(dir, shard)
		f, err := openFS(fsys, shard, path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("%s: this shard is missing, %s names it: %w", path, index, fs.ErrNotExist)
		}
		if err != nil {
			return nil, err
		}
		all.mappings = append(all.mappings, f.mappings...)
		if all.metadata == nil {
			all.metadata = f.metadata
		}
		for name, t := range f.tensors {
			if other, twice := all.tensors[name]; twice {
				return nil, &FormatError{File: path, Tensor: name, Problem: "in two shards", Found: "it in " + other.File + " too"}
			}
			if weightMap[name] == "" {
				return nil, &FormatError{File: path, Tensor: name, Problem: "not in the index, so shards and index are not of one checkpoint",
					Expected: "an entry in " + index}
			}
			all.tensors[name] = t
		}
	}
	for _, name := range slices.Sorted(maps.Keys(weightMap)) {
		path := filepath.Join(dir, weightMap[name])
		if t, ok := all.tensors[name]; !ok || t.File != path {
			return nil, &FormatError{File: path, Tensor: name, Problem: "missing in this shard, where " + index + " places it"}
		}
		all.names = append(all.names, name)
	}
	return all, nil
}
