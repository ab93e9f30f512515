package checkpoint

import (
	"context"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"caldera/gpt/model"
)

// save writes the model at from into dir.
func save(t *testing.T, from, dir string) {
	t.Helper()
	c, err := Open(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(c.SaveDir(context.Background(), dir, SaveOptions{}), c.Close()); err != nil {
		t.Fatal(err)
	}
}

// layers opens the model in dir, checks that shape, weights and tokenizer are of
// one model, and returns how many layers it has.
func layers(t *testing.T, dir string) int {
	t.Helper()
	c, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, _, err := c.match(nil, model.Placement{}); err != nil {
		t.Error(err)
	}
	if _, err := c.tokenizerFiles(SaveOptions{}); err != nil {
		t.Error(err)
	}
	return c.Config.Layers
}

func list(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// smallModel and otherModel are models of other shapes: one layer without a tokenizer, six with one.
const smallModel, otherModel = "../testdata/gpt2-one", "../../models/austen"

// TestReplaceCutOff leaves a directory as it is at each moment at which writing
// another model to it may be cut off. It is a whole model each time, and the next
// save cleans up.
func TestReplaceCutOff(t *testing.T) {
	for _, c := range []struct {
		name     string
		from, to string
		layers   int // of to
	}{{"a larger one", smallModel, otherModel, 6}, {"a smaller one", otherModel, smallModel, 1}} {
		t.Run(c.name, func(t *testing.T) {
			begin := func() (dir string, r *replacement) {
				dir = t.TempDir()
				save(t, c.from, dir)
				r, err := replaceDir(dir)
				if err != nil {
					t.Fatal(err)
				}
				save(t, c.to, r.staging)
				return dir, r
			}
			finish := func(dir string) {
				t.Helper()
				save(t, c.to, dir)
				want := t.TempDir()
				save(t, c.to, want)
				if got, want := list(t, dir), list(t, want); !slices.Equal(got, want) {
					t.Errorf("the next save leaves %q, expected %q", got, want)
				}
				if n := layers(t, dir); n != c.layers {
					t.Errorf("it has %d layers, expected %d", n, c.layers)
				}
			}

			dir, _ := begin() // all is written
			if n := layers(t, dir); n == c.layers {
				t.Error("it is the new one before all is done")
			}
			finish(dir)
			for placed := 0; ; placed++ {
				dir, r := begin()
				pending := filepath.Join(dir, pendingName)
				if err := os.Rename(r.staging, pending); err != nil {
					t.Fatal(err)
				}
				names, err := filesOf(pending)
				if err != nil {
					t.Fatal(err)
				}
				for _, name := range names[:min(placed, len(names))] {
					if err := place(filepath.Join(pending, name), filepath.Join(dir, name)); err != nil {
						t.Fatal(err)
					}
				}
				if placed < len(names) { // the next one is there and has no name yet
					if _, err := stage(filepath.Join(pending, names[placed]), dir); err != nil {
						t.Fatal(err)
					}
				}
				if n := layers(t, dir); n != c.layers {
					t.Errorf("with %d files in their places it has %d layers, expected %d", placed, n, c.layers)
				}
				finish(dir)
				if placed == len(names) {
					break
				}
			}
		})
	}
}

// TestReplaceKeeps writes into a directory of many files: a model's go, others stay.
func TestReplaceKeeps(t *testing.T) {
	dir := t.TempDir()
	gone := slices.DeleteFunc(slices.Clone(directoryFiles), func(name string) bool { return name == templateDir })
	gone = append(gone, templateDir+"/tool_use.jinja", "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors", "pytorch_model-00001-of-00003.bin")
	kept := []string{"README.md", "notes.txt", "model.gguf", "mymodel-00001-of-00002.safetensors", "model.safetensors.bak", "sub/config.json", ".git/config"}
	for _, name := range append(gone, kept...) {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o777), os.WriteFile(path, []byte(name), 0o666)); err != nil {
			t.Fatal(err)
		}
	}
	save(t, smallModel, dir)
	for _, name := range kept {
		if text, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(text) != name {
			t.Errorf("%s holds %q (%v)", name, text, err)
		}
	}
	for _, name := range gone {
		if text, err := os.ReadFile(filepath.Join(dir, name)); err == nil && string(text) == name {
			t.Errorf("%s is still there", name)
		}
	}
	if n := layers(t, dir); n != 1 || len(list(t, dir)) != 2+len(kept) {
		t.Errorf("it has %d layers and %q", n, list(t, dir))
	}
}

// TestReplaceItself reads from the directory that it writes to.
func TestReplaceItself(t *testing.T) {
	dir := t.TempDir()
	save(t, otherModel, dir)
	before := list(t, dir)
	for range 2 {
		save(t, dir, dir)
		if n := layers(t, dir); n != 6 || !slices.Equal(list(t, dir), before) {
			t.Errorf("it has %d layers and %q", n, list(t, dir))
		}
	}
}

// TestReplaceFails expects the old model, and nothing else, after an error.
func TestReplaceFails(t *testing.T) {
	dir := t.TempDir()
	save(t, smallModel, dir)
	before := list(t, dir)
	c, err := Open(otherModel)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ctx, stop := context.WithCancel(context.Background())
	stopped := SaveOptions{Progress: func(done, total int) {
		if done == total/2 {
			stop()
		}
	}}
	if err := c.SaveDir(ctx, dir, stopped); !errors.Is(err, context.Canceled) {
		t.Errorf("stopped: %v", err)
	}
	if n := layers(t, dir); n != 1 || !slices.Equal(list(t, dir), before) {
		t.Errorf("it has %d layers and %q, expected those of before, %q", n, list(t, dir), before)
	}
}

// TestPendingOfOthers has links where a pending model would be.
func TestPendingOfOthers(t *testing.T) {
	dir := t.TempDir()
	save(t, smallModel, dir)
	if err := os.Symlink(".", filepath.Join(dir, pendingName)); err != nil {
		t.Fatal(err)
	}
	if n := layers(t, dir); n != 1 {
		t.Errorf("it has %d layers", n)
	}
	c, err := Open(otherModel)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.SaveDir(context.Background(), dir, SaveOptions{}); err == nil || !strings.Contains(err.Error(), "move it away") {
		t.Errorf("error %v", err)
	}
	if n := layers(t, dir); n != 1 {
		t.Errorf("then it has %d layers", n)
	}
}

// TestReplaceTemplates: templates of other names are those of the old model or of the new one, wherever it is cut off.
func TestReplaceTemplates(t *testing.T) {
	write := func(dir string, named map[string]string) {
		t.Helper()
		c, err := Open(otherModel)
		if err != nil {
			t.Fatal(err)
		}
		c.SetNamedTemplates(named)
		if err := errors.Join(c.SaveDir(t.Context(), dir, SaveOptions{}), c.Close()); err != nil {
			t.Fatal(err)
		}
	}
	expect := func(dir string, want map[string]string) {
		t.Helper()
		c, err := Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if got, err := c.NamedTemplates(); err != nil || !maps.Equal(got, want) {
			t.Errorf("the templates are %q (%v), expected %q", got, err, want)
		}
	}
	before, after := map[string]string{"a": "1", "b": "2"}, map[string]string{"b": "3"}
	for moment := range 3 {
		dir := t.TempDir()
		write(dir, before)
		r, err := replaceDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		write(r.staging, after)
		if moment == 0 {
			expect(dir, before)
			continue
		}
		if err := os.Rename(r.staging, filepath.Join(dir, pendingName)); err != nil {
			t.Fatal(err)
		}
		if moment == 2 {
			if err := placeDir(filepath.Join(dir, pendingName, templateDir), filepath.Join(dir, templateDir)); err != nil {
				t.Fatal(err)
			}
		}
		expect(dir, after)
		if err := finishReplacement(dir); err != nil {
			t.Fatal(err)
		}
		expect(dir, after)
		if got := list(t, filepath.Join(dir, templateDir)); !slices.Equal(got, []string{"b.jinja"}) {
			t.Errorf("there are %q", got)
		}
		write(dir, nil)
		expect(dir, nil)
		if got := list(t, dir); slices.Contains(got, templateDir) {
			t.Errorf("there are %q", got)
		}
	}
}
