package tokenizer

// This file reads the settings in tokenizer_config.json and special_tokens_map.json
// that change ids.
//
// They work as in Transformers (TokenizersBackend in its
// tokenization_utils_tokenizers.py): a setting here replaces that of
// tokenizer.json. If one of add_bos_token and add_eos_token is set, both replace the
// tokens that the post-processor adds, and a missing one counts as false. A token
// that has a name, such as eos_token, is special.

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"

	"caldera/internal/strictjson"
)

const (
	configName     = "tokenizer_config.json"
	specialMapName = "special_tokens_map.json"
	maxDepth       = 64 // of their JSON
)

// settings are those of both files.
type settings struct {
	addBOS, addEOS, prefixSpace *bool

	named map[string]*addedJSON // by key, such as bos_token; nil for null
	extra []addedJSON           // more special tokens
	added []addedJSON           // added_tokens_decoder, in order of ids
}

// namedKeys are the keys that name one special token.
var namedKeys = []string{"bos_token", "eos_token", "unk_token", "pad_token", "sep_token", "cls_token", "mask_token"}

// extraKeys are the keys that name several.
var extraKeys = []string{"additional_special_tokens", "extra_special_tokens"}

// read reads one of the files: first tokenizer_config.json, then
// special_tokens_map.json. The second one's tokens replace those of the first,
// unless that lists added tokens: then it is newer than the second.
func (s *settings) read(data []byte) error {
	override := s.added == nil
	flags := map[string]**bool{"add_bos_token": &s.addBOS, "add_eos_token": &s.addEOS, "add_prefix_space": &s.prefixSpace}
	return strictjson.Object(data, maxDepth, func(key string, value json.RawMessage) (err error) {
		switch {
		case flags[key] != nil:
			if json.Unmarshal(value, flags[key]) != nil {
				err = fmt.Errorf("found %s, expected true or false", strictjson.Shorten(string(value)))
			}
		case key == "added_tokens_decoder":
			s.added, err = decoderTokens(value)
		case slices.Contains(namedKeys, key):
			var t *addedJSON
			t, err = namedToken(value)
			if _, known := s.named[key]; !known || override {
				s.named[key] = t
			}
		case slices.Contains(extraKeys, key):
			err = s.readExtra(value)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", key, err)
		}
		return nil
	})
}

// namedToken reads the text of a token, or an object that says more of it. The
// token is special whatever the object says. null gives nil.
func namedToken(value json.RawMessage) (t *addedJSON, err error) {
	switch value[0] {
	case '"':
		t = &addedJSON{textOnly: true}
		err = json.Unmarshal(value, &t.Content)
	case '{', 'n':
		err = json.Unmarshal(value, &t)
	default:
		err = fmt.Errorf("found %s, expected a token, as text or as an object with its content", strictjson.Shorten(string(value)))
	}
	if err != nil || t == nil {
		return nil, err
	}
	t.Special, t.ID = true, nil
	return t, nil
}

// readExtra reads more special tokens: an array, or an object of names for them.
func (s *settings) readExtra(value json.RawMessage) error {
	var list []json.RawMessage
	switch value[0] {
	case 'n':
		return nil
	case '{':
		err := strictjson.Object(value, maxDepth, func(_ string, value json.RawMessage) error {
			list = append(list, value)
			return nil
		})
		if err != nil {
			return err
		}
	default:
		if err := json.Unmarshal(value, &list); err != nil {
			return fmt.Errorf("found %s, expected an array of tokens", strictjson.Shorten(string(value)))
		}
	}
	for _, value := range list {
		t, err := namedToken(value)
		if err != nil {
			return err
		}
		if t != nil {
			s.extra = append(s.extra, *t)
		}
	}
	return nil
}

// decoderTokens reads the object of added tokens by id.
func decoderTokens(value json.RawMessage) ([]addedJSON, error) {
	if string(value) == "null" {
		return nil, nil
	}
	all := []addedJSON{} // not nil, also if empty: the file has the key
	err := strictjson.Object(value, maxDepth, func(key string, value json.RawMessage) error {
		id, err := strconv.Atoi(key)
		if err != nil {
			return fmt.Errorf("found key %s, expected the id of a token", quote(key))
		}
		var t addedJSON
		if err := json.Unmarshal(value, &t); err != nil {
			return fmt.Errorf("token %d: found %s, expected an object with its content", id, strictjson.Shorten(string(value)))
		}
		t.ID = &id
		all = append(all, t)
		return nil
	})
	slices.SortStableFunc(all, func(a, b addedJSON) int { return *a.ID - *b.ID })
	return all, err
}

// applyTo changes d as the settings say.
func (s *settings) applyTo(d *draft) error {
	for _, a := range s.added {
		if err := d.list(a); err != nil {
			return fmt.Errorf("added_tokens_decoder: %w", err)
		}
	}
	for _, key := range namedKeys {
		if t := s.named[key]; t != nil {
			if err := d.special(*t); err != nil {
				return fmt.Errorf("%s: %w", key, err)
			}
		}
	}
	for _, t := range s.extra {
		if err := d.special(t); err != nil {
			return fmt.Errorf("%s: %w", extraKeys[0], err)
		}
	}
	if s.prefixSpace != nil {
		d.steps.PrefixSpace = *s.prefixSpace
	}
	if s.addBOS == nil && s.addEOS == nil {
		return nil
	}
	var err error
	if d.steps.Prefix, err = s.around(d, "add_bos_token", s.addBOS, "bos_token"); err != nil {
		return err
	}
	d.steps.Suffix, err = s.around(d, "add_eos_token", s.addEOS, "eos_token")
	return err
}

// around is the id that comes before a text, or after it, if add asks for one. It is
// that of the token with the name key. A missing name means the one that the vocabulary's
// file says or, as for GPT-2, "<|endoftext|>"; null means no token.
func (s *settings) around(d *draft, addKey string, add *bool, key string) ([]int, error) {
	if add == nil || !*add {
		return nil, nil
	}
	text := cmp.Or(d.named[key], endOfText)
	if t, found := s.named[key]; found && t == nil {
		return nil, nil
	} else if found {
		text = t.Content
	}
	id, ok := d.vocab.ids[text]
	if !ok {
		return nil, fmt.Errorf("%s is true, but %s, %s, is not in the vocabulary", addKey, key, quote(text))
	}
	return []int{id}, nil
}

// special makes the token of that text special. A token that is not in the
// vocabulary has no row in the model, and is ignored.
func (d *draft) special(t addedJSON) error {
	id, ok := d.vocab.ids[t.Content]
	if !ok {
		return nil
	}
	t.ID = &id
	if t.textOnly {
		if i, ok := d.index[t.Content]; ok {
			d.added[i].Special = true
			return nil
		}
	}
	return d.list(t)
}
