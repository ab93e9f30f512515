package tokenizer

import (
	"slices"
	"strings"
	"testing"
)

// settingsVocab has what goodVocab has, and a space.
const settingsVocab = `{"a": 0, "b": 1, "c": 2, "ab": 3, "abc": 4, "<|endoftext|>": 5, "Ġ": 6, "Ġa": 7, "[SEP]": 8, "<s>": 9}`

const settingsMerges = "a b\nab c\nĠ a\n"

// settingsJSON is the same as a tokenizer.json whose template adds "<s>" before and
// "[SEP]" behind.
const settingsJSON = `{"added_tokens": [{"id": 5, "content": "<|endoftext|>", "special": true}], "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": true},
 "post_processor": {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "<s>"}}, {"Sequence": {"id": "A"}}, {"SpecialToken": {"id": "[SEP]"}}], "special_tokens": {"<s>": {"ids": [9]}, "[SEP]": {"ids": [8]}}},
 "model": {"type": "BPE", "vocab": ` + settingsVocab + `, "merges": ["a b", "ab c", "Ġ a"]}}`

// TestSettings holds what tokenizer_config.json and special_tokens_map.json change
// to what Transformers does.
func TestSettings(t *testing.T) {
	for name, c := range map[string]struct {
		json                  bool
		config, special, more string // tokenizer_config.json, special_tokens_map.json, added_tokens.json
		text                  string
		plain, withSpecial    []int
		prefix, suffix        []int
	}{
		"nothing":               {text: "ab<|endoftext|>", plain: nil, withSpecial: []int{3, 5}},
		"empty":                 {config: `{}`, special: `{}`, text: "a", plain: []int{0}, withSpecial: []int{0}},
		"prefix space":          {config: `{"add_prefix_space": true}`, text: "a", plain: []int{7}, withSpecial: []int{7}},
		"prefix space, not":     {config: `{"add_prefix_space": false}`, text: "a", plain: []int{0}, withSpecial: []int{0}},
		"JSON":                  {json: true, text: "a", plain: []int{7}, withSpecial: []int{7}, prefix: []int{9}, suffix: []int{8}},
		"JSON, null":            {json: true, config: `{"add_prefix_space": null, "add_bos_token": null}`, text: "a", plain: []int{7}, withSpecial: []int{7}, prefix: []int{9}, suffix: []int{8}},
		"JSON, no prefix space": {json: true, config: `{"add_prefix_space": false}`, text: "a", plain: []int{0}, withSpecial: []int{0}, prefix: []int{9}, suffix: []int{8}},
		"JSON, bos replaced":    {json: true, config: `{"add_bos_token": true, "bos_token": "a"}`, text: "b", plain: []int{6, 1}, withSpecial: []int{6, 1}, prefix: []int{0}},
		"JSON, neither":         {json: true, config: `{"add_bos_token": false, "add_eos_token": false}`, text: "a", plain: []int{7}, withSpecial: []int{7}},
		"JSON, eos alone":       {json: true, config: `{"add_eos_token": true}`, text: "a", plain: []int{7}, withSpecial: []int{7}, suffix: []int{5}},
		"bos by default":        {config: `{"add_bos_token": true}`, text: "a", plain: []int{0}, withSpecial: []int{0}, prefix: []int{5}},
		"bos of the map":        {config: `{"add_bos_token": true}`, special: `{"bos_token": {"content": "<s>"}}`, text: "a", plain: []int{0}, withSpecial: []int{0}, prefix: []int{9}},
		"bos of both":           {config: `{"add_bos_token": true, "bos_token": "a"}`, special: `{"bos_token": "<s>"}`, text: "c", plain: []int{2}, withSpecial: []int{2}, prefix: []int{9}},
		"bos of both, younger":  {config: `{"add_bos_token": true, "bos_token": "a", "added_tokens_decoder": {}}`, special: `{"bos_token": "<s>"}`, text: "c", plain: []int{2}, withSpecial: []int{2}, prefix: []int{0}},
		"bos null":              {config: `{"add_bos_token": true, "bos_token": null}`, text: "a", plain: []int{0}, withSpecial: []int{0}},
		"bos and eos":           {config: `{"add_bos_token": true, "add_eos_token": true, "bos_token": {"content": "<s>"}, "eos_token": "[SEP]"}`, text: "a<s>[SEP]", withSpecial: []int{0, 9, 8}, prefix: []int{9}, suffix: []int{8}},
		"added, ordinary":       {more: `{"[SEP]": 8, "[NEW]": 10}`, text: "a[SEP]b[NEW]", plain: []int{0, 8, 1, 10}, withSpecial: []int{0, 8, 1, 10}},
		"added, special":        {more: `{"[NEW]": 10}`, special: `{"additional_special_tokens": ["[NEW]"]}`, text: "a[NEW]", withSpecial: []int{0, 10}},
		"added, named":          {more: `{"[NEW]": 10}`, config: `{"pad_token": "[NEW]"}`, text: "a[NEW]", withSpecial: []int{0, 10}},
		"decoder":               {config: `{"added_tokens_decoder": {"10": {"content": "[NEW]", "special": false, "rstrip": true}}}`, text: "a[NEW]  a", plain: []int{0, 10, 0}, withSpecial: []int{0, 10, 0}},
		"decoder, special":      {config: `{"added_tokens_decoder": {"8": {"content": "[SEP]", "special": true, "lstrip": true}}}`, text: "a [SEP]", withSpecial: []int{0, 8}},
		"decoder over added":    {more: `{"[NEW]": 10}`, config: `{"added_tokens_decoder": {"10": {"content": "[NEW]", "lstrip": true}}}`, text: "a [NEW]", plain: []int{0, 10}, withSpecial: []int{0, 10}},
		"decoder over JSON":     {json: true, config: `{"added_tokens_decoder": {"5": {"content": "<|endoftext|>", "special": false}}}`, text: "a<|endoftext|>", plain: []int{7, 5}, withSpecial: []int{7, 5}, prefix: []int{9}, suffix: []int{8}},
		"decoder, holes":        {config: `{"added_tokens_decoder": {"20": {"content": "[NEW]"}}}`, text: "[NEW]", plain: []int{20}, withSpecial: []int{20}},
		"named, absent":         {config: `{"pad_token": "[PAD]", "mask_token": null, "extra_special_tokens": {"image": "[SEP]"}}`, text: "a[SEP]", withSpecial: []int{0, 8}},
	} {
		t.Run(name, func(t *testing.T) {
			fsys := files("vocab.json", settingsVocab, "merges.txt", settingsMerges)
			if c.json {
				fsys = files("tokenizer.json", settingsJSON)
			}
			for name, text := range map[string]string{configName: c.config, specialMapName: c.special, addedName: c.more} {
				if text != "" {
					fsys[name] = files(name, text)[name]
				}
			}
			tok, err := LoadFS(fsys, ".")
			if err != nil {
				t.Fatal(err)
			}
			if ids, err := tok.Encode(c.text); (err != nil) != (c.plain == nil) || !slices.Equal(ids, c.plain) {
				t.Errorf("%q is %v, %v, want %v", c.text, ids, err, c.plain)
			}
			if ids, err := tok.Encode(c.text, AllowSpecial); err != nil || !slices.Equal(ids, c.withSpecial) {
				t.Errorf("%q with special tokens is %v, %v, want %v", c.text, ids, err, c.withSpecial)
			}
			if !slices.Equal(tok.Prefix(), c.prefix) || !slices.Equal(tok.Suffix(), c.suffix) {
				t.Errorf("around a text stand %v and %v, want %v and %v", tok.Prefix(), tok.Suffix(), c.prefix, c.suffix)
			}
			if ids, err := tok.EncodePrompt(c.text, AllowSpecial); err != nil || !slices.Equal(ids, slices.Concat(c.prefix, c.withSpecial)) {
				t.Errorf("as a prompt it is %v, %v", ids, err)
			}
			if ids := tok.Suffix(); !slices.Equal(ids, c.suffix) {
				t.Errorf("behind a document come %v", ids)
			}
			written, err := tok.Vocabulary().Files()
			if err != nil {
				t.Fatal(err)
			}
			again, err := LoadFS(mapFS(written), ".")
			if err != nil {
				t.Fatal(err)
			}
			if ids, err := again.EncodePrompt(c.text, AllowSpecial); err != nil || !slices.Equal(append(ids, again.Suffix()...), slices.Concat(c.prefix, c.withSpecial, c.suffix)) {
				t.Errorf("written and read again it is %v, %v", ids, err)
			}
		})
	}
}

func TestBadSettings(t *testing.T) {
	for name, c := range map[string]struct{ config, special, want string }{
		"array":                {config: `[]`, want: "tokenizer_config.json: found a JSON array, expected an object"},
		"truncated":            {config: `{"add_bos_token": tr`, want: "tokenizer_config.json: invalid JSON"},
		"twice":                {config: `{"add_bos_token": true, "add_bos_token": false}`, want: `key "add_bos_token" stands there twice`},
		"no flag":              {config: `{"add_bos_token": "yes"}`, want: `tokenizer_config.json: add_bos_token: found "yes", expected true or false`},
		"no flag, space":       {config: `{"add_prefix_space": 1}`, want: "add_prefix_space: found 1, expected true or false"},
		"bos of nothing":       {config: `{"add_bos_token": true, "bos_token": "<x>"}`, want: `add_bos_token is true, but bos_token, "<x>", is not in the vocabulary`},
		"eos of nothing":       {config: `{"add_eos_token": true, "eos_token": "<x>"}`, want: `add_eos_token is true, but eos_token, "<x>", is not in the vocabulary`},
		"token is a number":    {config: `{"bos_token": 5}`, want: "bos_token: found 5, expected a token"},
		"token in the map":     {special: `{"bos_token": [5]}`, want: "special_tokens_map.json: bos_token: found [5], expected a token"},
		"more is no array":     {special: `{"additional_special_tokens": 5}`, want: "additional_special_tokens: found 5, expected an array"},
		"decoder key":          {config: `{"added_tokens_decoder": {"x": {}}}`, want: `added_tokens_decoder: found key "x", expected the id of a token`},
		"decoder entry":        {config: `{"added_tokens_decoder": {"5": 5}}`, want: "token 5: found 5, expected an object"},
		"decoder without text": {config: `{"added_tokens_decoder": {"5": {}}}`, want: `added_tokens_decoder: content: found ""`},
		"decoder id large":     {config: `{"added_tokens_decoder": {"1048576": {"content": "x"}}}`, want: "id: found 1048576"},
		"decoder id negative":  {config: `{"added_tokens_decoder": {"-1": {"content": "x"}}}`, want: "id: found -1"},
		"decoder id taken":     {config: `{"added_tokens_decoder": {"0": {"content": "x"}}}`, want: `tokens "a" and "x" have the same id 0`},
		"decoder id differs":   {config: `{"added_tokens_decoder": {"11": {"content": "a"}}}`, want: `token "a" has id 11, expected 0`},
	} {
		t.Run(name, func(t *testing.T) {
			fsys := files("vocab.json", settingsVocab, "merges.txt", settingsMerges)
			if c.config != "" {
				fsys[configName] = files("x", c.config)["x"]
			}
			if c.special != "" {
				fsys[specialMapName] = files("x", c.special)["x"]
			}
			_, err := LoadFS(fsys, ".")
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error is %v, want one with %q", err, c.want)
			}
			checkLoaded(t, nil, err)
		})
	}
}
