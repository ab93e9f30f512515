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
