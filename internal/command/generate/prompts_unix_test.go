//go:build unix

package generate

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"caldera/gpt"
)

// TestPromptsPipe opens a named pipe that nobody writes to, and Ctrl-C ends that.
func TestPromptsPipe(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(path, 0o666); err != nil {
		t.Fatal(err)
	}
	ctx, interrupt := context.WithCancel(t.Context())
	interrupt()
	if _, err := (&flags{Prompts: &path}).each(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("opening the pipe gave %v", err)
	}
}

// TestPromptsRefused keeps nothing of prompts that were refused: many of them, of many
// MiB each, may wait to be told of.
func TestPromptsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "prompts.jsonl")
	if err := os.WriteFile(path, []byte(`{"prompt": [1, 1, 1, 1], "id": 5}`+"\n"+`"a text that is too long"`+"\n[]\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	p, err := openPrompts(path)
	if err != nil {
		t.Fatal(err)
	}
	defer p.file.Close()
	p.known, p.room = 2, gpt.Room{Size: 3}
	p.encode = func(text string) ([]int, error) { return make([]int, len(text)), nil }
	n := 0
	for x, err := range p.all() {
		if n++; err != nil || x.err == nil || x.ids != nil || x.text != nil || (x.id != nil) != (n == 1) {
			t.Errorf("line %d gives %+v, %v", n, x, err)
		}
	}
	if n != 3 {
		t.Errorf("%d lines, expected 3", n)
	}
}
