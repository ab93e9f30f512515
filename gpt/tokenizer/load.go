package tokenizer

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"reflect"

	"caldera/internal/regular"
)

// ErrNone is the error of Load when a directory has no tokenizer files. A
// caller that is content with token ids can go on.
var ErrNone = errors.New("no tokenizer files")

// Files are untrusted. GPT-2's largest is 2 MB, of 50,257 tokens.
const maxFileSize = 64 << 20

// MaxTokens is how many tokens a vocabulary may have.
const MaxTokens = 1 << 20

// Load reads the tokenizer of a model directory in Hugging Face's layout:
// tokenizer.json or, without it, vocab.json and merges.txt, with
// added_tokens.json where there is one. The error wraps ErrNone when the
// directory has none of the first three.
//
// "<|endoftext|>" is a special token if vocab.json lists it, and so is every
// token of added_tokens.json, which does not say; tokenizer.json says itself
// which tokens are special. A tokenizer.json that asks for other
// steps than GPT-2's is refused, since its ids would be wrong; its padding and
// truncation are left to the caller.
func Load(dir string) (*Tokenizer, error) {
	return load(os.DirFS(dir), ".", dir)
}

// LoadFS is Load for the directory dir of fsys, "." for its root.
func LoadFS(fsys fs.FS, dir string) (*Tokenizer, error) {
	return load(fsys, dir, dir)
}

// load reads from dir of fsys, which errors call shown.
func load(fsys fs.FS, dir, shown string) (*Tokenizer, error) {
	if info, err := fs.Stat(fsys, dir); err != nil {
		return nil, fmt.Errorf("tokenizer: %s: %w", shown, reason(err))
	} else if !info.IsDir() {
		return nil, fmt.Errorf("tokenizer: %s is not a directory, expected one with tokenizer.json, or vocab.json and merges.txt", shown)
	}
	read := func(name string) ([]byte, bool, error) {
		data, err := readFile(fsys, path.Join(dir, name))
		if errors.Is(err, fs.ErrNotExist) {
			return nil, false, nil
		}
		if err != nil {
			return nil, false, fmt.Errorf("tokenizer: %s: %w", filepath.Join(shown, name), reason(err))
		}
		return data, true, nil
	}

	data, found, err := read("tokenizer.json")
	if err != nil {
		return nil, err
	}
	if found {
		t, err := parseTokenizerJSON(data)
		if err != nil {
			return nil, fmt.Errorf("tokenizer: %s: %w", filepath.Join(shown, "tokenizer.json"), err)
		}
		return t, nil
	}

	vocab, haveVocab, err := read("vocab.json")
	if err != nil {
		return nil, err
	}
	merges, haveMerges, err := read("merges.txt")
	switch {
	case err != nil:
		return nil, err
	case !haveVocab && !haveMerges:
		return nil, fmt.Errorf("tokenizer: %w in %s: expected tokenizer.json, or vocab.json and merges.txt", ErrNone, shown)
	case !haveMerges:
		return nil, fmt.Errorf("tokenizer: %s has vocab.json but no merges.txt, expected both", shown)
	case !haveVocab:
		return nil, fmt.Errorf("tokenizer: %s has merges.txt but no vocab.json, expected both", shown)
	}
	added, haveAdded, err := read("added_tokens.json")
	if err != nil {
		return nil, err
	}
	if !haveAdded {
		added = []byte("{}")
	}
	t, file, err := parseFiles(vocab, merges, added)
	if err != nil {
		return nil, fmt.Errorf("tokenizer: %s: %w", filepath.Join(shown, file), err)
	}
	return t, nil
}

// parseFiles reads the three files of the older layout. With an error it names
// the file at fault.
func parseFiles(vocab, merges, added []byte) (t *Tokenizer, file string, err error) {
	v, err := parseVocab(vocab)
	if err != nil {
		return nil, "vocab.json", err
	}
	a, err := parseVocab(added)
	if err != nil {
		return nil, "added_tokens.json", err
	}
	for _, name := range a.names {
		id := a.ids[name]
		if err := (&addedJSON{ID: &id, Content: name}).addTo(v); err != nil {
			return nil, "added_tokens.json", err
		}
	}
	if err := v.checkIDs(); err != nil {
		file := "vocab.json"
		if len(a.names) > 0 {
			file += " and added_tokens.json"
		}
		return nil, file, err
	}
	m, err := parseMerges(merges)
	if err != nil {
		return nil, "merges.txt", err
	}
	if t, err = build(v, m); err != nil {
		return nil, "merges.txt", err
	}
	for _, name := range a.names {
		if err := t.addToken(name, addedToken{id: a.ids[name], special: true}); err != nil {
			return nil, "added_tokens.json", err
		}
	}
	if id, ok := v.ids[endOfText]; ok {
		if err := t.addToken(endOfText, addedToken{id: id, special: true}); err != nil {
			return nil, "vocab.json", err
		}
	}
	return t, "", nil
}

// reason strips the path that fs errors name, for callers that name a better one.
func reason(err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}

// readFile is fs.ReadFile for UTF-8 text of at most maxFileSize.
func readFile(fsys fs.FS, name string) ([]byte, error) {
	f, err := regular.Open(fsys, name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFileSize+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxFileSize {
		return nil, fmt.Errorf("has more than %d MiB, the most that is read", maxFileSize>>20)
	}
	if i := invalidUTF8(data); i >= 0 {
		return nil, fmt.Errorf("%s: found byte 0x%02x, expected UTF-8", position(data, int64(i)), data[i])
	}
	return data, nil
}

// position says where in a file offset is.
func position(data []byte, offset int64) string {
	before := data[:min(max(offset, 0), int64(len(data)))]
	line := bytes.Count(before, []byte("\n")) + 1
	column := len(before) - (bytes.LastIndexByte(before, '\n') + 1) + 1
	return fmt.Sprintf("line %d, byte %d", line, column)
}

// jsonError adds where to an error of encoding/json. offset counts where the
// error itself does not say.
func jsonError(data []byte, offset int64, err error) error {
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("%s: the file ends within JSON: it is truncated", position(data, int64(len(data))))
	case errors.As(err, &syntax):
		return fmt.Errorf("%s: %w", position(data, syntax.Offset), err)
	case errors.As(err, &kind):
		field := kind.Field
		if field == "" {
			field = "the whole"
		}
		return fmt.Errorf("%s: %s is %s, expected %s", position(data, kind.Offset), field, kind.Value, jsonKind(kind.Type))
	}
	return fmt.Errorf("%s: %w", position(data, offset), err)
}

// jsonKind names what JSON must hold to be read as a t.
func jsonKind(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Struct:
		return "object"
	case reflect.Slice:
		return "array"
	case reflect.Int:
		return "integer"
	case reflect.Float64:
		return "number"
	}
	return t.Kind().String() // bool, string
}

// quote is %q for a token of any length.
func quote(s string) string {
	const most = 40
	if len(s) > most {
		return fmt.Sprintf("%q... (%d bytes)", s[:most], len(s))
	}
	return fmt.Sprintf("%q", s)
}
