package train

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime"

	"caldera/gpt/tokenizer"
)

// EndOfText is what parts documents, for GPT-2 and in texts.
const EndOfText = "<|endoftext|>"

// Text is one text: a document, or several that EndOfText parts. A file is
// mapped only while it is read, so that there may be any number.
type Text struct {
	file   File
	stream *spool // nil for a file
}

// read has use read the text.
func (t Text) read(use func(data []byte) error) error {
	if t.stream != nil {
		return use(t.stream.data)
	}
	return withFile(t.file.Path, use)
}

// Texts are all texts of a run.
type Texts struct {
	All  []Text
	Size int64     // bytes of all
	Left []LeftOut // files that are no texts, and were found where others are
}

// OpenTexts looks at files whether they are texts, and reads standard input and
// pipes. A file that was found in a directory and is no text is left out, unless
// nothing else is left. left has those that were left out before.
func OpenTexts(ctx context.Context, files []File, left ...LeftOut) (_ *Texts, err error) {
	t := &Texts{Left: left}
	defer func() {
		if err != nil {
			err = errors.Join(err, t.Close())
		}
	}()
	for _, file := range files {
		text := Text{file: file}
		if file.Stream() {
			if text.stream, err = openSpool(ctx, file.Path); err != nil {
				return nil, fmt.Errorf("%v: %w", file, err)
			}
		}
		size := 0
		err := text.read(func(data []byte) error {
			size = len(data)
			return checkText(ctx, data, file.Named)
		})
		if err == nil {
			t.All = append(t.All, text)
			t.Size += int64(size)
			continue
		}
		if text.stream != nil {
			text.stream.close()
		}
		switch {
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case file.Named && !(errors.Is(err, errEmpty) && len(files) > 1):
			return nil, file.wrap(err)
		}
		t.Left = append(t.Left, LeftOut{file, err})
	}
	if len(t.All) == 0 {
		return nil, NoTexts(t.Left)
	}
	return t, nil
}

// Close gives back what was read.
func (t *Texts) Close() error {
	var errs []error
	for _, text := range t.All {
		if text.stream != nil {
			errs = append(errs, text.stream.close())
		}
	}
	return errors.Join(errs...)
}

// Corpus counts the words of the texts, to make a tokenizer of them.
func (t *Texts) Corpus(ctx context.Context) (*tokenizer.Corpus, error) {
	c, err := tokenizer.NewCorpus(EndOfText)
	if err != nil {
		return nil, err
	}
	for _, text := range t.All {
		if err := text.read(func(data []byte) error { return c.Read(ctx, bytes.NewReader(data)) }); err != nil {
			return nil, fmt.Errorf("%v: %w", text.file, err)
		}
	}
	return c, nil
}

// blockSize is the least of a text that is encoded at once, in bytes.
const blockSize = 1 << 20

// Encode makes ids of the texts. Each is a document, and has around it what the
// tokenizer puts there. Where there are several, EndOfText stands behind each, if
// the tokenizer has it. progress is called with the number of bytes that were
// read.
func (t *Texts) Encode(ctx context.Context, tok *tokenizer.Tokenizer, progress func(bytes int64)) (Tokens, error) {
	var all Tokens
	before, after := tok.Prefix(), tok.Suffix()
	if end, ok := tok.SpecialID(EndOfText); ok && len(t.All) > 1 && (len(after) == 0 || after[len(after)-1] != end) {
		after = append(after, end)
	}
	done := int64(0)
	for _, text := range t.All {
		packed := newPacker(tok.VocabSize())
		packed.add(before...)
		err := text.read(func(data []byte) error {
			for at := 0; at < len(data); {
				n, err := encodeBlocks(ctx, tok, data, at, packed)
				if err != nil {
					return err
				}
				at += n
				done += int64(n)
				progress(done)
			}
			return nil
		})
		if ctx.Err() != nil {
			return all, ctx.Err()
		}
		if err != nil {
			return all, fmt.Errorf("%v: %w", text.file, err)
		}
		packed.add(after...)
		all.add(part{name: text.file.String(), data: packed.data, width: packed.width})
	}
	return all, nil
}

// encodeBlocks encodes as many blocks of text, from a byte on, as there are
// cores, and returns how many bytes these have.
func encodeBlocks(ctx context.Context, tok *tokenizer.Tokenizer, text []byte, from int, packed *packer) (n int, failed error) {
	type result struct {
		ids []int
		err error
	}
	var results []chan result
	for range runtime.GOMAXPROCS(0) {
		at := from + n
		if at == len(text) || ctx.Err() != nil {
			break
		}
		size := tok.Cut(text[at:], blockSize, tokenizer.AllowSpecial)
		options := []tokenizer.Option{tokenizer.AllowSpecial}
		if at > 0 {
			options = append(options, tokenizer.Continued)
		}
		block, done := string(text[at:at+size]), make(chan result, 1)
		go func() {
			ids, err := tok.EncodeContext(ctx, block, options...)
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
	return n, cmp.Or(failed, ctx.Err())
}
