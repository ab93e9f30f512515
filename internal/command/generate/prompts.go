package generate

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"strings"
	"syscall"

	"caldera/gpt"
	"caldera/gpt/model"
	"caldera/gpt/tokenizer"
	"caldera/internal/cli"
	"caldera/internal/printable"
	"caldera/internal/strictjson"
)

// maxLine bounds the bytes of a line: far more than a prompt that any context holds.
const maxLine = 16 << 20

// prompts are those of a file, one in each line.
type prompts struct {
	file   *os.File
	isJSON bool

	encode func(text string) ([]int, error)
	known  int // ids below it are tokens
	room   gpt.Room
}

// prompt is one of them, or why a line has none.
type prompt struct {
	line int
	id   json.RawMessage // nil for none
	text *string         // nil where ids were given
	ids  []int
	err  error
}

// openPrompts opens a file of prompts, or standard input for "-".
func openPrompts(path string) (*prompts, error) {
	if path == "-" {
		return &prompts{file: os.Stdin}, nil
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	if info, err := f.Stat(); err == nil && info.IsDir() { // before a model is loaded
		return nil, errors.Join(&fs.PathError{Op: "read", Path: path, Err: syscall.EISDIR}, f.Close())
	}
	return &prompts{file: f, isJSON: strings.HasSuffix(path, ".jsonl")}, nil
}

// prepare is called before prompts are read: they are for a model with a context of so
// many positions.
func (p *prompts) prepare(ctx context.Context, f cli.Prompt, c model.Config, t *tokenizer.Tokenizer, context int) {
	p.room = gpt.Room{Size: context, Model: c.Context}
	p.known = cli.Known(c, t)
	p.encode = func(text string) ([]int, error) {
		if t == nil && text != "" {
			return nil, errors.New("the checkpoint has no tokenizer that can be read: give token ids, in a file that ends in .jsonl")
		}
		ids, err := f.Encode(ctx, text, c, t, p.room)
		if err != nil && text == "" {
			return nil, errors.New("the prompt is empty, and this model has no token that begins a text")
		}
		return ids, err
	}
}

// size is what a file that can be read twice has.
type size struct {
	prompts int // lines that are not blank
	longest int // tokens of the longest prompt that fits; 0 for none
}

// size reads the file, and goes back to its start. known is false for a pipe.
func (p *prompts) size(ctx context.Context, told *progress) (s size, known bool, err error) {
	info, err := p.file.Stat()
	if err != nil {
		return s, false, err
	}
	at, err := p.file.Seek(0, io.SeekCurrent) // standard input may be in the middle of a file
	if err != nil || !info.Mode().IsRegular() {
		return s, false, nil
	}
	for x, err := range p.all() {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return s, false, err
		}
		if s.prompts++; s.prompts%1000 == 0 {
			told.reading(s.prompts)
		}
		if x.err == nil {
			s.longest = max(s.longest, len(x.ids))
		}
	}
	_, err = p.file.Seek(at, io.SeekStart)
	return s, err == nil, err
}

// send reads prompts until the file or ctx ends. It closes the channel and the file
// before it returns, with an error of reading.
func (p *prompts) send(ctx context.Context, to chan<- prompt) error {
	defer p.file.Close()
	defer close(to)
	for x, err := range p.all() {
		if err != nil {
			return err
		}
		select {
		case to <- x:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// all yields the prompts in their order. An error is one of reading, and the last.
func (p *prompts) all() iter.Seq2[prompt, error] {
	return func(yield func(prompt, error) bool) {
		for line, err := range lines(p.file, maxLine) {
			x := prompt{line: line.number}
			switch {
			case line.long:
				x.err = fmt.Errorf("the line has more than %d bytes", maxLine)
			case err == nil && len(bytes.TrimSpace(line.text)) == 0:
				continue
			case err == nil:
				if x.err = p.parse(line.text, &x); x.err != nil {
					x.text, x.ids = nil, nil // which may be large, and others may wait behind them
				}
			}
			if !yield(x, err) {
				return
			}
		}
	}
}

// parse reads a line.
func (p *prompts) parse(line []byte, x *prompt) error {
	if at := printable.InvalidUTF8(line); at >= 0 {
		return fmt.Errorf("not valid UTF-8: byte %d is 0x%02x; convert it to UTF-8", at, line[at])
	}
	if p.isJSON {
		if err := x.parseJSON(line); err != nil {
			return err
		}
	} else {
		text := string(line)
		x.text = &text
	}
	if x.text != nil {
		var err error
		if x.ids, err = p.encode(*x.text); err != nil {
			return err
		}
	}
	for i, id := range x.ids {
		if id < 0 || id >= p.known {
			return fmt.Errorf("id %d of the prompt is %d, which is no token: expected numbers from 0 to %d", i, id, p.known-1)
		}
	}
	return p.room.Fits(x.ids)
}

// maxDepth bounds how deep the objects and arrays of a line are nested.
const maxDepth = 64

// parseJSON reads a line of JSON: a text, or an object with a prompt and perhaps an id.
func (x *prompt) parseJSON(line []byte) error {
	if start := bytes.TrimLeft(line, " \t\r"); start[0] != '{' {
		x.text = new(string)
		if err := json.Unmarshal(line, x.text); err != nil || start[0] != '"' {
			return fmt.Errorf("found %s, expected a JSON string, or an object such as {\"prompt\": \"…\", \"id\": 7}", strictjson.Text(start))
		}
		return nil
	}
	var given json.RawMessage
	err := strictjson.Object(line, maxDepth, func(key string, value json.RawMessage) error {
		switch key {
		case "prompt":
			given = value
		case "id":
			x.id = value
		default:
			return fmt.Errorf("key %s: expected \"prompt\" and perhaps \"id\", and no other", strictjson.Text([]byte(key)))
		}
		return nil
	})
	if err != nil {
		return err
	}
	if given == nil {
		return errors.New(`the object has no "prompt": expected a text or an array of token ids`)
	}
	switch given[0] {
	case '"':
		return json.Unmarshal(given, &x.text)
	case '[':
		var ids []*int // null is no id
		if err := json.Unmarshal(given, &ids); err == nil {
			for _, id := range ids {
				if id == nil {
					return errors.New(`"prompt" has null among its ids: expected whole numbers`)
				}
				x.ids = append(x.ids, *id)
			}
			return nil
		}
	}
	return fmt.Errorf(`"prompt" is %s: expected a text or an array of token ids`, strictjson.Text(given))
}

// line is a line of a text, without its end.
type line struct {
	number int // from 1 on
	text   []byte
	long   bool // it has too many bytes, and no text here
}

// lines yields the lines of a text: each ends with \n or \r\n, but the last one may do
// without. One of more than most bytes is yielded before the rest of it is read. A byte
// order mark at the start is left out. An error is one of reading, and the last.
func lines(r io.Reader, most int) iter.Seq2[line, error] {
	return func(yield func(line, error) bool) {
		in := bufio.NewReaderSize(r, 64<<10)
		if mark, _ := in.Peek(3); string(mark) == "\uFEFF" {
			in.Discard(3)
		}
		for n := 1; ; n++ {
			text, err := readLine(in, most)
			if len(text) == 0 && err == io.EOF {
				return
			}
			text = bytes.TrimSuffix(bytes.TrimSuffix(text, []byte("\n")), []byte("\r"))
			switch {
			case err != nil && err != io.EOF && err != bufio.ErrBufferFull:
				yield(line{}, err)
				return
			case err == bufio.ErrBufferFull || len(text) > most:
				if !yield(line{number: n, long: true}, nil) {
					return
				}
			case !yield(line{number: n, text: text}, nil):
				return
			}
			for err == bufio.ErrBufferFull {
				_, err = in.ReadSlice('\n')
			}
		}
	}
}

// readLine reads a line with its end. It returns [bufio.ErrBufferFull] when it has read
// more than most bytes, and the end is still to come.
func readLine(in *bufio.Reader, most int) (text []byte, err error) {
	for len(text) <= most {
		part, err := in.ReadSlice('\n')
		text = append(text, part...)
		if err != bufio.ErrBufferFull {
			return text, err
		}
	}
	return text, bufio.ErrBufferFull
}
