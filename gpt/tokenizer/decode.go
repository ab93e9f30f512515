package tokenizer

import (
	"fmt"
	"unicode/utf8"
)

// DecodeBytes returns the bytes that ids stand for. They need not be valid
// UTF-8: a token may be part of a character. An id outside 0 to VocabSize()-1
// is an error.
func (t *Tokenizer) DecodeBytes(ids []int) ([]byte, error) {
	var text []byte
	for i, id := range ids {
		s, ok := t.text(id)
		if !ok {
			return nil, fmt.Errorf("tokenizer: ids[%d] is %d, expected 0 to %d", i, id, len(t.tokens)-1)
		}
		text = append(text, s...)
	}
	return text, nil
}

// text returns the bytes that id stands for, which are none for an id without a
// token, and false for an id outside 0 to VocabSize()-1.
func (t *Tokenizer) text(id int) (string, bool) {
	if id < 0 || id >= len(t.tokens) {
		return "", false
	}
	return t.tokens[id], true
}

// Decode returns the text that ids stand for. U+FFFD replaces bytes that are not
// valid UTF-8, as with a Decoder. An id outside 0 to VocabSize()-1 is an error.
func (t *Tokenizer) Decode(ids []int) (string, error) {
	b, err := t.DecodeBytes(ids)
	if err != nil {
		return "", err
	}
	text, held := appendValid(make([]byte, 0, len(b)), b)
	if len(held) > 0 {
		text = utf8.AppendRune(text, utf8.RuneError)
	}
	return string(text), nil
}

// A Decoder turns a stream of ids into text that is valid UTF-8 at every step.
// The pieces that Next and Flush return, joined, are what Decode returns for
// all ids at once.
type Decoder struct {
	t    *Tokenizer
	held []byte // the start of a character that later ids may complete: at most 3 bytes
}

// NewDecoder returns a Decoder at the start of a text.
func (t *Tokenizer) NewDecoder() *Decoder { return &Decoder{t: t} }

// Next returns the text that id adds, which may be empty: bytes that begin a
// character are held back until it is complete. U+FFFD replaces bytes that no
// further id can make valid. An id that does not exist is an error, and
// changes nothing.
func (d *Decoder) Next(id int) (string, error) {
	s, ok := d.t.text(id)
	if !ok {
		return "", fmt.Errorf("tokenizer: id is %d, expected 0 to %d", id, d.t.VocabSize()-1)
	}
	text, held := appendValid(nil, append(d.held, s...))
	d.held = append(d.held[:0], held...)
	return string(text), nil
}

// Flush ends the text: it returns U+FFFD if bytes are held back, else nothing. The
// Decoder is then at the start of a new text.
func (d *Decoder) Flush() string {
	if len(d.held) == 0 {
		return ""
	}
	d.held = d.held[:0]
	return string(utf8.RuneError)
}

// appendValid appends src to dst as valid UTF-8 and returns what is left of
// src: an incomplete character at its end, or nothing. U+FFFD replaces each
// maximal subpart of a character that ends too early, and each byte that can
// start none (The Unicode Standard, section 3.9, "U+FFFD Substitution of
// Maximal Subparts"), as Python and Rust decoders do.
func appendValid(dst, src []byte) (text, held []byte) {
	for len(src) > 0 {
		r, n := utf8.DecodeRune(src)
		if r == utf8.RuneError && n == 1 {
			if !utf8.FullRune(src) {
				return dst, src
			}
			for n < len(src) && !utf8.FullRune(src[:n+1]) {
				n++
			}
		}
		dst = utf8.AppendRune(dst, r)
		src = src[n:]
	}
	return dst, nil
}
