package gpt

// Reads config.json and generation_config.json. A setting that changes what the
// model computes must be one that we compute; it is added to the table in
// unsupported, or to Config.

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strconv"
	"strings"

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
func ReadConfig(fsys fs.FS) (Config, error) {
	text, err := readConfigFile(fsys, configName)
	if err != nil {
		return Config{}, err
	}
	c, err := parseConfig(text)
	if err != nil {
		return Config{}, fmt.Errorf("%s: %w", configName, err)
	}
	text, err = readConfigFile(fsys, generationName)
	if errors.Is(err, fs.ErrNotExist) {
		return c, nil
	}
	if err != nil {
		return Config{}, err
	}
	if err := parseGenerationConfig(text, &c); err != nil {
		return Config{}, fmt.Errorf("%s: %w", generationName, err)
	}
	return c, nil
}

// readConfigFile reads a small file. It takes no more of a large one than shows that it is.
func readConfigFile(fsys fs.FS, name string) ([]byte, error) {
	f, err := regular.Open(fsys, name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxConfigSize+1))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if len(text) > maxConfigSize {
		return nil, fmt.Errorf("%s: found more than %d bytes, expected a configuration of about a thousand", name, maxConfigSize)
	}
	return text, nil
}

// parseConfig reads the text of a config.json.
func parseConfig(text []byte) (Config, error) {
	o, err := parseSettings(text)
	if err != nil {
		return Config{}, err
	}
	if err := o.architecture(); err != nil {
		return Config{}, err
	}
	if err := o.unsupported(); err != nil {
		return Config{}, err
	}
	c := Config{Epsilon: 1e-5, TieEmbeddings: true} // what Hugging Face takes where the file is silent
	for _, f := range []struct {
		keys     []string // the first that is there counts
		to       *int
		optional bool
	}{
		// Transformers reads the general names in place of GPT-2's own, and before them.
		{[]string{"num_hidden_layers", "n_layer"}, &c.Layers, false},
		{[]string{"num_attention_heads", "n_head"}, &c.Heads, false},
		{[]string{"hidden_size", "n_embd"}, &c.Width, false},
		// n_ctx was the size of the mask. Transformers ignores it, so files are
		// published in which it differs from n_positions.
		{[]string{"max_position_embeddings", "n_positions", "n_ctx"}, &c.Context, false},
		{[]string{"vocab_size"}, &c.Vocab, false},
		{[]string{"n_inner"}, &c.Inner, true},
	} {
		if err := o.size(f.keys, f.to, f.optional); err != nil {
			return Config{}, err
		}
	}
	if c.Inner == 0 && c.Width <= maxWidth {
		c.Inner = 4 * c.Width
	}
	if _, err := o.decode("layer_norm_epsilon", &c.Epsilon, "a number"); err != nil {
		return Config{}, err
	}
	if _, err := o.decode("tie_word_embeddings", &c.TieEmbeddings, "true or false"); err != nil {
		return Config{}, err
	}
	if err := o.tokens(&c); err != nil {
		return Config{}, err
	}
	return c, c.Validate()
}

// parseGenerationConfig reads the text of a generation_config.json into c.
func parseGenerationConfig(text []byte, c *Config) error {
	o, err := parseSettings(text)
	if err != nil {
		return err
	}
	if err := o.tokens(c); err != nil {
		return err
	}
	return c.Validate()
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

// size reads a number of 1 or more: that of the first of keys that is there.
func (s settings) size(keys []string, to *int, optional bool) error {
	for _, key := range keys {
		found, err := s.decode(key, to, "a whole number")
		if err != nil {
			return err
		}
		if found && *to < 1 {
			return fmt.Errorf("%s: found %d, expected 1 or more", key, *to)
		}
		if found {
			return nil
		}
	}
	if optional {
		return nil
	}
	own := keys[min(1, len(keys)-1)] // the name that GPT-2's files have
	return fmt.Errorf("%s: missing, expected a whole number", own)
}

// architecture refuses models that are no GPT-2.
func (s settings) architecture() error {
	const supported = `expected model_type "gpt2", or one of GPT-2's classes among architectures, such as GPT2LMHeadModel`
	var model string
	var classes []string
	named, err := s.decode("model_type", &model, "a string")
	if err != nil {
		return err
	}
	if _, err := s.decode("architectures", &classes, "an array of strings"); err != nil {
		return err
	}
	if named {
		if model != "gpt2" {
			return fmt.Errorf("unknown architecture: found model_type %q, %s", strictjson.Shorten(model), supported)
		}
		return nil
	}
	for _, class := range classes {
		if slices.Contains(classesGPT2, strings.TrimPrefix(strings.TrimPrefix(class, "TF"), "Flax")) {
			return nil
		}
	}
	if len(classes) == 0 {
		return fmt.Errorf("unknown architecture: found neither model_type nor architectures, %s", supported)
	}
	return fmt.Errorf("unknown architecture: found architectures %s, %s", strictjson.Text(s["architectures"]), supported)
}

// classesGPT2 are the classes of Transformers whose body is a GPT-2; they differ
// in the head, of which only that of a language model is computed.
var classesGPT2 = []string{
	"GPT2LMHeadModel", "GPT2Model", "GPT2DoubleHeadsModel", "GPT2ForSequenceClassification", "GPT2ForTokenClassification", "GPT2ForQuestionAnswering",
}

// unsupported refuses settings under which GPT-2 computes something else than we
// do. Others do not bind: dropout and summary_* count in training or for other
// heads, and reorder_and_upcast_attn asks for attention in f32, which ours is.
func (s settings) unsupported() error {
	for _, f := range []struct {
		key       string
		supported []string // as JSON; the first is what an absent key means
	}{
		// All are 0.5·x·(1 + tanh(√(2/π)·(x + 0.044715·x³))).
		{"activation_function", []string{`"gelu_new"`, `"gelu_pytorch_tanh"`, `"gelu_python_tanh"`, `"gelu_fast"`, `"gelu_accurate"`}},
		{"scale_attn_weights", []string{"true"}},
		{"scale_attn_by_inverse_layer_idx", []string{"false", "null"}},
		{"add_cross_attention", []string{"false", "null"}},
	} {
		value, ok := s[f.key]
		if !ok || slices.Contains(f.supported, string(value)) {
			continue
		}
		return fmt.Errorf("%s: found %s, which is not supported, expected %s", f.key, strictjson.Text(value), strings.Join(f.supported, " or "))
	}
	return nil
}

// tokens reads bos_token_id and eos_token_id, each an id, several, or null.
func (s settings) tokens(c *Config) error {
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
			if n := bytes.Count(value, []byte{','}) + 1; n > maxTokens {
				return fmt.Errorf("%s: found %d ids, expected at most %d", f.key, n, maxTokens)
			}
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
