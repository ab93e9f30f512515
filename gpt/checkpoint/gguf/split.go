package gguf

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

// Keys of the parts of a model that llama.cpp's gguf-split has split. Each part has
// them; only the first part also has the metadata of the model.
const (
	splitNo      = "split.no"            // from 0 on
	splitCount   = "split.count"         // parts of the model
	splitTensors = "split.tensors.count" // tensors of the model
)

var splitName = regexp.MustCompile(`^(.+)-([0-9]{5})-of-([0-9]{5})\.gguf$`)

// SplitName reads the name of a part of a split model: model-00002-of-00003.gguf is
// part 2 of 3 of a model. ok is false for other names.
func SplitName(path string) (model string, part, parts int, ok bool) {
	m := splitName.FindStringSubmatch(filepath.Base(path))
	if m == nil {
		return "", 0, 0, false
	}
	part, _ = strconv.Atoi(m[2])
	parts, _ = strconv.Atoi(m[3])
	return m[1], part, parts, part >= 1 && part <= parts
}

// partPath is the path of another part of the model of which path is one.
func partPath(path, model string, part, parts int) string {
	return filepath.Join(filepath.Dir(path), fmt.Sprintf("%s-%05d-of-%05d.gguf", model, part, parts))
}

// join adds to f, the file at path, the other parts of its model if it is the
// first of several. It refuses another part, as llama.cpp does.
func (f *File) join(path string) error {
	parts, err := f.splitKey(path, splitCount, false)
	if err != nil || parts <= 1 {
		return err
	}
	no, err := f.splitKey(path, splitNo, true)
	if err != nil {
		return err
	}
	model, namedPart, namedParts, ok := SplitName(path)
	switch {
	case no != 0 && ok && namedPart == 1:
		return &FormatError{File: path, Problem: fmt.Sprintf("its name is that of part 1, and this is part %d of %d of a split model: give the parts their own names back", no+1, parts)}
	case no != 0:
		first := "the part whose name has -00001-of-"
		if ok && namedParts == parts {
			first = partPath(path, model, 1, parts)
		}
		return &FormatError{File: path, Problem: fmt.Sprintf("this is part %d of %d of a split model: give the first part, %s", no+1, parts, first)}
	case !ok || namedPart != 1 || namedParts != parts:
		return &FormatError{File: path, Problem: fmt.Sprintf("this is the first of %d parts, whose names must tell which is which", parts),
			Found: strconv.Quote(filepath.Base(path)), Expected: fmt.Sprintf("a name that ends in -00001-of-%05d.gguf", parts)}
	}
	if err := partsMissing(path, model, parts); err != nil {
		return err
	}
	for i := 1; i < parts; i++ {
		if err := f.add(partPath(path, model, i+1, parts), i, parts); err != nil {
			return err
		}
	}
	tensors, err := f.splitKey(path, splitTensors, true)
	if err == nil && tensors != len(f.tensors) {
		err = &FormatError{File: path, Problem: "the parts do not hold the model's tensors", Found: strconv.Itoa(len(f.tensors)),
			Expected: fmt.Sprintf("%d by %s", tensors, splitTensors)}
	}
	return err
}

// partsMissing is an error that names the parts that are missing beside path, if any are.
func partsMissing(path, model string, parts int) error {
	var missing []string
	for i := 2; i <= parts; i++ {
		part := partPath(path, model, i, parts)
		if _, err := os.Stat(part); errors.Is(err, fs.ErrNotExist) {
			missing = append(missing, filepath.Base(part))
		}
	}
	if missing == nil {
		return nil
	}
	named := strings.Join(missing[:min(len(missing), 3)], ", ")
	if n := len(missing) - 3; n > 0 {
		named += fmt.Sprintf(" and %d more", n)
	}
	return fmt.Errorf("%s: parts of the model are missing beside it, %d of %d: %s: %w", path, len(missing), parts, named, fs.ErrNotExist)
}

// add maps the part at path and adds its tensors to f. The part must say that it
// is the one of that number, counted from 0, of that many parts.
func (f *File) add(path string, number, parts int) error {
	part, err := openOne(path)
	if err != nil {
		return err
	}
	f.mappings = append(f.mappings, part.mappings...)
	for _, k := range []struct {
		key  string
		want int
	}{{splitCount, parts}, {splitNo, number}} {
		n, err := part.splitKey(path, k.key, true)
		if err != nil {
			return err
		}
		if n != k.want {
			return &FormatError{File: path, Problem: k.key + ": the parts are not of one model, or were renamed",
				Found: strconv.Itoa(n), Expected: strconv.Itoa(k.want)}
		}
	}
	if n := len(f.tensors) + len(part.tensors); n > maxTensors {
		return &FormatError{File: path, Problem: "too many tensors in all parts", Found: strconv.Itoa(n), Expected: fmt.Sprintf("at most %d", maxTensors)}
	}
	for _, t := range part.tensors {
		if i, twice := f.byName[t.Name]; twice {
			return &FormatError{File: path, Problem: fmt.Sprintf("tensor %q is in %s too", t.Name, f.tensors[i].File)}
		}
		f.byName[t.Name] = len(f.tensors)
		f.tensors = append(f.tensors, t)
	}
	return nil
}

// splitKey reads the number of a key about parts. Where the key is missing it is
// 0, or an error if it is needed.
func (f *File) splitKey(path, key string, needed bool) (int, error) {
	v, found := f.Value(key)
	if !found && !needed {
		return 0, nil
	}
	n, ok := v.Int()
	if ok && n >= 0 && n <= math.MaxInt32 {
		return int(n), nil
	}
	what := "none"
	if found {
		what = v.describe()
	}
	return 0, &FormatError{File: path, Problem: key + " of a split model is wrong", Found: what, Expected: "a whole number"}
}
