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
	"strconv"

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
	contexts := [2]int{}
	for _, f := range []struct {
		key      string
		to       *int
		optional bool
	}{
		{"n_layer", &c.Layers, false},
		{"n_head", &c.Heads, false},
		{"n_embd", &c.Width, false},
		{"vocab_size", &c.Vocab, false},
		{"n_inner", &c.Inner, true},
		{"n_positions", &contexts[0], true},
		{"n_ctx", &contexts[1], true},
	} {
		found, err := o.decode(f.key, f.to, "a whole number")
		if err != nil {
			return Config{}, err
		}
		if !found && !f.optional {
			return Config{}, fmt.Errorf("%s: missing, expected a whole number", f.key)
		}
		if found && *f.to < 1 {
			return Config{}, fmt.Errorf("%s: found %d, expected 1 or more", f.key, *f.to)
		}
	}
	// n_positions is the size of the table of positions, n_ctx that of the mask.
	switch {
	case contexts[0] == 0 && contexts[1] == 0:
		return Config{}, errors.New("n_positions: missing, expected it or n_ctx, a whole number")
	case contexts[0] != 0 && contexts[1] != 0 && contexts[0] != contexts[1]:
		return Config{}, fmt.Errorf("n_ctx: found %d, expected n_positions, which is %d", contexts[1], contexts[0])
	}
	c.Context = max(contexts[0], contexts[1])
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
		return false, fmt.Errorf("%s: found %s, expected %s", key, strictjson.Shorten(string(value)), expected)
	}
	return true, nil
}

// architecture refuses models that are no GPT-2.
func (s settings) architecture() error {
	const supported = `expected model_type "gpt2", or GPT2LMHeadModel or GPT2Model among architectures`
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
		if class == "GPT2LMHeadModel" || class == "GPT2Model" {
			return nil
		}
	}
	if len(classes) == 0 {
		return fmt.Errorf("unknown architecture: found neither model_type nor architectures, %s", supported)
	}
	return fmt.Errorf("unknown architecture: found architectures %s, %s", strictjson.Shorten(string(s["architectures"])), supported)
}

// unsupported refuses settings under which GPT-2 computes something else than we do.
func (s settings) unsupported() error {
	for _, f := range []struct {
		key       string
		supported []string // as JSON; the first is what an absent key means
	}{
		// Both are 0.5·x·(1 + tanh(√(2/π)·(x + 0.044715·x³))).
		{"activation_function", []string{`"gelu_new"`, `"gelu_pytorch_tanh"`}},
		{"scale_attn_weights", []string{"true"}},
		{"scale_attn_by_inverse_layer_idx", []string{"false"}},
		{"reorder_and_upcast_attn", []string{"false"}},
		{"add_cross_attention", []string{"false"}},
	} {
		value, ok := s[f.key]
		if !ok {
			continue
		}
		expected, match := "", false
		for i, supported := range f.supported {
			if i > 0 {
				expected += " or "
			}
			expected += supported
			match = match || string(value) == supported
		}
		if !match {
			return fmt.Errorf("%s: found %s, which is not supported, expected %s", f.key, strictjson.Shorten(string(value)), expected)
		}
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
				return fmt.Errorf("%s: found %s, expected a token id, an array of them, or null", f.key, strictjson.Shorten(string(text)))
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
