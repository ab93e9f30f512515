package checkpoint

// Chat templates beside the default one, such as one for tools or for documents. They are not run here, but kept when a
// model is converted or has learned something else.

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"regexp"
	"slices"
	"strings"

	"caldera/gpt/checkpoint/gguf"
	"caldera/internal/printable"
	"caldera/internal/regular"
	"caldera/internal/strictjson"
)

const (
	keyTemplates = "tokenizer.chat_templates" // names of templates beside the default one, whose keys are keyTemplate.NAME

	maxTemplates = 64 // beside the default one
)

// namedTemplate is one of a list in a file of JSON.
type namedTemplate struct{ Name, Template string }

// NamedTemplates reads the chat templates beside the default one, by their names. The map is empty where there are none.
func (c *Checkpoint) NamedTemplates() (map[string]string, error) {
	if c.templates == nil {
		return nil, nil
	}
	return c.templates()
}

// SetNamedTemplates makes named the checkpoint's templates beside the default one, which are saved with it.
func (c *Checkpoint) SetNamedTemplates(named map[string]string) {
	c.templates = func() (map[string]string, error) { return named, nil }
}

// readNamedTemplates reads those of a directory in Hugging Face's layout: files of their own, and lists.
func readNamedTemplates(fsys fs.FS) (map[string]string, error) {
	named := map[string]string{}
	add := func(from, name, source string) error {
		if _, known := named[name]; known || name == defaultTemplate || source == "" {
			return nil // what was read first counts, as for the default one
		}
		if len(named) == maxTemplates {
			return fmt.Errorf("%s: found more than %d templates", from, maxTemplates)
		}
		named[name] = source
		return nil
	}
	entries, err := fs.ReadDir(fsys, templateDir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: %w", templateDir, regular.Cause(err))
	}
	for _, e := range entries {
		name, is := strings.CutSuffix(e.Name(), templateSuffix)
		if !is {
			continue
		}
		t := templateReader{}
		path := templateDir + "/" + e.Name()
		if t.file(fsys, path); t.wrong == nil {
			t.wrong = add(path, name, t.Source)
		}
		if t.wrong != nil {
			return nil, t.wrong
		}
	}
	for _, file := range []string{tokenizerConfig, templateJSON} {
		data, err := regular.Read(fsys, file, maxTemplateFile)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil {
			err = strictjson.Object(data, maxTemplateDepth, func(key string, value json.RawMessage) error {
				var list []namedTemplate
				if key != chatTemplateKey || json.Unmarshal(value, &list) != nil { // which is the default one alone
					return nil
				}
				for _, t := range list {
					if err := add(key, t.Name, t.Template); err != nil {
						return err
					}
				}
				return nil
			})
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, regular.Cause(err))
		}
	}
	return named, nil
}

// namedTemplates reads those of a GGUF file, by their keys: not all files list the names.
func (m metadata) namedTemplates() (map[string]string, error) {
	named := map[string]string{}
	for _, key := range m.Keys() {
		name, is := strings.CutPrefix(key, keyTemplate+".")
		if !is || name == defaultTemplate {
			continue
		}
		source, _, err := m.text(key)
		if err == nil && len(named) == maxTemplates {
			err = fmt.Errorf("%s: found more than %d templates", key, maxTemplates)
		}
		if err != nil {
			return nil, err
		}
		if source != "" {
			named[name] = source
		}
	}
	return named, nil
}

// other matches what a name of a template has that a format does not take: in GGUF all but ASCII letters and digits, as
// llama.cpp's gguf package has it, and in names of files what leads out of their directory.
var (
	otherInGGUF = regexp.MustCompile(`[^A-Za-z0-9]`)
	otherInFile = regexp.MustCompile(`^\.|[^A-Za-z0-9_.-]`)
)

// ggufTemplate is the name of a template in a GGUF file.
func ggufTemplate(name string) string { return otherInGGUF.ReplaceAllString(name, "_") }

// fileTemplate is the name of a template's file without its ending.
func fileTemplate(name string) string { return otherInFile.ReplaceAllString(name, "_") }

// savedTemplates are the source of the default template to be written, "" for none, and those of others by the names that
// spelled gives them. Like a tokenizer that cannot be read, a template is left out where o allows that.
func (c *Checkpoint) savedTemplates(o SaveOptions, spelled func(name string) string) (source string, named map[string]string, err error) {
	t, wrong := c.template()
	if wrong != nil {
		if err := o.lost("the chat template cannot be read, and none is written: %w", wrong); err != nil || !errors.Is(wrong, errNoDefault) {
			return "", nil, err
		}
		t.Source = "" // those beside are good
	}
	all, wrong := c.NamedTemplates()
	if wrong != nil {
		return t.Source, nil, o.lost("the chat templates beside the default one cannot be read, and are not written: %w", wrong)
	}
	named = map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		to := spelled(name)
		_, twice := named[to]
		switch at := printable.InvalidUTF8([]byte(all[name])); {
		case name == "" || twice || to == defaultTemplate:
			err = o.lost("the chat template %.40q is left out: its name would be that of another one, or none", name)
		case at >= 0:
			err = o.lost("the chat template %.40q is left out: byte %d is 0x%02x, expected UTF-8", name, at, all[name][at])
		default:
			named[to] = all[name]
		}
		if err != nil {
			return "", nil, err
		}
	}
	return t.Source, named, nil
}

// templateMetadata are the entries for templates.
func templateMetadata(source string, named map[string]string) (all []gguf.KeyValue) {
	if source != "" {
		all = append(all, gguf.KeyValue{Key: keyTemplate, Value: gguf.OfText(source)})
	}
	if len(named) == 0 {
		return all
	}
	names := slices.Sorted(maps.Keys(named))
	for _, name := range names {
		all = append(all, gguf.KeyValue{Key: keyTemplate + "." + name, Value: gguf.OfText(named[name])})
	}
	return append(all, gguf.KeyValue{Key: keyTemplates, Value: gguf.OfTexts(names)})
}
