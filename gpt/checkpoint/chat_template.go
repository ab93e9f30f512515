package checkpoint

// Reads the template of conversations that a model comes with. What it says is run by
// package chat.

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"

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

// Files of Hugging Face's layout that may have the template. The first that does counts. Templates beside
// the default one, such as one for tools, are files of a directory, and count where it is nowhere
// (chat_templates.go reads all of them, and writes them).
const (
	templateName    = "chat_template.jinja"
	tokenizerConfig = "tokenizer_config.json"
	templateJSON    = "chat_template.json"
	templateDir     = "additional_chat_templates"
	templateSuffix  = ".jinja"
)

const (
	keyTemplate       = "tokenizer.chat_template"
	maxTemplateFile   = 64 << 20 // bytes of tokenizer_config.json
	maxTemplateDepth  = 64
	defaultTemplate   = "default"
	chatTemplateKey   = "chat_template"
	specialTokensFile = "special_tokens_map.json"
)

// ChatTemplate reads the template. The error is ErrNoChatTemplate where there is none. Where the
// template alone is missing or wrong, the texts of special tokens are there all the same; with any other
// error Tokens is nil.
func (c *Checkpoint) ChatTemplate() (t ChatTemplate, err error) {
	t, wrong := c.template()
	if wrong != nil && t.Tokens == nil {
		return t, wrong
	}
	tokenizer, err := c.Tokenizer()
	if err != nil {
		return ChatTemplate{}, err
	}
	if t.Tokens = maps.Clone(t.Tokens); t.Tokens == nil {
		t.Tokens = map[string]string{}
	}
	for name, ids := range map[string][]int{"bos_token": c.Config.BOS, "eos_token": c.Config.EOS} {
		if _, named := t.Tokens[name]; !named && len(ids) > 0 {
			t.Tokens[name], _ = tokenizer.Token(ids[0])
		}
	}
	if wrong == nil && t.Source == "" {
		wrong = ErrNoChatTemplate
	}
	return t, wrong
}

// SetChatTemplate makes t the checkpoint's template, which is saved with it.
func (c *Checkpoint) SetChatTemplate(t ChatTemplate) {
	c.template = func() (ChatTemplate, error) { return t, nil }
}

// templateReader reads a template, and goes on with special tokens where it is wrong.
type templateReader struct {
	ChatTemplate
	wrong error // the template
}

// readTemplate reads the template of a directory in Hugging Face's layout.
func readTemplate(fsys fs.FS) (ChatTemplate, error) {
	t := templateReader{ChatTemplate: ChatTemplate{Tokens: map[string]string{}}}
	t.file(fsys, templateName)
	if t.Source == "" && t.wrong == nil {
		t.file(fsys, templateDir+"/"+defaultTemplate+templateSuffix)
	}
	for _, name := range []string{tokenizerConfig, specialTokensFile, templateJSON} {
		data, err := regular.Read(fsys, name, maxTemplateFile)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil {
			err = strictjson.Object(data, maxTemplateDepth, func(key string, value json.RawMessage) error {
				t.member(name, key, value)
				return nil
			})
		}
		if err != nil {
			return ChatTemplate{}, fmt.Errorf("%s: %w", name, regular.Cause(err))
		}
	}
	if t.Source == "" && t.wrong == nil {
		t.additional(fsys)
	}
	return t.ChatTemplate, t.wrong
}

// file reads the template from a file of its own, if there is one.
func (t *templateReader) file(fsys fs.FS, name string) {
	data, err := regular.Read(fsys, name, maxTemplateFile)
	switch at := printable.InvalidUTF8(data); {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		t.wrong = fmt.Errorf("%s: %w", name, regular.Cause(err))
	case at >= 0:
		t.wrong = fmt.Errorf("%s: byte %d is 0x%02x, expected UTF-8", name, at, data[at])
	default:
		t.Source = string(data)
	}
}

// additional takes the one template that is called something else than the default one.
func (t *templateReader) additional(fsys fs.FS) {
	entries, err := fs.ReadDir(fsys, templateDir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.wrong = fmt.Errorf("%s: %w", templateDir, regular.Cause(err))
		return
	}
	var names []string
	for _, e := range entries {
		if name, is := strings.CutSuffix(e.Name(), templateSuffix); is {
			names = append(names, name)
		}
	}
	at, err := choose(names)
	switch {
	case err != nil:
		t.wrong = fmt.Errorf("%s: %w", templateDir, err)
	case at >= 0:
		t.file(fsys, templateDir+"/"+names[at]+templateSuffix)
	}
}

// member reads a member of one of the files of JSON.
func (t *templateReader) member(file, key string, value json.RawMessage) {
	switch {
	case key == chatTemplateKey && t.Source == "" && t.wrong == nil:
		source, err := templateText(value)
		if err != nil {
			t.wrong = fmt.Errorf("%s: %s: %w", file, key, err)
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
}

// templateText reads a template, or the default one of a list of named ones.
func templateText(value json.RawMessage) (string, error) {
	text := ""
	if json.Unmarshal(value, &text) == nil { // null too
		return text, nil
	}
	var list []namedTemplate
	if err := json.Unmarshal(value, &list); err != nil {
		return "", fmt.Errorf("found %s, expected a text, or an array of objects with a name and a template", strictjson.Text(value))
	}
	names := make([]string, len(list))
	for i, t := range list {
		names[i] = t.Name
	}
	at, err := choose(names)
	if at < 0 {
		return "", err
	}
	return list[at].Template, nil
}

// errNoDefault is the error of several templates of which none is the default one.
var errNoDefault = errors.New("none of which is called \"" + defaultTemplate + "\"")

// choose is the place of the default template, or of the only one; -1 for none.
func choose(names []string) (int, error) {
	at := slices.Index(names, defaultTemplate)
	switch {
	case at >= 0 || len(names) == 0:
		return at, nil
	case len(names) == 1:
		return 0, nil
	}
	return -1, fmt.Errorf("found %d templates, %s, %w", len(names), quoted(names), errNoDefault)
}

// chatTemplate reads the template of a GGUF file, which may be one of those with a name.
func (m metadata) chatTemplate() (ChatTemplate, error) {
	source, _, err := m.text(keyTemplate)
	if source == "" && err == nil {
		source, _, err = m.text(keyTemplate + "." + defaultTemplate)
	}
	return ChatTemplate{Source: source, Tokens: map[string]string{}}, err
}
