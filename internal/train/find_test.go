package train

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestFindTexts looks through directories that have more than texts.
func TestFindTexts(t *testing.T) {
	dir := t.TempDir()
	file := func(name string) string { return write(t, filepath.Join(dir, name), []byte("text")) }
	link := func(to, name string) {
		if err := os.Symlink(to, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{
		"texts/a.txt", "texts/deep/b.TXT", "texts/deep/c.md", "texts/merges.txt", // which is no tokenizer's
		"texts/model/config.json", "texts/model/model.safetensors", "texts/model/merges.txt", "texts/model/LICENSE.txt",
		"texts/out/step-000005/config.json", "texts/out/step-000005/model.safetensors", "texts/out/step-000005/merges.txt", "texts/out/notes.txt",
		"texts/cut/.step-000009.tmp/merges.txt",
		"tokenizer/vocab.json", "tokenizer/merges.txt", "tokenizer/d.txt",
		"mixed/config.json", "mixed/model.safetensors", "mixed/merges.txt", "mixed/e.txt",
		"new/f.txt", "none/x.md",
	} {
		file(name)
	}
	write(t, filepath.Join(dir, "bpe", "merges.txt"), []byte("#version: 0.2\na b\n"))
	link("step-000005", "texts/out/newest")
	link("../out/newest/merges.txt", "texts/deep/linked.txt")
	link("gone.txt", "texts/deep/dangling.txt")
	link("../../new", "texts/deep/directory.txt")
	link("texts", "link")
	link("../texts/a.txt", "new/a.txt")

	for name, c := range map[string]struct {
		paths []string
		out   string
		files string // relative to dir
		left  string
		bad   string
	}{
		"nested": {[]string{"texts"}, "", "texts/a.txt texts/deep/b.TXT texts/merges.txt",
			"texts/cut/.step-000009.tmp texts/deep/dangling.txt texts/deep/linked.txt texts/model texts/out", ""},
		"through a link": {[]string{"link"}, "", "link/a.txt link/deep/b.TXT link/merges.txt",
			"link/cut/.step-000009.tmp link/deep/dangling.txt link/deep/linked.txt link/model link/out", ""},
		"output folder":               {[]string{"texts/out"}, "texts/out", "texts/out/notes.txt", "texts/out/step-000005", ""},
		"output below":                {[]string{"texts/deep"}, "texts/deep", "texts/deep/b.TXT", "texts/deep/dangling.txt texts/deep/linked.txt", ""},
		"tokenizer":                   {[]string{"tokenizer"}, "", "tokenizer/d.txt", "tokenizer/merges.txt", ""},
		"beside a model":              {[]string{"mixed"}, "", "mixed/e.txt", "mixed/merges.txt", ""},
		"merges alone":                {[]string{"bpe"}, "", "", "", "bpe/merges.txt: it is a file of a tokenizer"},
		"merges by name":              {[]string{"tokenizer/merges.txt"}, "", "", "", "tokenizer/merges.txt: it is a file of a tokenizer"},
		"merges of a checkpoint":      {[]string{"texts/out/newest/merges.txt"}, "", "", "", "newest/merges.txt: it is a file of a tokenizer"},
		"checkpoint":                  {[]string{"texts/out/newest"}, "", "", "", "newest/merges.txt: it is a file of a tokenizer"},
		"text in a model's directory": {[]string{"mixed/e.txt"}, "", "mixed/e.txt", "", ""},
		"several":                     {[]string{"new", "texts/a.txt", "-"}, "", "new/a.txt new/f.txt texts/a.txt -", "", ""},
		"no texts":                    {[]string{"none"}, "", "", "", "none has no files *.txt"},
		"dangling, by name":           {[]string{"texts/deep/dangling.txt"}, "", "", "", "no such file"},
		"empty name":                  {[]string{""}, "", "", "", "no such file"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Chdir(dir)
			files, left, err := FindTexts(c.paths, c.out)
			if c.bad != "" {
				if err == nil || !strings.Contains(err.Error(), c.bad) {
					t.Errorf("%v, expected %q", err, c.bad)
				}
				return
			}
			var got, out []string
			for _, f := range files {
				got = append(got, f.Path)
			}
			for _, l := range left {
				out = append(out, l.Path)
			}
			if err != nil || strings.Join(got, " ") != c.files || strings.Join(out, " ") != c.left {
				t.Errorf("files %q, left out %q, %v; expected %q and %q", got, left, err, c.files, c.left)
			}
		})
	}

	// A directory that the run is going to write to has no texts, now or later.
	files, _, err := FindTexts([]string{dir}, filepath.Join(dir, "new"))
	if err != nil || len(files) == 0 || slices.ContainsFunc(files, func(f File) bool { return strings.HasPrefix(f.Path, filepath.Join(dir, "new")) }) {
		t.Errorf("with an output directory within: files %v, %v", files, err)
	}

	// The log of a run, and where this process's own output goes.
	write(t, filepath.Join(dir, "texts/out/log.jsonl"), []byte("{}"))
	if _, _, err := FindTexts([]string{filepath.Join(dir, "texts/out/log.jsonl")}, ""); err == nil || !strings.Contains(err.Error(), "log.jsonl: it is the output of a run") {
		t.Errorf("a log: %v", err)
	}
	samples, err := os.Create(filepath.Join(dir, "new", "samples.txt"))
	if err != nil {
		t.Fatal(err)
	}
	defer samples.Close()
	old := os.Stdout
	os.Stdout = samples
	defer func() { os.Stdout = old }()
	if _, left, err := FindTexts([]string{filepath.Join(dir, "new")}, ""); err != nil || len(left) != 1 || left[0].Path != samples.Name() {
		t.Errorf("its own output: %v, %v", left, err)
	}
}

func TestShown(t *testing.T) {
	for path, want := range map[string]string{"a b/ü.txt": "a b/ü.txt", "a\n\x1b[2J.txt": `"a\n\x1b[2J.txt"`, "a\xff": `"a\xff"`} {
		if got := Shown(path); got != want {
			t.Errorf("%q is shown as %s, expected %s", path, got, want)
		}
	}
}
