package checkpoint_test

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"caldera/backend"
	"caldera/gpt/checkpoint"
	"caldera/gpt/checkpoint/gguf"
	"caldera/internal/gpttest"
)

// withFiles is the directory of a model for chats, without a template, and files beside it.
func withFiles(t *testing.T, files map[string]string) (dir string) {
	t.Helper()
	dir = gpttest.ChatModel(t, "")
	for name, text := range files {
		path := filepath.Join(dir, name)
		err := os.MkdirAll(filepath.Dir(path), 0o777)
		if err == nil {
			err = os.WriteFile(path, []byte(text), 0o666)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestNamedTemplates keeps all templates in either format, wherever they are from.
func TestNamedTemplates(t *testing.T) {
	for name, c := range map[string]struct {
		files  map[string]string
		source string            // of the default one
		named  map[string]string // as a directory has them
		keys   string            // of GGUF
		told   string            // in warnings
	}{
		"files": {map[string]string{"chat_template.jinja": "d", "additional_chat_templates/tool_use.jinja": "t", "additional_chat_templates/rag.jinja": "r"},
			"d", map[string]string{"tool_use": "t", "rag": "r"}, "tokenizer.chat_template.rag tokenizer.chat_template.tool_use", ""},
		"a list": {map[string]string{"tokenizer_config.json": `{"chat_template": [{"name": "tool-use", "template": "t"}, {"name": "default", "template": "d"}]}`},
			"d", map[string]string{"tool-use": "t"}, "tokenizer.chat_template.tool_use", ""},
		"files before a list": {map[string]string{"additional_chat_templates/a.jinja": "1", "tokenizer_config.json": `{"chat_template": [{"name": "a", "template": "2"}, {"name": "default", "template": "d"}]}`},
			"d", map[string]string{"a": "1"}, "tokenizer.chat_template.a", ""},
		"no default one": {map[string]string{"additional_chat_templates/a.jinja": "1", "additional_chat_templates/b.jinja": "2"},
			"", map[string]string{"a": "1", "b": "2"}, "tokenizer.chat_template.a tokenizer.chat_template.b", `none of which is called "default"`},
		"a path for a name": {map[string]string{"tokenizer_config.json": `{"chat_template": [{"name": "../../x", "template": "t"}, {"name": "default", "template": "d"}]}`},
			"d", map[string]string{"_._.._x": "t"}, "tokenizer.chat_template.______x", ""},
		"names that become one": {map[string]string{"tokenizer_config.json": `{"chat_template": [{"name": "a b", "template": "t"}, {"name": "a_b", "template": "u"}, {"name": "default", "template": "d"}]}`},
			"d", map[string]string{"a_b": "u"}, "tokenizer.chat_template.a_b", `the chat template "a b" is left out`},
		"names that differ in case": {map[string]string{"chat_template.jinja": "d", "additional_chat_templates/Rag.jinja": "1", "additional_chat_templates/rag.jinja": "2"},
			"d", map[string]string{"Rag": "1"}, "tokenizer.chat_template.Rag tokenizer.chat_template.rag", `"rag" is left out: some file systems cannot tell its name, "rag", from "Rag"`},
		"another default one": {map[string]string{"chat_template.jinja": "d", "additional_chat_templates/default.jinja": "e"},
			"d", nil, "tokenizer.chat_template.default", `"default" is left out`},
		"the same default one": {map[string]string{"chat_template.jinja": "d", "additional_chat_templates/default.jinja": "d"}, "d", nil, "", ""},
		"one of no UTF-8": {map[string]string{"chat_template.jinja": "d", "additional_chat_templates/a.jinja": "\xff", "additional_chat_templates/b.jinja": "2"},
			"d", map[string]string{"b": "2"}, "tokenizer.chat_template.b", "additional_chat_templates/a.jinja: byte 0 is 0xff"},
		"two of another type": {map[string]string{"chat_template.jinja": "d", "tokenizer_config.json": `{"chat_template": [{"name": 1}, {"name": "b", "template": "2"}, 3]}`},
			"d", map[string]string{"b": "2"}, "tokenizer.chat_template.b", `tokenizer_config.json: chat_template[0]: found {"name": 1}, expected an object with a name and a template (and 1 more faults)`},
		"no UTF-8": {map[string]string{"chat_template.jinja": "d", "additional_chat_templates/a.jinja": "\xff"}, "d", nil, "", "additional_chat_templates/a.jinja: byte 0 is 0xff"},
		"none":     {nil, "", nil, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			from := gpttest.OpenCheckpoint(t, withFiles(t, c.files))
			check := func(what, path string) {
				t.Helper()
				saved := gpttest.OpenCheckpoint(t, path)
				named, err := saved.NamedTemplates()
				template, _ := saved.ChatTemplate()
				n := len(c.named)
				if what == "GGUF" {
					n = len(strings.Fields(c.keys))
				}
				if err != nil || template.Source != c.source || len(named) != n {
					t.Errorf("%s: %q and %q (%v), expected %q and %q", what, template.Source, named, err, c.source, c.named)
				}
				if what == "GGUF" {
					return // which spells names otherwise
				}
				if !maps.Equal(named, c.named) && len(c.named) > 0 {
					t.Errorf("%s: %q, expected %q", what, named, c.named)
				}
			}
			var told []string
			o := checkpoint.SaveOptions{DType: backend.F32, Warn: func(what string) { told = append(told, what) }}
			dir, file := filepath.Join(t.TempDir(), "saved"), filepath.Join(t.TempDir(), "saved.gguf")
			if err := from.SaveDir(t.Context(), dir, o); err != nil {
				t.Fatal(err)
			}
			check("a directory", dir)
			if all := strings.Join(told, "; "); (all != "") != (c.told != "") || !strings.Contains(all, c.told) {
				t.Errorf("it tells %q, expected %q", all, c.told)
			}
			if err := from.SaveGGUF(t.Context(), file, o); err != nil {
				t.Fatal(err)
			}
			check("GGUF", file)
			f, err := gguf.Open(file)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			keys := slices.DeleteFunc(f.Keys(), func(key string) bool { return !strings.HasPrefix(key, "tokenizer.chat_template.") })
			if got := strings.Join(keys, " "); got != c.keys {
				t.Errorf("GGUF has %s, expected %s", got, c.keys)
			}
			for _, key := range keys { // of names that become one, the one that was so already
				v, _ := f.Value(key)
				source, there := c.named[strings.TrimPrefix(key, "tokenizer.chat_template.")]
				if got, _ := v.Text(); there && got != source {
					t.Errorf("GGUF: %s is not %q", key, source)
				}
			}
			// In place of another model, whose templates go.
			if err := os.MkdirAll(filepath.Join(dir, "additional_chat_templates"), 0o777); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, "additional_chat_templates", "old.jinja"), []byte("old"), 0o666); err != nil {
				t.Fatal(err)
			}
			if err := from.SaveDir(t.Context(), dir, o); err != nil {
				t.Fatal(err)
			}
			check("in place", dir)
		})
	}
	files := map[string]string{"chat_template.jinja": "d"}
	for i := range 65 {
		files["additional_chat_templates/"+strings.Repeat("x", i+1)+".jinja"] = "t"
	}
	_, err := gpttest.OpenCheckpoint(t, withFiles(t, files)).NamedTemplates()
	gpttest.WantError(t, err, "more than 64 templates")
}

// TestNamedTemplatesGGUF keeps those that can be read of a GGUF file, a second default one too.
func TestNamedTemplatesGGUF(t *testing.T) {
	m := oneGGUF(t)
	m.set("tokenizer.chat_template", gguf.OfText("d"))
	m.set("tokenizer.chat_template.default", gguf.OfText("e"))
	m.set("tokenizer.chat_template.a", gguf.OfUint32(1))
	m.set("tokenizer.chat_template.Rag", gguf.OfText("1"))
	m.set("tokenizer.chat_template.rag", gguf.OfText("2"))
	from := gpttest.OpenCheckpoint(t, m.write(t))
	var told string
	o := checkpoint.SaveOptions{DType: backend.F32, Warn: func(what string) { told += what + "\n" }}
	expect := func(what string, parts ...string) {
		t.Helper()
		for _, part := range parts {
			if !strings.Contains(told, part) {
				t.Errorf("%s: it tells %q, expected %q", what, told, part)
			}
		}
		told = ""
	}
	dir, file := filepath.Join(t.TempDir(), "saved"), filepath.Join(t.TempDir(), "saved.gguf")
	if err := from.SaveDir(t.Context(), dir, o); err != nil {
		t.Fatal(err)
	}
	expect("a directory", "tokenizer.chat_template.a: found", `"default" is left out`, `"rag" is left out`)
	if err := from.SaveGGUF(t.Context(), file, o); err != nil {
		t.Fatal(err)
	}
	expect("GGUF", "tokenizer.chat_template.a: found")
	for path, want := range map[string]map[string]string{dir: {"Rag": "1"}, file: {"default": "e", "Rag": "1", "rag": "2"}} {
		if named, err := gpttest.OpenCheckpoint(t, path).NamedTemplates(); err != nil || !maps.Equal(named, want) {
			t.Errorf("%s: %q (%v), expected %q", path, named, err, want)
		}
	}
}
