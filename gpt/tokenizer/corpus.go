package tokenizer

// This file reads the texts that a vocabulary is made of. It counts their words and
// does not store the texts, which may be larger than memory. Words are those of
// split.go, so that training sees the words that Encode will see.

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"caldera/internal/printable"
)

// A Corpus counts the words of texts, of which TrainBPE and Characters make
// vocabularies. It is for one goroutine; Read uses all cores by itself.
type Corpus struct {
	special []string
	cut     matcher      // finds special
	longest int          // bytes of the longest of special
	shards  []wordCounts // one for each goroutine of Read
	buffer  []byte       // of Read
}

// wordCounts says how often each word occurs.
type wordCounts struct {
	index  map[string]int32 // of words and counts
	words  []string
	counts []int64
}

func (w *wordCounts) add(word string, n int64) {
	if i, ok := w.index[word]; ok {
		w.counts[i] += n
		return
	}
	if w.index == nil {
		w.index = map[string]int32{}
	}
	word = strings.Clone(word) // so that the block it is a part of can be freed
	w.index[word] = int32(len(w.words))
	w.words, w.counts = append(w.words, word), append(w.counts, n)
}

// NewCorpus returns a Corpus without text. Special tokens, such as
// "<|endoftext|>", are the last of the vocabulary, in this order. In a text they
// separate words and are not counted as words. It is an error if one is empty, too
// long, not UTF-8, given twice, or could be the name of an ordinary token.
func NewCorpus(special ...string) (*Corpus, error) {
	c := &Corpus{special: special, shards: make([]wordCounts, runtime.GOMAXPROCS(0))}
	for i, s := range special {
		_, spelt := tokenBytes(s)
		switch {
		case s == "":
			return nil, fmt.Errorf("tokenizer: a special token is empty, expected a text such as %s", endOfText)
		case len(s) > maxAddedLen:
			return nil, fmt.Errorf("tokenizer: special token %s: expected at most %d bytes", quote(s), maxAddedLen)
		case !utf8.ValidString(s):
			return nil, fmt.Errorf("tokenizer: special token %s: expected UTF-8", quote(s))
		case slices.Contains(special[:i], s):
			return nil, fmt.Errorf("tokenizer: special token %s is there twice, expected once", quote(s))
		case spelt && (utf8.RuneCountInString(s) == 1 || len(s) > utf8.RuneCountInString(s)):
			// Files name a token of bytes so, and one name cannot have two tokens.
			return nil, fmt.Errorf("tokenizer: special token %s could be the name of an ordinary token, expected one such as %s", quote(s), endOfText)
		}
		if err := c.cut.add(s, addedToken{}); err != nil {
			return nil, fmt.Errorf("tokenizer: %w", err)
		}
		c.longest = max(c.longest, len(s))
	}
	return c, nil
}

const (
	blockSize = 1 << 20  // bytes of a text that are split at once
	maxRun    = 16 << 20 // bytes of a text without the end of a word, before it is cut anyway
)

// Read counts the words of one text, which must be UTF-8. A word never goes on from
// one text into the next. The words before an error are counted. Errors do not name
// the text, because r has no name.
func (c *Corpus) Read(ctx context.Context, r io.Reader) error {
	blocks := make(chan string)
	var workers sync.WaitGroup
	for i := range c.shards {
		workers.Go(func() {
			for text := range blocks {
				c.count(&c.shards[i], text)
			}
		})
	}
	err := c.blocks(r, func(text string) error {
		select {
		case blocks <- text:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	})
	close(blocks)
	workers.Wait()
	return err
}

// blocks cuts the text of r into blocks, between words.
func (c *Corpus) blocks(r io.Reader, yield func(string) error) error {
	var offset int64 // of buf in the text
	buf := c.buffer[:0]
	defer func() { c.buffer = buf }()
	for size := blockSize; ; {
		buf = slices.Grow(buf, size-len(buf))
		n, err := io.ReadFull(r, buf[len(buf):size])
		buf = buf[:len(buf)+n]
		end := errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
		if err != nil && !end {
			return err
		}
		cut := len(buf)
		if !end {
			cut = c.lastCut(buf)
			if cut == 0 && size == maxRun {
				if bytes.IndexByte(buf, 0) >= 0 { // a disk image, a device
					return fmt.Errorf("more than %d MiB from byte %d on have no end of a word, and bytes of 0, expected text", maxRun>>20, offset)
				}
				cut = c.lastCharacter(buf)
			}
		}
		if i := printable.InvalidUTF8(buf[:cut]); i >= 0 {
			return fmt.Errorf("byte %d is 0x%02x, expected UTF-8: convert the text first, as iconv does", offset+int64(i), buf[i])
		}
		if cut > 0 {
			if err := yield(string(buf[:cut])); err != nil {
				return err
			}
			offset += int64(cut)
			buf = buf[:copy(buf, buf[cut:])]
		}
		if end {
			return nil
		}
		size = min(max(blockSize, 2*len(buf)), maxRun)
	}
}

// lastCut returns the last offset at which text can be cut, whatever follows it, so
// that the words of both parts are those of the whole; 0 if there is none.
func (c *Corpus) lastCut(text []byte) int {
	for i := len(text) - max(c.longest, utf8.UTFMax); i > 0; i-- {
		if !utf8.RuneStart(text[i]) {
			continue
		}
		before, _ := utf8.DecodeLastRune(text[:i])
		after, _ := utf8.DecodeRune(text[i:])
		if endsWord(classOf(before), classOf(after)) && !c.withinSpecial(text, i) {
			return i
		}
	}
	return 0
}

// lastCharacter returns an offset between two characters, in the second half of a
// text in which no word ends. If it can, it avoids the inside of special tokens. It
// does not check that text is UTF-8.
func (c *Corpus) lastCharacter(text []byte) int {
	half, place := len(text)/2, 0
	for i := len(text) - max(c.longest, utf8.UTFMax); i > half; i-- {
		if !utf8.RuneStart(text[i]) {
			continue
		}
		if !c.withinSpecial(text, i) {
			return i
		}
		place = max(place, i)
	}
	return max(place, half)
}

// withinSpecial reports whether a special token begins in text[:i] and ends in text[i:].
func (c *Corpus) withinSpecial(text []byte, i int) bool {
	return slices.ContainsFunc(c.special, func(s string) bool {
		from, to := max(0, i-len(s)+1), min(len(text), i+len(s)-1)
		return strings.Contains(string(text[from:to]), s)
	})
}

// count adds the words of text to w, as encoder.encode finds them.
func (c *Corpus) count(w *wordCounts, text string) {
	for at := 0; at < len(text); {
		start, end, _ := c.cut.next(text, at, true)
		for at < start {
			n := wordLen(text[at:start])
			w.add(text[at:at+n], 1)
			at += n
		}
		at = end
	}
}

// words returns the counts of all shards.
func (c *Corpus) words() *wordCounts {
	all := &c.shards[0]
	for i := range c.shards[1:] {
		shard := &c.shards[1+i]
		for j, word := range shard.words {
			all.add(word, shard.counts[j])
		}
		*shard = wordCounts{}
	}
	return all
}

// ErrNoText is the error of making a vocabulary of a Corpus without words.
var ErrNoText = errors.New("tokenizer: there is no text to make a vocabulary of")
