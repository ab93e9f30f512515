package checkpoint

// Chat templates beside the default one, such as one for tools or for documents. They are not run here, but kept when a
// model is converted or has learned something else.

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"caldera/gpt/checkpoint/gguf"
	"caldera/internal/atomicfile"
	"caldera/internal/printable"
	"caldera/internal/regular"
	"caldera/internal/strictjson"
)

const (
	keyTemplates = "tokenizer.chat_templates" // names of templates beside the default one, whose keys are keyTemplate.NAME

	maxTemplates   = 64       // beside the default one
	maxTemplateSum = 64 << 20 // bytes of these
)

// addTemplate adds a template that is found at from. size counts the bytes of all that were found.
func addTemplate(named map[string]string, size *int, from, name, source string) error {
	if *size += len(source); *size > maxTemplateSum {
		return fmt.Errorf("%s: found more than %d bytes in the chat templates beside the default one: expected at most as many in all of them", from, maxTemplateSum)
	}
	if len(named) == maxTemplates {
		return fmt.Errorf("%s: found more than %d templates", from, maxTemplates)
	}
	named[name] = source
	return nil
}

// faults are what is wrong with templates: a file may have any number of them, so the first one is told, and how many there are.
type faults struct {
	first error
	n     int
}

func (f *faults) add(err error) {
	if err == nil {
		return
	}
	f.n++
	f.first = cmp.Or(f.first, err)
}

func (f *faults) err() error {
	if f.n < 2 {
		return f.first
	}
	return fmt.Errorf("%w (and %d more faults)", f.first, f.n-1)
}

// namedTemplate is one of a list in a file of JSON.
type namedTemplate struct{ Name, Template string }

// NamedTemplates reads the chat templates beside the default one, by their names. The map is empty where there are none.
// One that is called default is there where the model has another default one, which counts before it. Those that can be
// read are there beside the error of the others.
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
	named, size := map[string]string{}, 0
	first, _ := readTemplate(fsys) // what is wrong with it is told where it is read
	add := func(from, name, source string) error {
		if _, known := named[name]; known || source == "" || name == defaultTemplate && (first.Source == "" || source == first.Source) {
			return nil // what was read first counts, as for the default one
		}
		return addTemplate(named, &size, from, name, source)
	}
	var wrong faults
	entries, err := fs.ReadDir(fsys, templateDir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		wrong.add(fmt.Errorf("%s: %w", templateDir, regular.Cause(err)))
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
		wrong.add(t.wrong)
	}
	for _, file := range []string{tokenizerConfig, templateJSON} {
		data, err := regular.Read(fsys, file, maxTemplateFile)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil {
			err = strictjson.Object(data, maxTemplateDepth, func(key string, value json.RawMessage) error {
				var list []json.RawMessage
				if key != chatTemplateKey || json.Unmarshal(value, &list) != nil { // which is the default one alone
					return nil
				}
				wrong.addList(file, list, add)
				return nil
			})
		}
		if err != nil {
			wrong.add(fmt.Errorf("%s: %w", file, regular.Cause(err)))
		}
	}
	return named, wrong.err()
}

// addList adds the templates of a list in a file of JSON, and notes which are wrong.
func (wrong *faults) addList(file string, list []json.RawMessage, add func(from, name, source string) error) {
	for i, value := range list {
		var t namedTemplate
		err := json.Unmarshal(value, &t)
		if err != nil {
			err = fmt.Errorf("%s[%d]: found %s, expected an object with a name and a template", chatTemplateKey, i, strictjson.Text(value))
		} else {
			err = add(chatTemplateKey, t.Name, t.Template)
		}
		if err != nil {
			wrong.add(fmt.Errorf("%s: %w", file, err))
		}
	}
}

// namedTemplates reads those of a GGUF file, by their keys: not all files list the names.
func (m metadata) namedTemplates() (map[string]string, error) {
	named, size := map[string]string{}, 0
	first, _ := m.chatTemplate() // what is wrong with it is told where it is read
	var wrong faults
	for _, key := range m.Keys() {
		name, is := strings.CutPrefix(key, keyTemplate+".")
		if !is {
			continue
		}
		source, _, err := m.text(key)
		if source == "" && err == nil || name == defaultTemplate && (first.Source == "" || source == first.Source) {
			continue
		}
		if err == nil {
			err = addTemplate(named, &size, key, name, source)
		}
		wrong.add(err)
	}
	return named, wrong.err()
}

// spelling is how a format has names of templates.
type spelling struct {
	other   *regexp.Regexp // what a name has that the format does not take, which becomes "_"
	longest int            // bytes
	files   bool           // names are of files: in any case, for some file systems, and the default one has a file of its own
}

var (
	// ASCII letters and digits alone, as llama.cpp's gguf package has it.
	ggufNames = spelling{regexp.MustCompile(`[^A-Za-z0-9]`), gguf.MaxKey - len(keyTemplate+"."), false}

	// Nothing that leads out of the directory. File systems take names of 255 bytes, that of a temporary file too.
	fileNames = spelling{regexp.MustCompile(`^\.|[^A-Za-z0-9_.-]`), 255 - len(templateSuffix) - atomicfile.Suffix, true}
)

// shown is a name for messages.
func shown(name string) string { return strconv.Quote(strictjson.Shorten(name)) }

func (s spelling) of(name string) string { return s.other.ReplaceAllString(name, "_") }

// savedTemplates are the source of the default template to be written, "" for none, and those of others by the names that
// the format has for them. Like a tokenizer that cannot be read, a template is left out where o allows that.
func (c *Checkpoint) savedTemplates(o SaveOptions, names spelling) (source string, named map[string]string, err error) {
	t, wrong := c.template()
	if wrong != nil {
		if err := o.lost("the chat template cannot be read, and none is written: %w", wrong); err != nil || !errors.Is(wrong, errNoDefault) {
			return "", nil, err
		}
		t.Source = "" // those beside are good
	}
	if t.Source, err = o.text(t.Source); err != nil {
		return "", nil, err
	}
	all, wrong := c.NamedTemplates()
	if wrong != nil {
		if err := o.lost("a chat template beside the default one cannot be read, and is not written: %w", wrong); err != nil {
			return t.Source, nil, err
		}
	}
	named, err = o.named(all, names)
	return t.Source, named, err
}

// text is the source of the default template to be written.
func (o SaveOptions) text(source string) (string, error) {
	if at := printable.InvalidUTF8([]byte(source)); at >= 0 {
		return "", o.lost("the chat template is left out: byte %d is 0x%02x, expected UTF-8", at, source[at])
	}
	return source, nil
}

// one is what two names share that cannot be told apart.
func (s spelling) one(name string) string {
	if s.files {
		return strings.ToLower(name) // of ASCII
	}
	return name
}

// named are the templates of all by the names that the format has for them. Of names that become one, that counts
// which is spelled so already, or else the first in the order of their bytes.
func (o SaveOptions) named(all map[string]string, names spelling) (map[string]string, error) {
	inOrder := slices.SortedFunc(maps.Keys(all), func(a, b string) int {
		return cmp.Or(cmp.Compare(changed(a, names), changed(b, names)), cmp.Compare(a, b))
	})
	named, taken := map[string]string{}, map[string]string{}
	if names.files {
		taken[defaultTemplate] = defaultTemplate
	}
	for _, name := range inOrder {
		to := names.of(name)
		other, twice := taken[names.one(to)]
		var err error
		switch at := printable.InvalidUTF8([]byte(all[name])); {
		case name == "":
			err = o.lost("a chat template is left out: its name is empty")
		case twice && other != to:
			err = o.lost("the chat template %s is left out: some file systems cannot tell its name, %s, from %s, which is another one", shown(name), shown(to), shown(other))
		case twice:
			err = o.lost("the chat template %s is left out: its name would be %s, as that of another one is", shown(name), shown(to))
		case len(to) > names.longest:
			err = o.lost("the chat template %s is left out: its name has %d bytes, expected at most %d", shown(name), len(to), names.longest)
		case at >= 0:
			err = o.lost("the chat template %s is left out: byte %d is 0x%02x, expected UTF-8", shown(name), at, all[name][at])
		default:
			named[to], taken[names.one(to)] = all[name], to
		}
		if err != nil {
			return nil, err
		}
	}
	return named, nil
}

// changed is 1 for a name that the format spells otherwise, else 0.
func changed(name string, names spelling) int {
	if names.of(name) == name {
		return 0
	}
	return 1
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
