package train

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"unicode/utf8"

	"github.com/edsrzf/mmap-go"

	"caldera/gpt/tokenizer"
	"caldera/internal/mapfile"
)

// EndOfText is what parts documents, for GPT-2 and in texts.
const EndOfText = "<|endoftext|>"

// Text is one text: a document, or several that EndOfText parts.
type Text struct {
	name string
	data []byte
}

// Texts are all texts of a run, mapped or in memory.
type Texts struct {
	All  []Text
	Size int64 // bytes of all
	maps []mmap.MMap
}

// maxInput is the most that standard input may have: it is kept in memory.
const maxInput = 4 << 30

// OpenTexts maps files, and reads standard input, "-". Nothing has been checked yet.
func OpenTexts(ctx context.Context, files []string) (_ *Texts, err error) {
	t := &Texts{}
	defer func() {
		if err != nil {
			err = errors.Join(err, t.Close())
		}
	}()
	for _, name := range files {
		var data []byte
		if name == "-" {
			if data, err = readInput(ctx); err != nil {
				return nil, fmt.Errorf("standard input: %w", err)
			}
			name = "standard input"
		} else {
			var maps []mmap.MMap
			if data, maps, err = mapfile.Open(os.DirFS(filepath.Dir(name)), filepath.Base(name), name); err != nil {
				return nil, err
			}
			t.maps = append(t.maps, maps...)
		}
		if len(data) == 0 {
			return nil, fmt.Errorf("%s: it is empty, expected text", name)
		}
		t.All = append(t.All, Text{name, data})
		t.Size += int64(len(data))
	}
	return t, nil
}

// readInput reads standard input; it does not wait for more when ctx ends.
func readInput(ctx context.Context) ([]byte, error) {
	type input struct {
		data []byte
		err  error
	}
	done := make(chan input, 1)
	go func() {
		data, err := io.ReadAll(io.LimitReader(os.Stdin, maxInput+1))
		if err == nil && len(data) > maxInput {
			err = fmt.Errorf("more than %d GiB: put it in a file", maxInput>>30)
		}
		done <- input{data, err}
	}()
	select {
	case in := <-done:
		return in.data, in.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Close unmaps the files.
func (t *Texts) Close() error { return mapfile.Unmap(t.maps) }

// Corpus counts the words of the texts, to make a tokenizer of them.
func (t *Texts) Corpus(ctx context.Context) (*tokenizer.Corpus, error) {
	c, err := tokenizer.NewCorpus(EndOfText)
	if err != nil {
		return nil, err
	}
	for _, text := range t.All {
		if err := c.Read(ctx, bytes.NewReader(text.data)); err != nil {
			return nil, fmt.Errorf("%s: %w", text.name, err)
		}
	}
	return c, nil
}

// blockSize is the least of a text that is encoded at once, in bytes.
const blockSize = 1 << 20

// Encode makes ids of the texts. Where there are several, EndOfText stands
// behind each, if the tokenizer has it. progress is called with the number of
// bytes that were read.
func (t *Texts) Encode(ctx context.Context, tok *tokenizer.Tokenizer, progress func(bytes int64)) (Tokens, error) {
	var all Tokens
	end, ends := tok.SpecialID(EndOfText)
	done := int64(0)
	for _, text := range t.All {
		if err := checkUTF8(text); err != nil {
			return all, err
		}
		packed := newPacker(tok.VocabSize())
		for rest := text.data; len(rest) > 0; {
			if err := ctx.Err(); err != nil {
				return all, err
			}
			n, err := encodeBlocks(tok, text.data, len(text.data)-len(rest), packed)
			if err != nil {
				return all, fmt.Errorf("%s: %w", text.name, err)
			}
			rest = rest[n:]
			done += int64(n)
			progress(done)
		}
		if ends && len(t.All) > 1 {
			packed.add(end)
		}
		all.add(part{name: text.name, data: packed.data, width: packed.width})
	}
	return all, nil
}

// encodeBlocks encodes as many blocks of text, from a byte on, as there are
// cores, and returns how many bytes these have.
func encodeBlocks(tok *tokenizer.Tokenizer, text []byte, from int, packed *packer) (n int, failed error) {
	type result struct {
		ids []int
		err error
	}
	var results []chan result
	for range runtime.GOMAXPROCS(0) {
		at := from + n
		size := blockLen(text[at:])
		if size == 0 {
			break
		}
		block, done := string(text[at:at+size]), make(chan result, 1)
		go func() {
			ids, err := tok.Encode(block, tokenizer.AllowSpecial)
			if err != nil {
				err = fmt.Errorf("from byte %d on: %w", at, err)
			}
			done <- result{ids, err}
		}()
		n += size
		results = append(results, done)
	}
	for _, done := range results {
		r := <-done
		if r.err != nil && failed == nil {
			failed = r.err
		}
		packed.add(r.ids...)
	}
	return n, failed
}

// blockLen is where a block at the start of text ends: before a line break that
// follows something visible in ASCII, where a word ends whatever else is there.
func blockLen(text []byte) int {
	for at := blockSize; at < len(text); at++ {
		next := bytes.IndexByte(text[at:], '\n')
		if next < 0 {
			break
		}
		if at += next; text[at-1] > ' ' && text[at-1] < utf8.RuneSelf {
			return at
		}
	}
	return len(text)
}

func checkUTF8(t Text) error {
	if utf8.Valid(t.data) {
		return nil
	}
	for i := 0; ; {
		r, n := utf8.DecodeRune(t.data[i:])
		if r == utf8.RuneError && n == 1 {
			return fmt.Errorf("%s: byte %d is 0x%02x, expected UTF-8: convert the text first, as iconv does", t.name, i, t.data[i])
		}
		i += n
	}
}
