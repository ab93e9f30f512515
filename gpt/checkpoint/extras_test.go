package checkpoint_test

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"caldera/backend"
	"caldera/gpt/checkpoint"
	"caldera/gpt/checkpoint/gguf"
	"caldera/internal/gpttest"
)

// awkward are templates whose names, or texts, fit into no directory, with one that does.
func awkward(m *ggufModel) {
	m.set("tokenizer.chat_template", gguf.OfText("d"))
	for name, source := range map[string]string{"tool_use": "t", "tool use": "x", "": "x", strings.Repeat("n", 300): "x", "bad": "\xff"} {
		m.set("tokenizer.chat_template."+name, gguf.OfText(source))
	}
}

// TestExtras: what a directory cannot hold is told once, when it is read, and is no error of a save. Without a
// tokenizer templates are kept, in either format.
func TestExtras(t *testing.T) {
	m := oneGGUF(t) // which has no tokenizer
	awkward(m)
	m.set("general.sampling.penalty_repeat", gguf.OfFloat32(1.5))
	m.set("general.sampling.penalty_last_n", gguf.OfInt32(64))
	c := gpttest.OpenCheckpoint(t, m.write(t))
	var told []string
	warn := func(what string) { told = append(told, what) }
	tells := func(what string, parts ...string) {
		t.Helper()
		for _, part := range parts {
			if n := strings.Count(strings.Join(told, "\n"), part); n != 1 {
				t.Errorf("%s tells %q, expected %q once", what, told, part)
			}
		}
		if len(told) != len(parts) {
			t.Errorf("%s tells %q, expected %d lines", what, told, len(parts))
		}
		told = nil
	}
	parts := []string{`template "tool use" is left out`, "its name is empty", "has 300 bytes, expected at most 228", `template "bad" is left out: byte 0`,
		"general.sampling.penalty_last_n is 64, which generation_config.json cannot say"}
	holds := func(what, path string) {
		t.Helper()
		saved := gpttest.OpenCheckpoint(t, path)
		x, err := saved.Extras(func(string) {})
		if err != nil {
			t.Fatal(err)
		}
		blank := gpttest.Base(t).Write(t)
		to := gpttest.OpenCheckpoint(t, blank)
		to.SetExtras(x)
		dir := gpttest.SaveDir(t, to, backend.None)
		got, err := os.ReadFile(filepath.Join(dir, "chat_template.jinja"))
		named, wrong := saved.NamedTemplates()
		if err := errors.Join(err, wrong); err != nil || string(got) != "d" || !maps.Equal(named, map[string]string{"tool_use": "t"}) {
			t.Errorf("%s has %q and %q, %v", what, got, named, err)
		}
	}

	x, err := c.Extras(warn)
	if err != nil {
		t.Fatal(err)
	}
	tells("Extras", parts...)
	learned := gpttest.OpenCheckpoint(t, gpttest.Base(t).Write(t))
	learned.SetExtras(x)
	dir := filepath.Join(t.TempDir(), "learned")
	if err := learned.SaveDir(t.Context(), dir, checkpoint.SaveOptions{}); err != nil {
		t.Fatalf("a save of what was told of: %v", err)
	}
	holds("what has learned", dir)

	dir = filepath.Join(t.TempDir(), "converted")
	if err := c.SaveDir(t.Context(), dir, checkpoint.SaveOptions{Warn: warn}); err != nil {
		t.Fatal(err)
	}
	tells("SaveDir", parts...)
	holds("a directory", dir)
	file := filepath.Join(t.TempDir(), "back.gguf")
	if err := gpttest.OpenCheckpoint(t, dir).SaveGGUF(t.Context(), file, checkpoint.SaveOptions{Warn: warn}); err != nil {
		t.Fatal(err)
	}
	tells("SaveGGUF")
	holds("GGUF", file)

	// Damaged templates are an error before anything is learned.
	damaged := gpttest.OpenCheckpoint(t, withFiles(t, map[string]string{"additional_chat_templates/a.jinja": "\xff"}))
	_, err = damaged.Extras(warn)
	gpttest.WantError(t, err, "additional_chat_templates/a.jinja: byte 0 is 0xff, expected UTF-8")
}

// TestDefaultNamed takes a template that is called the default one for it, where a GGUF file has no other.
func TestDefaultNamed(t *testing.T) {
	for plain, want := range map[string]string{"": "n", "p": "p"} {
		m := oneGGUF(t)
		m.set("tokenizer.chat_template", gguf.OfText(plain))
		m.set("tokenizer.chat_template.default", gguf.OfText("n"))
		dir, told := filepath.Join(t.TempDir(), "saved"), 0
		warn := func(string) { told++ } // that there are two
		if err := gpttest.OpenCheckpoint(t, m.write(t)).SaveDir(t.Context(), dir, checkpoint.SaveOptions{Warn: warn}); err != nil || told != len(plain) {
			t.Errorf("%q: %v, %d warnings", plain, err, told)
		}
		if got, err := os.ReadFile(filepath.Join(dir, "chat_template.jinja")); err != nil || string(got) != want {
			t.Errorf("%q: %q, %v, expected %q", plain, got, err, want)
		}
	}
}

// TestTemplateSum bounds what all templates have together.
func TestTemplateSum(t *testing.T) {
	dir := withFiles(t, map[string]string{"additional_chat_templates/a.jinja": "", "additional_chat_templates/b.jinja": ""})
	for _, name := range []string{"a", "b"} {
		if err := os.Truncate(filepath.Join(dir, "additional_chat_templates", name+".jinja"), 33<<20); err != nil {
			t.Fatal(err)
		}
	}
	_, err := gpttest.OpenCheckpoint(t, dir).NamedTemplates()
	gpttest.WantError(t, err, fmt.Sprintf("additional_chat_templates/b.jinja: found more than %d bytes in the chat templates beside the default one", 64<<20))
}

// TestPenaltyInDirectory tells where a directory makes a penalty count more tokens.
func TestPenaltyInDirectory(t *testing.T) {
	for _, x := range []struct {
		penalty float32
		last    int32 // 0: not said
		told    string
	}{{1.5, -1, ""}, {1.5, 64, "penalty_last_n is 64"}, {1.5, 0, "stands without general.sampling.penalty_last_n"}, {1, 0, ""}, {0, 32, "penalty_last_n is 32"}} {
		m := oneGGUF(t)
		if x.penalty != 0 {
			m.set("general.sampling.penalty_repeat", gguf.OfFloat32(x.penalty))
		}
		if x.last != 0 {
			m.set("general.sampling.penalty_last_n", gguf.OfInt32(x.last))
		}
		told := ""
		o := checkpoint.SaveOptions{Warn: func(what string) { told += what }}
		if err := gpttest.OpenCheckpoint(t, m.write(t)).SaveDir(t.Context(), filepath.Join(t.TempDir(), "dir"), o); err != nil {
			t.Fatal(err)
		}
		if (told == "") != (x.told == "") || !strings.Contains(told, x.told) {
			t.Errorf("%v of the last %d: told %q, expected %q", x.penalty, x.last, told, x.told)
		}
	}
}
