package regular

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
)

func TestOpen(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "file"), []byte("text"), 0o666); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("file", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	for _, fsys := range []fs.FS{os.DirFS(dir), fstest.MapFS{"file": {Data: []byte("text")}, "link": {Data: []byte("text")}}} {
		for _, name := range []string{"file", "link"} {
			f, err := Open(fsys, name)
			if err != nil {
				t.Fatal(err)
			}
			if text, err := io.ReadAll(f); string(text) != "text" || err != nil {
				t.Errorf("%s: read %q, %v", name, text, err)
			}
			f.Close()
		}
		if _, err := Open(fsys, "."); err == nil || !strings.Contains(err.Error(), "found a directory, expected a regular file") {
			t.Errorf("a directory: %v", err)
		}
		if _, err := Open(fsys, "absent"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("a file that is missing: %v", err)
		}
	}
}

func TestKinds(t *testing.T) {
	for mode, want := range map[fs.FileMode]string{
		fs.ModeDir: "directory", fs.ModeNamedPipe: "named pipe", fs.ModeDevice | fs.ModeCharDevice: "device", fs.ModeSocket: "special file",
	} {
		if _, err := Open(fstest.MapFS{"x": {Mode: mode}}, "x"); err == nil || !strings.Contains(err.Error(), "found a "+want+",") {
			t.Errorf("mode %v: %v, expected a %s", mode, err, want)
		}
	}
}
