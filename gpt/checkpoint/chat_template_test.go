package checkpoint_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"caldera/backend"
	"caldera/gpt/checkpoint"
	"caldera/internal/gpttest"
)

// TestChatTemplate reads templates from each of the files that may have them, and writes them
// in both formats.
func TestChatTemplate(t *testing.T) {
	const source = "{{ bos_token }}{% for m in messages %}{{ m.content }}\n{% endfor %}"
	bos := map[string]string{"bos_token": "<|endoftext|>", "eos_token": "<|endoftext|>"}
	for name, c := range map[string]struct {
		files  map[string]string
		source string
		bos    string
		err    string
	}{
		"none":              {nil, "", bos["bos_token"], "no chat template"},
		"null":              {map[string]string{"tokenizer_config.json": `{"chat_template": null}`}, "", bos["bos_token"], "no chat template"},
		"file":              {map[string]string{"chat_template.jinja": source}, source, bos["bos_token"], ""},
		"config":            {map[string]string{"tokenizer_config.json": `{"chat_template": "x {{ y }}", "bos_token": "<s>"}`}, "x {{ y }}", "<s>", ""},
		"file before":       {map[string]string{"chat_template.jinja": source, "tokenizer_config.json": `{"chat_template": "x", "bos_token": {"content": "<b>", "lstrip": false}}`}, source, "<b>", ""},
		"named":             {map[string]string{"tokenizer_config.json": `{"chat_template": [{"name": "tool_use", "template": "t"}, {"name": "default", "template": "d"}]}`}, "d", bos["bos_token"], ""},
		"one named":         {map[string]string{"tokenizer_config.json": `{"chat_template": [{"name": "rag", "template": "r"}]}`}, "r", bos["bos_token"], ""},
		"several named":     {map[string]string{"tokenizer_config.json": `{"chat_template": [{"name": "a", "template": "r"}, {"name": "b", "template": "r"}]}`}, "", "", `none of which is called "default"`},
		"older":             {map[string]string{"chat_template.json": `{"chat_template": "old"}`}, "old", bos["bos_token"], ""},
		"a number":          {map[string]string{"tokenizer_config.json": `{"chat_template": 3}`}, "", "", "tokenizer_config.json: chat_template: found 3"},
		"not UTF-8":         {map[string]string{"chat_template.jinja": "\xff"}, "", "", "byte 0 is 0xff"},
		"beside":            {map[string]string{"additional_chat_templates/tool_use.jinja": "t", "chat_template.jinja": source}, source, bos["bos_token"], ""},
		"beside config":     {map[string]string{"additional_chat_templates/tool_use.jinja": "t", "tokenizer_config.json": `{"chat_template": "x"}`}, "x", bos["bos_token"], ""},
		"default beside":    {map[string]string{"additional_chat_templates/a.jinja": "t", "additional_chat_templates/default.jinja": "d", "tokenizer_config.json": `{"chat_template": "x"}`}, "d", bos["bos_token"], ""},
		"one beside":        {map[string]string{"additional_chat_templates/rag.jinja": "r", "additional_chat_templates/notes.txt": "no"}, "r", bos["bos_token"], ""},
		"several beside":    {map[string]string{"additional_chat_templates/a.jinja": "r", "additional_chat_templates/b.jinja": "r"}, "", "", `additional_chat_templates: found 2 templates, "a", "b", none of which is called "default"`},
		"beside, no UTF-8":  {map[string]string{"additional_chat_templates/a.jinja": "\xff"}, "", "", "additional_chat_templates/a.jinja: byte 0 is 0xff"},
		"a file for a dir":  {map[string]string{"additional_chat_templates": "x"}, "", "", "additional_chat_templates"},
		"special elsewhere": {map[string]string{"chat_template.jinja": "x", "special_tokens_map.json": `{"bos_token": "<m>"}`}, "x", "<m>", ""},
	} {
		t.Run(name, func(t *testing.T) {
			dir := gpttest.ChatModel(t, "")
			for file, text := range c.files {
				err := os.MkdirAll(filepath.Join(dir, filepath.Dir(file)), 0o777)
				if err == nil {
					err = os.WriteFile(filepath.Join(dir, file), []byte(text), 0o666)
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			got, err := gpttest.OpenCheckpoint(t, dir).ChatTemplate()
			if c.err != "" {
				if err == nil || !strings.Contains(err.Error(), c.err) || (c.source+c.bos != "") != errors.Is(err, checkpoint.ErrNoChatTemplate) {
					t.Errorf("%v, expected an error with %q", err, c.err)
				}
			} else if err != nil || got.Source != c.source || got.Tokens["bos_token"] != c.bos || got.Tokens["eos_token"] != bos["eos_token"] {
				t.Errorf("%+v, %v, expected %q and %q", got, err, c.source, c.bos)
			}
		})
	}

	// As GGUF, and back.
	c := gpttest.OpenCheckpoint(t, gpttest.ChatModel(t, source))
	path := filepath.Join(t.TempDir(), "a.gguf")
	if err := c.SaveGGUF(t.Context(), path, checkpoint.SaveOptions{}); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{path, gpttest.SaveDir(t, gpttest.OpenCheckpoint(t, path), backend.F32)} {
		got, err := gpttest.OpenCheckpoint(t, path).ChatTemplate()
		if err != nil || got.Source != source || got.Tokens["bos_token"] != bos["bos_token"] {
			t.Errorf("%s: %+v, %v", path, got, err)
		}
	}
}
