//go:build unix

package mapfile

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// TestDrop drops parts of a file that begin and end anywhere, and memory that is in no mapping: all of it must read as before.
func TestDrop(t *testing.T) {
	dir := t.TempDir()
	want := make([]byte, 5*os.Getpagesize()+77)
	for i := range want {
		want[i] = byte(i * 7)
	}
	if err := os.WriteFile(filepath.Join(dir, "x"), want, 0o600); err != nil {
		t.Fatal(err)
	}
	data, mappings, err := Open(os.DirFS(dir), "x", "x")
	if err != nil {
		t.Fatal(err)
	}
	defer Unmap(mappings)
	memory := bytes.Clone(want)
	for _, p := range [][2]int{{0, len(want)}, {3, 9}, {4096, 8192}, {5000, len(want)}, {8192, 8192}} {
		Drop(mappings, data[p[0]:p[1]])
		Drop(mappings, memory[p[0]:p[1]])
		if !bytes.Equal(data, want) || !bytes.Equal(memory, want) {
			t.Fatalf("bytes %v: what was dropped reads otherwise", p)
		}
	}
}
