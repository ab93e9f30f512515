package tokenizer

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"reflect"

	"caldera/internal/printable"
	"caldera/internal/regular"
)

// ErrNone is the error of Load when a directory has no tokenizer files. A
// caller that only needs token ids can go on.
var ErrNone = errors.New("no tokenizer files")

// maxFileSize is in bytes. Files are not trusted; GPT-2's largest has 2 MB, for
// 50,257 tokens.
const maxFileSize = 64 << 20

// Names of the files.
const (
	jsonName   = "tokenizer.json"
	vocabName  = "vocab.json"
	mergesName = "merges.txt"
	addedName  = "added_tokens.json"
)

// pieceNames are names of SentencePiece's own file.
var pieceNames = []string{"tokenizer.model", "spiece.model"}

// MaxTokens is how many tokens a vocabulary may have.
const MaxTokens = 1 << 20

// Load reads the tokenizer of a model directory in Hugging Face's layout:
// tokenizer.json or, without it, vocab.json and merges.txt or, without these,
// tokenizer.model; and with any of them, if they exist, added_tokens.json,
// tokenizer_config.json and special_tokens_map.json. The error wraps ErrNone if the
// directory has none of the first four files.
//
// An added token is special if a file says so, or names it, for example as
// eos_token; "<|endoftext|>" is also special if vocab.json lists it. Load refuses a
// tokenizer.json with steps that this package does not know, because its ids would
// be wrong. It ignores padding and truncation.
func Load(dir string) (*Tokenizer, error) {
	return load(os.DirFS(dir), ".", dir)
}

// LoadFS is Load for the directory dir of fsys, "." for its root.
func LoadFS(fsys fs.FS, dir string) (*Tokenizer, error) {
	return load(fsys, dir, dir)
}

// load reads the files of dir in fsys; errors call the directory shown.
func load(fsys fs.FS, dir, shown string) (*Tokenizer, error) {
	if info, err := fs.Stat(fsys, dir); err != nil {
		return nil, fmt.Errorf("tokenizer: %s: %w", shown, regular.Cause(err))
	} else if !info.IsDir() {
		return nil, fmt.Errorf("tokenizer: %s is not a directory, expected one with tokenizer.json, or vocab.json and merges.txt", shown)
	}
	from := directory{fsys, dir, shown}
	d, err := from.draft()
	if err != nil {
		return nil, err
	}
	t, err := d.make()
	if err != nil {
		return nil, from.within(d.file, err)
	}
	return t, nil
}

// A directory holds the files of a tokenizer.
type directory struct {
	fsys  fs.FS
	name  string // in fsys
	shown string // its name in errors
}

// read gives the content of a file in UTF-8 to parse, and reports whether there is such a
// file. Its errors, and those of parse, name the file.
func (dir directory) read(file string, parse func(data []byte) error) (found bool, err error) {
	return dir.readRaw(file, func(data []byte) error {
		if i := printable.InvalidUTF8(data); i >= 0 {
			return fmt.Errorf("%s: found byte 0x%02x, expected UTF-8", position(data, int64(i)), data[i])
		}
		return parse(data)
	})
}

// readRaw is read for a file of any bytes, at most maxFileSize.
func (dir directory) readRaw(file string, parse func(data []byte) error) (found bool, err error) {
	data, err := regular.Read(dir.fsys, path.Join(dir.name, file), maxFileSize)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err == nil {
		err = parse(data)
	}
	return true, dir.within(file, err)
}

// within is err, if there is one, with the name of the file that it is about.
func (dir directory) within(file string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("tokenizer: %s: %w", filepath.Join(dir.shown, file), regular.Cause(err))
}

// draft reads all files.
func (dir directory) draft() (*draft, error) {
	d := &draft{index: map[string]int{}}
	if err := dir.readVocabulary(d); err != nil {
		return nil, err
	}
	if _, err := dir.read(addedName, d.readAdded); err != nil {
		return nil, err
	}
	s := &settings{named: map[string]*addedJSON{}}
	for _, file := range []string{configName, specialMapName} {
		if _, err := dir.read(file, s.read); err != nil {
			return nil, err
		}
	}
	if err := s.applyTo(d); err != nil {
		return nil, dir.within(configName, err)
	}
	return d, dir.within(d.file+" and the files of added tokens", d.vocab.checkIDs())
}

// readVocabulary reads tokenizer.json, or vocab.json and merges.txt, or tokenizer.model.
func (dir directory) readVocabulary(d *draft) error {
	d.file = jsonName
	if found, err := dir.read(jsonName, d.readJSON); found {
		return err
	}
	d.file = mergesName
	haveVocab, err := dir.read(vocabName, d.readVocab)
	if err != nil {
		return err
	}
	haveMerges, err := dir.read(mergesName, func(data []byte) (err error) {
		d.merges, err = parseMerges(data)
		return err
	})
	switch {
	case err != nil:
		return err
	case !haveVocab && !haveMerges:
		for _, name := range pieceNames {
			d.file = name
			if found, err := dir.readRaw(name, d.readPieces); found {
				return err
			}
		}
		return fmt.Errorf("tokenizer: %w in %s: expected tokenizer.json, vocab.json and merges.txt, or tokenizer.model", ErrNone, dir.shown)
	case !haveMerges:
		return fmt.Errorf("tokenizer: %s has vocab.json but no merges.txt, expected both", dir.shown)
	case !haveVocab:
		return fmt.Errorf("tokenizer: %s has merges.txt but no vocab.json, expected both", dir.shown)
	}
	return nil
}

// readVocab reads a vocab.json. GPT-2's special token is special here without
// another file that says so.
func (d *draft) readVocab(data []byte) (err error) {
	if d.vocab, err = parseVocab(data); err != nil {
		return err
	}
	if err := d.vocab.checkIDs(); err != nil {
		return err
	}
	if id, ok := d.vocab.ids[endOfText]; ok {
		return d.list(addedJSON{ID: &id, Content: endOfText, Special: true})
	}
	return nil
}

// readAdded reads an added_tokens.json: texts and ids of tokens that are not
// special unless another file says so.
func (d *draft) readAdded(data []byte) error {
	v, err := parseVocab(data)
	if err != nil {
		return err
	}
	for _, name := range v.names {
		if _, listed := d.index[name]; listed {
			continue
		}
		id := v.ids[name]
		// Beside SentencePiece's own file the texts are found before anything is normalized.
		if err := d.list(addedJSON{ID: &id, Content: name, Match: Match{Normalized: d.named == nil}}); err != nil {
			return err
		}
	}
	return nil
}

// position names the line, and the byte in it, of an offset in bytes.
func position(data []byte, offset int64) string {
	before := data[:min(max(offset, 0), int64(len(data)))]
	line := bytes.Count(before, []byte("\n")) + 1
	column := len(before) - (bytes.LastIndexByte(before, '\n') + 1) + 1
	return fmt.Sprintf("line %d, byte %d", line, column)
}

// jsonKinds name kinds of values as JSON has it, where Go's name is another.
var jsonKinds = map[reflect.Kind]string{reflect.Struct: "object", reflect.Slice: "array", reflect.Int: "integer", reflect.Float64: "number"}

// jsonKind is what JSON must have to be read as a Go value of type t.
func jsonKind(t reflect.Type) string {
	return cmp.Or(jsonKinds[t.Kind()], t.Kind().String())
}

// quote is s quoted for an error message, and cut if it is long.
func quote(s string) string {
	const most = 40
	if len(s) > most {
		return fmt.Sprintf("%q... (%d bytes)", s[:most], len(s))
	}
	return fmt.Sprintf("%q", s)
}
