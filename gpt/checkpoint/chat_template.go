package checkpoint

// Reads the template of conversations that a model comes with. What it says is run by
// package chat.

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"strings"

	"caldera/gpt/checkpoint/gguf"
	"caldera/internal/printable"
	"caldera/internal/regular"
	"caldera/internal/strictjson"
)

// ChatTemplate is a program in Jinja that writes a conversation as text for the model.
type ChatTemplate struct {
	Source string
	Tokens map[string]string // texts of special tokens by name, such as bos_token
}

// ErrNoChatTemplate is the error of a checkpoint without a template: that of a base model,
// which continues texts.
var ErrNoChatTemplate = errors.New("the model has no chat template")

// Files of Hugging Face's layout that may have the template. The first that does counts.
const (
	templateName    = "chat_template.jinja"
	tokenizerConfig = "tokenizer_config.json"
	templateJSON    = "chat_template.json"
)

const (
	keyTemplate       = "tokenizer.chat_template"
	maxTemplateFile   = 64 << 20 // bytes of tokenizer_config.json
	maxTemplateDepth  = 64
	defaultTemplate   = "default"
	chatTemplateKey   = "chat_template"
	specialTokensFile = "special_tokens_map.json"
)

// ChatTemplate reads the template. The error is ErrNoChatTemplate where there is none; the
// texts of special tokens are there all the same.
func (c *Checkpoint) ChatTemplate() (t ChatTemplate, err error) {
	if t, err = c.template(); err != nil {
		return t, err
	}
	tokenizer, err := c.Tokenizer()
	if err != nil {
		return t, err
	}
	if t.Tokens = maps.Clone(t.Tokens); t.Tokens == nil {
		t.Tokens = map[string]string{}
	}
	for name, ids := range map[string][]int{"bos_token": c.Config.BOS, "eos_token": c.Config.EOS} {
		if _, named := t.Tokens[name]; !named && len(ids) > 0 {
			t.Tokens[name], _ = tokenizer.Token(ids[0])
		}
	}
	if t.Source == "" {
		return t, ErrNoChatTemplate
	}
	return t, nil
}

// SetChatTemplate makes t the checkpoint's template, which is saved with it.
func (c *Checkpoint) SetChatTemplate(t ChatTemplate) {
	c.template = func() (ChatTemplate, error) { return t, nil }
}

// readTemplate reads the template of a directory in Hugging Face's layout.
func readTemplate(fsys fs.FS) (ChatTemplate, error) {
	t := ChatTemplate{Tokens: map[string]string{}}
	data, err := regular.Read(fsys, templateName, maxTemplateFile)
	switch {
	case err == nil:
		if at := printable.InvalidUTF8(data); at >= 0 {
			return t, fmt.Errorf("%s: byte %d is 0x%02x, expected UTF-8", templateName, at, data[at])
		}
		t.Source = string(data)
	case !errors.Is(err, fs.ErrNotExist):
		return t, fmt.Errorf("%s: %w", templateName, regular.Cause(err))
	}
	for _, name := range []string{tokenizerConfig, specialTokensFile, templateJSON} {
		data, err := regular.Read(fsys, name, maxTemplateFile)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil {
			err = strictjson.Object(data, maxTemplateDepth, t.member)
		}
		if err != nil {
			return t, fmt.Errorf("%s: %w", name, regular.Cause(err))
		}
	}
	return t, nil
}

// member reads a member of one of the files of JSON.
func (t *ChatTemplate) member(key string, value json.RawMessage) error {
	switch {
	case key == chatTemplateKey && t.Source == "":
		source, err := templateText(value)
		if err != nil {
			return fmt.Errorf("%s: %w", key, err)
		}
		t.Source = source
	case strings.HasSuffix(key, "_token"):
		var object struct{ Content string }
		text := ""
		if json.Unmarshal(value, &text) != nil && json.Unmarshal(value, &object) == nil {
			text = object.Content
		}
		if _, known := t.Tokens[key]; !known && text != "" {
			t.Tokens[key] = text
		}
	}
	return nil
}

// templateText reads a template, or the default one of a list of named ones.
func templateText(value json.RawMessage) (string, error) {
	text := ""
	if json.Unmarshal(value, &text) == nil { // null too
		return text, nil
	}
	var list []struct{ Name, Template string }
	if err := json.Unmarshal(value, &list); err != nil {
		return "", fmt.Errorf("found %s, expected a text, or an array of objects with a name and a template", strictjson.Text(value))
	}
	for _, t := range list {
		if t.Name == defaultTemplate || len(list) == 1 {
			return t.Template, nil
		}
	}
	return "", fmt.Errorf("found %d templates, none of which is called %q", len(list), defaultTemplate)
}

// chatTemplate reads the template of a GGUF file.
func (m metadata) chatTemplate() (ChatTemplate, error) {
	source, _, err := m.text(keyTemplate)
	return ChatTemplate{Source: source, Tokens: map[string]string{}}, err
}

// savedTemplate is the source of the template to be written, "" for none. Like a tokenizer
// that cannot be read, a template is left out where o allows that.
func (c *Checkpoint) savedTemplate(o SaveOptions) (string, error) {
	t, err := c.template()
	if err != nil {
		return "", o.lost("the chat template cannot be read, and none is written: %w", err)
	}
	return t.Source, nil
}

// templateMetadata is the entry for a template.
func templateMetadata(source string) []gguf.KeyValue {
	if source == "" {
		return nil
	}
	return []gguf.KeyValue{{Key: keyTemplate, Value: gguf.OfText(source)}}
}
