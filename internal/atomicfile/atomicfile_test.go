package atomicfile_test

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"caldera/internal/atomicfile"
)

func write(path, text string) error {
	return atomicfile.Write(path, func(w io.Writer) error {
		_, err := io.WriteString(w, text)
		return err
	})
}

func TestWrite(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	for _, text := range []string{"one", strings.Repeat("many", 1<<20), ""} {
		if err := write(path, text); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(path); err != nil || string(got) != text {
			t.Errorf("%d bytes (%v), expected the %d that were written", len(got), err, len(text))
		}
	}
}

// TestFailure stops in the middle, before and after bytes have reached the disk.
func TestFailure(t *testing.T) {
	full := errors.New("no space left on device")
	for _, size := range []int{3, 3 << 20} {
		dir := t.TempDir()
		path := filepath.Join(dir, "file")
		if err := write(path, "old"); err != nil {
			t.Fatal(err)
		}
		err := atomicfile.Write(path, func(w io.Writer) error {
			if _, err := w.Write(make([]byte, size)); err != nil {
				t.Error(err)
			}
			return full
		})
		if !errors.Is(err, full) {
			t.Errorf("error %v, expected that of the content", err)
		}
		got, err := os.ReadFile(path)
		entries, _ := os.ReadDir(dir)
		if err != nil || string(got) != "old" || len(entries) != 1 {
			t.Errorf("the old file holds %q (%v) beside %v", got, err, entries)
		}
	}
}

func TestNoDirectory(t *testing.T) {
	if err := write(filepath.Join(t.TempDir(), "none", "file"), "text"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("error %v, expected that there is no such directory", err)
	}
}

// TestNameTaken asks for the name of a directory, which is not replaced.
func TestNameTaken(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "taken")
	if err := os.Mkdir(path, 0o777); err != nil {
		t.Fatal(err)
	}
	err := write(path, "text")
	entries, _ := os.ReadDir(dir)
	if err == nil || len(entries) != 1 || !entries[0].IsDir() {
		t.Errorf("error %v, and the directory holds %v", err, entries)
	}
}

// TestWriteDevice leaves alone what is no file.
func TestWriteDevice(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "dir")
	if err := os.Mkdir(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{dir, os.DevNull} {
		before, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := write(path, "text"); err == nil || !strings.Contains(err.Error(), path+": it is not a regular file") {
			t.Errorf("%s: %v", path, err)
		}
		if after, err := os.Stat(path); err != nil || after.Mode() != before.Mode() {
			t.Fatalf("%s was replaced: %v, %v", path, after, err)
		}
	}
}

// TestLink writes the file that a link leads to, there already or not.
func TestLink(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	if err := errors.Join(
		os.MkdirAll(at("a/b"), 0o777), os.Symlink("a/b", at("short")),
		os.Symlink("../old", at("a/b/up")), // a/old, not old
		os.Symlink("short/up", at("link")), os.Symlink(at("new"), at("dangling")), os.Symlink("loop", at("loop")),
	); err != nil {
		t.Skip(err) // links are not for everybody on Windows
	}
	for link, file := range map[string]string{"link": "a/old", "dangling": "new", "short/up": "a/old"} {
		if err := write(at(link), link); err != nil {
			t.Error(err)
		}
		if got, err := os.ReadFile(at(file)); err != nil || string(got) != link {
			t.Errorf("%s: %s holds %q, %v", link, file, got, err)
		}
		if info, err := os.Lstat(at(filepath.Dir(link)) + "/" + filepath.Base(link)); err != nil || info.Mode()&os.ModeSymlink == 0 {
			t.Errorf("%s is no link any more: %v, %v", link, info, err)
		}
	}
	if err := write(at("loop"), ""); err == nil || !strings.Contains(err.Error(), "too many levels of symbolic links") {
		t.Errorf("a loop: %v", err)
	}
}

// TestCreate makes nothing of its name until it is committed, and leaves
// nothing behind where it is not.
func TestCreate(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	for _, commit := range []bool{false, true} {
		f, err := atomicfile.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(f, "text")
		if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the file is there before it is whole: %v", err)
		}
		if commit {
			if err := f.Commit(); err != nil {
				t.Error(err)
			}
		}
		f.Discard()
		entries, _ := os.ReadDir(dir)
		if len(entries) > 0 != commit || commit && entries[0].Name() != "file" {
			t.Errorf("committed: %v, the directory holds %v", commit, entries)
		}
	}
	if got, err := os.ReadFile(path); err != nil || string(got) != "text" {
		t.Errorf("the file holds %q, %v", got, err)
	}
}

func TestMkdir(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new")
	for _, full := range []bool{false, true} {
		undo, err := atomicfile.Mkdir(dir)
		if err != nil {
			t.Fatal(err)
		}
		again, err := atomicfile.Mkdir(dir)
		if err != nil {
			t.Fatal(err)
		}
		again() // which did not make it
		if _, err := os.Stat(dir); err != nil {
			t.Errorf("undone by who found it there: %v", err)
		}
		if full {
			if err := os.WriteFile(filepath.Join(dir, "file"), nil, 0o666); err != nil {
				t.Fatal(err)
			}
		}
		undo()
		if _, err := os.Stat(dir); (err == nil) != full {
			t.Errorf("undone with something in it %t: %v", full, err)
		}
	}
	if _, err := atomicfile.Mkdir(filepath.Join(dir, "file", "x")); err == nil {
		t.Error("a directory below a file was made")
	}
}

func TestCopy(t *testing.T) {
	dir := t.TempDir()
	from, to := filepath.Join(dir, "from"), filepath.Join(dir, "to")
	if err := errors.Join(os.WriteFile(from, []byte("new"), 0o666), atomicfile.Copy(from, to)); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(to); err != nil || string(text) != "new" {
		t.Errorf("a copy holds %q (%v)", text, err)
	}
	if err := atomicfile.Copy(filepath.Join(dir, "absent"), to); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("copying what is not there: %v", err)
	}
}
