package checkpoint

// Reads config.json and generation_config.json, by the rows of the family that it
// names. A setting that changes what the model computes must be one that we
// compute: it has a row there.

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"caldera/gpt/model"
	"caldera/internal/regular"
	"caldera/internal/strictjson"
)

const (
	configName     = "config.json"
	generationName = "generation_config.json"

	maxConfigSize  = 4 << 20 // bytes; published ones have about a thousand
	maxConfigDepth = 32
)

// ReadConfig reads a model's shape from config.json in fsys (an os.DirFS or an
// embed.FS). Where there is a generation_config.json too, its bos_token_id and
// eos_token_id count. Ids beyond the vocabulary are left out, and count for
// nothing where all are: Hugging Face's library writes GPT-2's 50256 into models
// whose vocabulary is smaller.
//
// The error names the file, the key, what was found and what was expected.
func ReadConfig(fsys fs.FS) (c model.Config, err error) {
	text, err := regular.Read(fsys, configName, maxConfigSize)
	if err == nil {
		c, err = parseConfig(text)
	}
	if err != nil {
		return model.Config{}, fmt.Errorf("%s: %w", configName, regular.Cause(err))
	}
	o, err := readGeneration(fsys)
	if errors.Is(err, fs.ErrNotExist) {
		return c, nil
	}
	if err == nil {
		err = o.tokens(&c)
	}
	if err == nil {
		err = c.Validate()
	}
	if err != nil {
		return model.Config{}, fmt.Errorf("%s: %w", generationName, regular.Cause(err))
	}
	return c, nil
}

// parseConfig reads the text of a config.json.
func parseConfig(text []byte) (model.Config, error) {
	o, err := parseSettings(text)
	if err != nil {
		return model.Config{}, err
	}
	f, err := o.family()
	if err == nil {
		err = o.unwrap(f)
	}
	if err != nil {
		return model.Config{}, err
	}
	c := f.Defaults()
	if err := f.Parse(&c, model.HuggingFace, o.at); err != nil {
		return model.Config{}, err
	}
	if _, err := o.decode("tie_word_embeddings", &c.TieEmbeddings, "true or false"); err != nil {
		return model.Config{}, err
	}
	if err := o.tokens(&c); err != nil {
		return model.Config{}, err
	}
	c = c.Complete()
	return c, c.Validate()
}

// noNumber matches strings of JSON, and what Python writes for numbers that JSON does not have.
var noNumber = regexp.MustCompile(`"(?:[^"\\]|\\.)*"|-?\b(?:NaN|Infinity)\b`)

// readGeneration reads generation_config.json. Numbers that JSON does not have become strings, which
// matter only where they are asked for.
func readGeneration(fsys fs.FS) (settings, error) {
	text, err := regular.Read(fsys, generationName, maxConfigSize)
	if err != nil {
		return nil, err
	}
	return parseSettings(noNumber.ReplaceAllFunc(text, func(found []byte) []byte {
		if found[0] == '"' {
			return found
		}
		return strconv.AppendQuote(nil, string(found))
	}))
}

// settings are the members of a JSON object.
type settings map[string]json.RawMessage

func parseSettings(text []byte) (settings, error) {
	s := settings{}
	err := strictjson.Object(text, maxConfigDepth, func(key string, value json.RawMessage) error {
		s[key] = value
		return nil
	})
	return s, err
}

// decode puts the value of key into to, unless it is absent or null, and reports whether it did.
func (s settings) decode(key string, to any, expected string) (bool, error) {
	value, ok := s[key]
	if !ok || string(value) == "null" {
		return false, nil
	}
	if err := json.Unmarshal(value, to); err != nil {
		return false, fmt.Errorf("%s: found %s, expected %s", key, strictjson.Text(value), expected)
	}
	return true, nil
}

// at is the value of that name, if there is one. A dot leads into an object; null has
// nothing in it.
func (s settings) at(name string) (json.RawMessage, error) {
	outer, inner, nested := strings.Cut(name, ".")
	switch value := s[outer]; {
	case !nested:
		return value, nil
	case value == nil || string(value) == "null":
		return nil, nil
	}
	object, err := parseSettings(s[outer])
	if err != nil {
		return nil, fmt.Errorf("%s: %w", outer, err)
	}
	return object.at(inner)
}

// unwrap puts the settings of text_config in place of those of a model that has one of
// family f as a part.
func (s settings) unwrap(f *model.Family) error {
	name := ""
	if _, err := s.decode("model_type", &name, "a string"); err != nil || f.Whole == "" || name != f.Whole {
		return err
	}
	inner, err := parseSettings(s["text_config"])
	if err != nil {
		return fmt.Errorf("text_config: %w", err)
	}
	for key, value := range inner {
		s[key] = value
	}
	return nil
}

// family is that of the model; one that is not known is an error.
func (s settings) family() (*model.Family, error) {
	var models, found []string
	name := ""
	named, err := s.decode("model_type", &name, "a string")
	if err != nil {
		return nil, err
	}
	if _, err := s.decode("architectures", &found, "an array of strings"); err != nil {
		return nil, err
	}
	for _, f := range model.Families() {
		models = append(models, strconv.Quote(f.Name))
		for _, class := range found {
			if !named && slices.Contains(f.Classes, strings.TrimPrefix(strings.TrimPrefix(class, "TF"), "Flax")) {
				return f, nil
			}
		}
		if named && (f.Name == name || f.Whole != "" && f.Whole == name) {
			return f, nil
		}
	}
	what := "neither model_type nor architectures"
	if named {
		what = fmt.Sprintf("model_type %q", strictjson.Shorten(name))
	} else if len(found) > 0 {
		what = "architectures " + strictjson.Text(s["architectures"])
	}
	return nil, fmt.Errorf("unknown architecture: found %s, expected one of model_type %s, or a class of these among architectures, such as LlamaForCausalLM",
		what, strings.Join(models, ", "))
}

// tokens reads bos_token_id and eos_token_id, each an id, several, or null.
func (s settings) tokens(c *model.Config) error {
	for _, f := range []struct {
		key string
		to  *[]int
	}{{"bos_token_id", &c.BOS}, {"eos_token_id", &c.EOS}} {
		value, ok := s[f.key]
		if !ok || string(value) == "null" {
			continue
		}
		ids := []json.RawMessage{value}
		if value[0] == '[' {
			if err := json.Unmarshal(value, &ids); err != nil {
				return fmt.Errorf("%s: %w", f.key, err)
			}
		}
		var known []int
		for _, text := range ids {
			id, err := strconv.Atoi(string(text))
			if err != nil || id < 0 {
				return fmt.Errorf("%s: found %s, expected a token id, an array of them, or null", f.key, strictjson.Text(text))
			}
			if id < c.Vocab {
				known = append(known, id)
			}
		}
		if len(known) > 0 {
			*f.to = known
		}
	}
	return nil
}
