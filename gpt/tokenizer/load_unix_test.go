//go:build unix

package tokenizer

import (
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestLoadNamedPipe shows that Load does not wait for a pipe's writer.
func TestLoadNamedPipe(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mkfifo(filepath.Join(dir, "vocab.json"), 0o644); err != nil {
		t.Fatal(err)
	}
	const want = "vocab.json: found a named pipe, expected a regular file"
	if _, err := Load(dir); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("error is %v, want one with %q", err, want)
	}
}
