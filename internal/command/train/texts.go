package train

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"golang.org/x/term"

	"caldera/gpt/tokenizer"
	"caldera/internal/cli"
	"caldera/internal/train"
)

// texts are the texts to read, by name.
type texts struct {
	files []train.File
	left  []train.LeftOut
	size  int64 // bytes in all; 0 if that is not known
}

// findTexts finds the texts that arguments name, without any standard input.
func findTexts(args []string) (*texts, error) {
	if len(args) == 0 {
		if term.IsTerminal(int(os.Stdin.Fd())) {
			return nil, cli.Usagef("there is no text: name files or directories, or - to type one")
		}
		args = []string{train.Stdin}
	}
	t := &texts{}
	var err error
	if t.files, t.left, err = train.FindTexts(args, ""); err != nil {
		return nil, err
	}
	known := true
	for _, f := range t.files {
		t.size += f.Size
		known = known && !f.Stream()
	}
	if !known {
		t.size = 0
	}
	return t, nil
}

// String names the texts in an error.
func (t *texts) String() string {
	first := t.files[0].String()
	if n := len(t.files) - 1; n > 0 {
		return fmt.Sprintf("%s and %d more", first, n)
	}
	return first
}

// read counts the words of the texts. It does not wait for one when ctx ends: the
// other end of a pipe may never write.
func (t *texts) read(ctx context.Context, corpus *tokenizer.Corpus, p *progress) error {
	done := make(chan error, 1)
	go func() { done <- t.readAll(ctx, corpus, p) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (t *texts) readAll(ctx context.Context, corpus *tokenizer.Corpus, p *progress) error {
	counted := &counter{size: t.size, progress: p}
	read := 0
	for _, f := range t.files {
		if !f.Named {
			// Words cannot be taken back, so a file is looked at before it is read.
			if err := train.CheckFile(ctx, f); err != nil {
				if ctx.Err() != nil {
					return ctx.Err()
				}
				t.left = append(t.left, train.LeftOut{File: f, Why: err})
				continue
			}
		}
		if err := readText(ctx, corpus, f, counted); err != nil {
			return err
		}
		read++
	}
	if read == 0 {
		return train.NoTexts(t.left)
	}
	return nil
}

func readText(ctx context.Context, corpus *tokenizer.Corpus, file train.File, counted *counter) error {
	f := os.Stdin
	if file.Path != train.Stdin {
		var err error
		if f, err = os.Open(file.Path); err != nil {
			return err
		}
		defer f.Close()
	}
	err := corpus.Read(ctx, io.TeeReader(f, counted))
	if pe := (*fs.PathError)(nil); err == nil || errors.As(err, &pe) || ctx.Err() != nil {
		return err // a PathError has the name
	}
	return fmt.Errorf("%v: %w", file, err)
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
