package checkpoint

// A model as llama.cpp keeps it in a GGUF file: what of the metadata is its shape,
// by the rows of its family, and what its tokenizer.

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"caldera/backend"
	"caldera/gpt/checkpoint/gguf"
	"caldera/gpt/model"
	"caldera/gpt/tokenizer"
	"caldera/internal/strictjson"
)

// Keys of the metadata.
const (
	keyArchitecture = "general.architecture"
	keyName         = "general.name"
	keyFileType     = "general.file_type"
	keyQuantization = "general.quantization_version"

	keyVocab     = ".vocab_size" // after the architecture, where there are no tokens to count
	keyTokenizer = "tokenizer.ggml.model"
	keySplit     = "tokenizer.ggml.pre" // how text is cut into words
	keyTokens    = "tokenizer.ggml.tokens"
	keyTypes     = "tokenizer.ggml.token_type"
	keyMerges    = "tokenizer.ggml.merges"
	keyBOS       = "tokenizer.ggml.bos_token_id"
	keyEOS       = "tokenizer.ggml.eos_token_id"
	keyEOT       = "tokenizer.ggml.eot_token_id" // ends a text as well
	keyAddBOS    = "tokenizer.ggml.add_bos_token"
	keyAddEOS    = "tokenizer.ggml.add_eos_token"
	keyScores    = "tokenizer.ggml.scores"
	keyUnknown   = "tokenizer.ggml.unknown_token_id"
	keyCharsmap  = "tokenizer.ggml.precompiled_charsmap"
	keyCollapse  = "tokenizer.ggml.remove_extra_whitespaces"
	keyAddSpace  = "tokenizer.ggml.add_space_prefix" // llama.cpp has no use for it where tokenizers are of GPT-2's kind
)

// ggufFile is a source.
type ggufFile struct{ *gguf.File }

func (f ggufFile) tensor(name string) rawTensor {
	t, _ := f.Tensor(name)
	return rawTensor{Name: t.Name, DType: t.Type.String(), Shape: t.Shape, Data: func() []byte { return t.Data }, File: t.File, aligned: t.Aligned(), drop: func() { f.Drop(t) }}
}

func openGGUF(path string) (*Checkpoint, error) {
	f, err := gguf.Open(path)
	if err != nil {
		return nil, err
	}
	c, err := fromGGUF(f, path)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", path, err), f.Close())
	}
	return c, nil
}

// fromGGUF makes a checkpoint of an open file; path stands for it in errors.
func fromGGUF(f *gguf.File, path string) (*Checkpoint, error) {
	m := metadata{f}
	config, err := m.config()
	if err != nil {
		return nil, err
	}
	name, _, err := m.text(keyName)
	if err != nil {
		return nil, err
	}
	if name == "" {
		name = strings.TrimSuffix(filepath.Base(path), filepath.Ext(path))
		if model, _, _, split := gguf.SplitName(path); split {
			name = model
		}
	}
	kind, _, err := m.integer(keyFileType)
	if err != nil {
		return nil, err
	}
	return &Checkpoint{
		Config: config, Name: name, Path: path, mixture: backend.MixtureOfGGUF(uint32(kind)), file: ggufFile{f}, layout: ggufLayout,
		tokenizer: func() (*tokenizer.Tokenizer, error) {
			t, err := m.tokenizer(config.Vocab)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", path, err)
			}
			return t, nil
		},
		template: m.chatTemplate, templates: m.namedTemplates, sampling: m.sampling,
	}, nil
}

// maxList is the length of the longest list that a setting may be: one value for each layer.
const maxList = 1 << 12

// metadata reads a file's metadata.
type metadata struct{ *gguf.File }

// config reads the shape of a model.
func (m metadata) config() (c model.Config, err error) {
	a, _, err := m.text(keyArchitecture)
	if err != nil {
		return c, err
	}
	var known []string
	var f *model.Family
	for _, x := range model.Families() {
		v, marked := m.Value(x.GGUF + "." + x.Mark)
		if n, number := v.Int(); number && n == 0 {
			marked = false // llama.cpp writes a window of 0 of models that have none
		}
		if x.GGUF == a && (marked || x.Mark == "" && f == nil) {
			f = x
		}
		if name := strconv.Quote(x.GGUF); !slices.Contains(known, name) {
			known = append(known, name)
		}
	}
	if f == nil {
		return c, fmt.Errorf("unknown architecture: found %s %q, expected one of %s", keyArchitecture, strictjson.Shorten(a), strings.Join(known, ", "))
	}
	tokens, ok := m.Tensor(f.Row(model.Embedding).GGUF)
	if !ok || len(tokens.Shape) != 2 {
		return c, fmt.Errorf("tensor %s: missing or no matrix, expected one row a token", f.Row(model.Embedding).GGUF)
	}
	if c, err = parseMetadata(f, m.Value, m.Tensor); err != nil {
		return c, err
	}
	c.Vocab, c.BOS, c.EOS = tokens.Shape[0], nil, nil
	_, untied := m.Tensor(f.Row(model.Unembedding).GGUF)
	c.TieEmbeddings = !untied
	for _, f := range []struct {
		key string
		to  *[]int
	}{{keyBOS, &c.BOS}, {keyEOS, &c.EOS}, {keyEOT, &c.EOS}} {
		id, found, err := m.integer(f.key)
		if err != nil {
			return c, err
		}
		if found && id < c.Vocab && !(f.to == &c.EOS && c.Ends(id)) {
			*f.to = append(*f.to, id)
		}
	}
	return c, c.Validate()
}

// parseMetadata reads the settings of a model of family f.
func parseMetadata(f *model.Family, at func(key string) (gguf.Value, bool), tensor func(name string) (gguf.Tensor, bool)) (model.Config, error) {
	c := f.Defaults()
	err := f.Parse(&c, model.GGUF, func(name string) (json.RawMessage, error) {
		if v, found := at(name); found {
			return json.RawMessage(asJSON(v)), nil
		}
		return nil, nil
	})
	for _, s := range f.Keys {
		if t, found := tensor(s.Tensor); found && err == nil {
			err = s.SetTensor(&c, func() ([]float32, error) {
				if t.Type != gguf.TypeOf(backend.F32) || len(t.Shape) != 1 || t.Shape[0] == 0 {
					return nil, fmt.Errorf("tensor %s: found %v %v, expected a vector of F32", t.Name, t.Type, t.Shape)
				}
				numbers := make([]float32, t.Shape[0])
				decode(numbers, backend.F32, t.Data)
				return numbers, nil
			})
		}
	}
	return c.Complete(), err
}

// asJSON is a value as config.json would have it.
func asJSON(v gguf.Value) string {
	if n, ok := v.Int(); ok {
		return strconv.FormatInt(n, 10)
	}
	if x, ok := v.Float(); ok { // the shortest decimal that is this float32, 1e-05, is what the model was made with
		return strconv.FormatFloat(x, 'g', -1, 32)
	}
	if b, ok := v.Bool(); ok {
		return strconv.FormatBool(b)
	}
	if s, ok := v.Text(); ok {
		text, _ := json.Marshal(s)
		return string(text)
	}
	// A list with a value for each layer.
	if _, n, ok := v.Elements(); ok && n <= maxList {
		var list []any
		if bools, ok := v.Bools(); ok {
			for _, b := range bools {
				list = append(list, b)
			}
		} else if ints, ok := v.Ints(); ok {
			for _, i := range ints {
				list = append(list, i)
			}
		}
		if text, err := json.Marshal(list); err == nil && list != nil {
			return string(text)
		}
	}
	return fmt.Sprintf("an %v", v.Type)
}

// valueOf reads the value of a key as get has it, and whether there is one.
func valueOf[T any](m metadata, key, expected string, get func(gguf.Value) (T, bool)) (x T, found bool, err error) {
	v, found := m.Value(key)
	if !found {
		return x, false, nil
	}
	x, ok := get(v)
	if !ok {
		return x, false, fmt.Errorf("%s: found %v, expected %s", key, v.Type, expected)
	}
	return x, true, nil
}

// integer reads a whole number from 0 on, and whether there is one of that key.
func (m metadata) integer(key string) (int, bool, error) {
	n, found, err := valueOf(m, key, "a whole number", gguf.Value.Int)
	if found && (n < 0 || n > math.MaxInt32) {
		return 0, false, fmt.Errorf("%s: found %d, expected 0 to %d", key, n, math.MaxInt32)
	}
	return int(n), found, err
}

// flag reads a boolean, which is false where it is absent.
func (m metadata) flag(key string) (bool, error) { return m.flagOr(key, false) }

// flagOr is flag with another value where it is absent.
func (m metadata) flagOr(key string, absent bool) (bool, error) {
	b, found, err := valueOf(m, key, "true or false", gguf.Value.Bool)
	if !found {
		b = absent
	}
	return b, err
}

func (m metadata) text(key string) (string, bool, error) {
	return valueOf(m, key, "a string", gguf.Value.Text)
}
