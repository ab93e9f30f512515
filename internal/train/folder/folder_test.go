package folder_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"caldera/internal/train/folder"
)

// write makes files of a run, by their paths in dir.
func write(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o777), os.WriteFile(path, []byte(text), 0o666)); err != nil {
			t.Fatal(err)
		}
	}
}

func link(t *testing.T, dir, name, to string) {
	t.Helper()
	if err := os.Symlink(to, filepath.Join(dir, name)); err != nil {
		t.Fatal(err)
	}
}

// text is a run as a test expects it.
func text(dir string, r *folder.Run) string {
	var b strings.Builder
	number := func(x *float64) any {
		if x == nil {
			return "-"
		}
		return *x
	}
	for _, w := range r.Weights {
		path, _ := filepath.Rel(dir, w.Path)
		fmt.Fprintf(&b, "%d %s %s %v %v\n", w.Step, filepath.ToSlash(path), strings.Join(w.Kinds, "+"), number(w.Loss), number(w.ValLoss))
	}
	fmt.Fprintf(&b, "%d lines, %d notes", len(r.Log), len(r.Notes))
	return b.String()
}

const (
	snapshot3 = `{"format": 1, "step": 3, "tokens": 24, "loss": 2.5, "val_loss": 2.25}`
	state10   = `{"format": 1, "step": 10, "evaluation": {"step": 10, "val_loss": 1.5}}`
)

func TestOpen(t *testing.T) {
	for name, c := range map[string]struct {
		make func(t *testing.T, dir string)
		want string
	}{
		"a run": {func(t *testing.T, dir string) {
			write(t, dir, map[string]string{
				"snapshots/step-000000/snapshot.json": `{"format": 1, "step": 0, "tokens": 0, "loss": null, "val_loss": 4.5}`,
				"snapshots/step-000003/snapshot.json": snapshot3,
				"snapshots/step-000010/snapshot.json": `{"format": 1, "step": 10, "tokens": 80, "loss": 1.75, "val_loss": 1.5}`,
				"step-000010/train.json":              state10,
				"step-000012/train.json":              `{"step": 12, "evaluation": {"step": 10, "val_loss": 1.5}}`,
				"log.jsonl":                           `{"step":12,"loss":1.7,"time":1}` + "\n" + `{"step":13,"lo`,
			})
			link(t, dir, "best", "step-000010")
			link(t, dir, "newest", "step-000012")
		}, "0 snapshots/step-000000 snapshot - 4.5\n3 snapshots/step-000003 snapshot 2.5 2.25\n10 best best+snapshot 1.75 1.5\n12 newest newest 1.7 -\n1 lines, 0 notes"},
		"copied, links as directories": {func(t *testing.T, dir string) {
			write(t, dir, map[string]string{"best/train.json": state10, "newest/train.json": state10, "step-000010/train.json": state10})
		}, "10 best best+newest+checkpoint - 1.5\n0 lines, 0 notes"},
		"the folder of snapshots": {func(t *testing.T, dir string) {
			write(t, dir, map[string]string{"step-000003/snapshot.json": snapshot3})
		}, "3 step-000003 snapshot 2.5 2.25\n0 lines, 0 notes"},
		"before its first link": {func(t *testing.T, dir string) {
			write(t, dir, map[string]string{"step-000010/train.json": state10, ".step-000011.tmp/train.json": state10})
		}, "10 step-000010 checkpoint - 1.5\n0 lines, 0 notes"},
		"in the place of another": {func(t *testing.T, dir string) {
			write(t, dir, map[string]string{
				"snapshots/step-000000/snapshot.json":             `{"format": 1, "step": 0, "val_loss": 4.5}`,
				"log.jsonl":                                       "no log",
				"step-000010/train.json":                          state10,
				"step-000010/snapshots/step-000003/snapshot.json": snapshot3,
				"step-000010/log.jsonl":                           `{"step":10,"loss":1.75}`,
			})
			link(t, dir, "newest", "step-000010")
		}, "3 newest/snapshots/step-000003 snapshot 2.5 2.25\n10 newest newest 1.75 1.5\n1 lines, 0 notes"},
		"what is none": {func(t *testing.T, dir string) {
			write(t, dir, map[string]string{
				"step-000010/train.json":                    state10,
				"snapshots/mine/snapshot.json":              snapshot3,
				"snapshots/step-000004/model.safetensors":   "x",
				"snapshots/step-000005":                     snapshot3,
				"snapshots/step-000006/snapshot.json/x":     "",
				"snapshots/.step-000007.tmp/snapshot.json":  snapshot3,
				"elsewhere/step-000003/snapshot.json":       snapshot3,
				"snapshots/step-99999999999/snapshot.json":  snapshot3,
				"snapshots/step-000003.old/snapshot.json":   snapshot3,
				"snapshots/step-0000003x/snapshot.json/etc": "",
			})
			link(t, dir, "snapshots/step-000003", "../elsewhere/step-000003")
		}, "10 step-000010 checkpoint - 1.5\n0 lines, 0 notes"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			c.make(t, dir)
			r, err := folder.Open(dir)
			if err != nil {
				t.Fatal(err)
			}
			if got := text(dir, r); got != c.want {
				t.Errorf("it has\n%s\nexpected\n%s\n%q", got, c.want, r.Notes)
			}
		})
	}
}

// TestHostile leaves out what no run writes, and says so.
func TestHostile(t *testing.T) {
	for name, c := range map[string]struct{ path, text, note string }{
		"no JSON":            {"snapshots/step-000003/snapshot.json", "xx", "JSON"},
		"deep":               {"snapshots/step-000003/snapshot.json", strings.Repeat(`{"a":`, 99), "nested deeper"},
		"twice":              {"snapshots/step-000003/snapshot.json", `{"step": 3, "step": 4}`, "twice"},
		"another version":    {"snapshots/step-000003/snapshot.json", `{"format": 2, "step": 3}`, "format 2, expected 1"},
		"another step":       {"snapshots/step-000003/snapshot.json", `{"format": 1, "step": 4}`, "found step 4, expected 3"},
		"a huge step":        {"snapshots/step-9999999999/snapshot.json", `{"format": 1, "step": 9999999999}`, "at most 2147483647"},
		"a step like none":   {"snapshots/step-000003/snapshot.json", `{"format": 1, "step": 1e999}`, "1e999"},
		"negative tokens":    {"snapshots/step-000003/snapshot.json", `{"format": 1, "step": 3, "tokens": -1}`, "found -1 tokens"},
		"a loss like none":   {"snapshots/step-000003/snapshot.json", `{"format": 1, "step": 3, "loss": "NaN"}`, "loss"},
		"large":              {"snapshots/step-000003/snapshot.json", strings.Repeat(" ", 1<<16) + snapshot3, "more than 65536 bytes"},
		"a state of nothing": {"step-000003/train.json", `{}`, "found no step"},
		"a negative step":    {"step-000003/train.json", `{"step": -1}`, "found no step"},
		"no state":           {"step-000003/config.json", `{}`, "no such file"},
		"a large state":      {"step-000003/train.json", strings.Repeat(" ", 1<<20) + `{"step": 3}`, "more than 1048576 bytes"},
		"a log of something": {"log.jsonl", "{\"step\":1}\nxx\n{\"step\":2}\n", "line 2"},
	} {
		dir := t.TempDir()
		write(t, dir, map[string]string{"step-000010/train.json": state10, c.path: c.text})
		r, err := folder.Open(dir)
		if err != nil || len(r.Weights) != 1 || len(r.Notes) != 1 || !strings.Contains(r.Notes[0], c.note) || !strings.Contains(r.Notes[0], filepath.Base(filepath.Dir(filepath.Join(dir, c.path)))) {
			t.Errorf("%s: %+v, %v, expected a note with %q", name, r, err, c.note)
		}
	}
	// A state that is a named pipe, or a link to it, would wait for ever.
	dir := t.TempDir()
	write(t, dir, map[string]string{"step-000010/train.json": state10})
	link(t, dir, "best", dir+"/best")
	link(t, dir, "newest", "/dev")
	link(t, dir, "log.jsonl", "/dev/zero")
	r, err := folder.Open(dir)
	if err != nil || len(r.Weights) != 1 || len(r.Notes) != 3 {
		t.Errorf("%+v, %v", r, err)
	}

	for path, want := range map[string]string{
		filepath.Join(dir, "none"):                   "none: no such file",
		filepath.Join(dir, "step-000010/train.json"): "found a file, expected the folder of a training run",
		t.TempDir(): "found no checkpoint and no snapshot in it",
	} {
		if _, err := folder.Open(path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, expected %q", path, err, want)
		}
	}
}

func TestSnapshot(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "step-000003")
	if err := os.Mkdir(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	if folder.IsSnapshot(dir) {
		t.Error("an empty directory is a snapshot")
	}
	if _, err := folder.ReadSnapshot(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error %v", err)
	}
	loss := 0.1
	if err := folder.WriteSnapshot(dir, folder.Snapshot{Step: 3, Tokens: 5, ValLoss: &loss}); err != nil {
		t.Fatal(err)
	}
	s, err := folder.ReadSnapshot(dir)
	if err != nil || s.Step != 3 || s.Tokens != 5 || s.Loss != nil || *s.ValLoss != loss || !folder.IsSnapshot(dir) {
		t.Errorf("%+v, %v", s, err)
	}
}
