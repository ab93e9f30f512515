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

	"caldera/internal/printable"
	"caldera/internal/regular"
)

// ErrNone is the error of Load when a directory has no tokenizer files. A
// caller that is content with token ids can go on.
var ErrNone = errors.New("no tokenizer files")

// Files are untrusted. GPT-2's largest is 2 MB, of 50,257 tokens.
const maxFileSize = 64 << 20

// Names of the files.
const (
	jsonName   = "tokenizer.json"
	vocabName  = "vocab.json"
	mergesName = "merges.txt"
	addedName  = "added_tokens.json"
)

// MaxTokens is how many tokens a vocabulary may have.
const MaxTokens = 1 << 20

// Load reads the tokenizer of a model directory in Hugging Face's layout:
// tokenizer.json or, without it, vocab.json and merges.txt; and beside either
// added_tokens.json, tokenizer_config.json and special_tokens_map.json where they
// are. The error wraps ErrNone when the directory has none of the first three.
//
// An added token is a special one if a file says so, or names it, as eos_token
// for example; "<|endoftext|>" is one too where vocab.json lists it. A tokenizer.json
// that asks for steps that are not known here is refused, since its ids would be
// wrong; its padding and truncation are left to the caller.
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

	d, err := readDraft(shown, read)
	var t *Tokenizer
	if err == nil {
		t, err = d.make()
		err = within(d.file, err)
	}
	var in *fileError
	if errors.As(err, &in) {
		return nil, fmt.Errorf("tokenizer: %s: %w", filepath.Join(shown, in.file), in.err)
	}
	return t, err
}

// readDraft reads all files of a directory. An error in one of them is a fileError.
func readDraft(shown string, read func(name string) ([]byte, bool, error)) (*draft, error) {
	d, err := readVocabulary(shown, read)
	if err != nil {
		return nil, err
	}
	data, found, err := read(addedName)
	if err != nil {
		return nil, err
	}
	if found {
		if err := d.addFile(data); err != nil {
			return nil, within(addedName, err)
		}
	}
	// Where tokenizer_config.json lists added tokens it is younger than the map.
	s := &settings{}
	for _, name := range []string{configName, specialMapName} {
		data, found, err := read(name)
		if err != nil {
			return nil, err
		}
		if found {
			if err := s.read(data, s.added == nil); err != nil {
				return nil, within(name, err)
			}
		}
	}
	if err := s.applyTo(d); err != nil {
		return nil, within(configName, err)
	}
	if err := d.vocab.checkIDs(); err != nil {
		return nil, within(d.file+" and the files of added tokens", err)
	}
	return d, nil
}

// readVocabulary reads tokenizer.json, or vocab.json and merges.txt.
func readVocabulary(shown string, read func(name string) ([]byte, bool, error)) (*draft, error) {
	data, found, err := read(jsonName)
	if err != nil {
		return nil, err
	}
	if found {
		d, err := parseTokenizerJSON(data)
		if err != nil {
			return nil, within(jsonName, err)
		}
		d.file = jsonName
		return d, nil
	}
	vocab, haveVocab, err := read(vocabName)
	if err != nil {
		return nil, err
	}
	merges, haveMerges, err := read(mergesName)
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
	d := &draft{file: mergesName}
	if d.vocab, err = parseVocab(vocab); err != nil {
		return nil, within(vocabName, err)
	}
	if err := d.vocab.checkIDs(); err != nil {
		return nil, within(vocabName, err)
	}
	if d.merges, err = parseMerges(merges); err != nil {
		return nil, within(mergesName, err)
	}
	if id, ok := d.vocab.ids[endOfText]; ok {
		if err := d.list(addedJSON{ID: &id, Content: endOfText, Special: true}); err != nil {
			return nil, within(vocabName, err)
		}
	}
	return d, nil
}

// addFile reads an added_tokens.json: texts and ids of tokens that are not
// special unless another file says so.
func (d *draft) addFile(data []byte) error {
	v, err := parseVocab(data)
	if err != nil {
		return err
	}
	for _, name := range v.names {
		id := v.ids[name]
		if _, listed := d.index[name]; !listed {
			if err := d.list(addedJSON{ID: &id, Content: name, Normalized: true}); err != nil {
				return err
			}
		}
	}
	return nil
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
	if i := printable.InvalidUTF8(data); i >= 0 {
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
