package train

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/term"

	"caldera/gpt/tokenizer"
	"caldera/internal/cli"
)

// stdin is standard input's name on the command line.
const stdin = "-"

// texts are the texts to read, by name.
type texts struct {
	files []string
	size  int64 // bytes in all; 0 if that is not known
}

// findTexts finds the texts that arguments name: files, the *.txt files of
// directories, standard input.
func findTexts(args []string) (*texts, error) {
	if len(args) == 0 {
		if term.IsTerminal(int(os.Stdin.Fd())) {
			return nil, cli.Usagef("there is no text: name files or directories, or - to type one")
		}
		args = []string{stdin}
	}
	t := &texts{}
	known := true
	add := func(path string, info fs.FileInfo) {
		t.files = append(t.files, path)
		t.size += info.Size()
		known = known && info.Mode().IsRegular()
	}
	for _, arg := range args {
		if arg == stdin {
			t.files, known = append(t.files, stdin), false
			continue
		}
		info, err := os.Stat(arg)
		if err != nil {
			return nil, err
		}
		if !info.IsDir() {
			add(arg, info)
			continue
		}
		found := len(t.files)
		err = filepath.WalkDir(arg, func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() || !strings.EqualFold(filepath.Ext(path), ".txt") {
				return err
			}
			info, err := os.Stat(path) // of what a link points to
			if err == nil && info.Mode().IsRegular() {
				add(path, info)
			}
			return err
		})
		if err != nil {
			return nil, err
		}
		if len(t.files) == found {
			return nil, fmt.Errorf("%s has no files *.txt: expected some, or the names of other files", arg)
		}
	}
	if !known {
		t.size = 0
	}
	return t, nil
}

// String names the texts in an error.
func (t *texts) String() string {
	first := shown(t.files[0])
	if n := len(t.files) - 1; n > 0 {
		return fmt.Sprintf("%s and %d more", first, n)
	}
	return first
}

// shown is a text's name in errors.
func shown(name string) string {
	if name == stdin {
		return "standard input"
	}
	return name
}

// read counts the words of the texts. It does not wait for one when ctx ends: the
// other end of a pipe may never write.
func (t *texts) read(ctx context.Context, corpus *tokenizer.Corpus, p *progress) error {
	done := make(chan error, 1)
	go func() {
		counted := &counter{size: t.size, progress: p}
		for _, name := range t.files {
			if err := readText(ctx, corpus, name, counted); err != nil {
				done <- err
				return
			}
		}
		done <- nil
	}()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func readText(ctx context.Context, corpus *tokenizer.Corpus, name string, counted *counter) error {
	f := os.Stdin
	if name != stdin {
		var err error
		if f, err = os.Open(name); err != nil {
			return err
		}
		defer f.Close()
	}
	err := corpus.Read(ctx, io.TeeReader(f, counted))
	if pe := (*fs.PathError)(nil); err == nil || errors.As(err, &pe) || ctx.Err() != nil {
		return err // a PathError has the name
	}
	return fmt.Errorf("%s: %w", shown(name), err)
}

// counter shows how many bytes were read.
type counter struct {
	read, size int64
	progress   *progress
}

func (c *counter) Write(data []byte) (int, error) {
	c.read += int64(len(data))
	c.progress.step("reading", c.read, c.size)
	return len(data), nil
}
