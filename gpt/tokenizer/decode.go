package tokenizer

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// A decoder is how the texts of tokens become one text. The zero value joins them.
type decoder struct {
	steps []Step
	trim  string // a character that is taken off the start of a text
	times int    // so often at most
}

// newDecoder makes a decoder of its steps, for tokens that are texts, and what each
// token of these names becomes.
func newDecoder(steps []Step, names []string) (d decoder, tokens []string, err error) {
	if len(steps) == 0 {
		return d, nil, errors.New("decoder: missing, expected one, because the model's tokens are texts with another character for a space")
	}
	d.steps = steps
	var each []change
	bytes, fused := false, false
	for _, s := range steps {
		switch {
		case s.Type == fuse:
			fused = true
		case s.Type == byteFallback && !fused:
			bytes = true
		case s.Type == replace && !s.Regex && s.Pattern != "" && (!fused || utf8.RuneCountInString(s.Pattern) == 1):
			each = append(each, func(text string, limit int) (string, error) { return replaceAll(text, s.Pattern, s.Content, limit) })
		case s.Type == metaspace && s.Content != "":
			each = append(each, func(text string, limit int) (string, error) { return replaceAll(text, s.Content, " ", limit) })
			if s.Scheme != never {
				d.trim, d.times = " ", 1
			}
		case s.Type == strip && fused && s.Stop == 0 && s.Content != "" && d.times == 0:
			d.trim, d.times = s.Content, s.Start
		case s.Type == strip && !fused && s.Content != "":
			each = append(each, func(text string, _ int) (string, error) {
				for i := 0; i < s.Start && strings.HasPrefix(text, s.Content); i++ {
					text = text[len(s.Content):]
				}
				for i := 0; i < s.Stop && strings.HasSuffix(text, s.Content); i++ {
					text = text[:len(text)-len(s.Content)]
				}
				return text, nil
			})
		default:
			return d, nil, fmt.Errorf("decoder: found %s with settings, or in a place, that are not known here, expected ByteFallback, Replace of a text, Strip or Metaspace, and then Fuse and Strip at the start", quote(s.Type))
		}
	}
	tokens = make([]string, len(names))
	size := 0
	for id, name := range names {
		if b, ok := byteOfName(name); ok && bytes {
			tokens[id] = string([]byte{b})
			continue
		}
		limit := mostTimes*len(name) + mostMore
		for _, f := range each {
			if name, err = f(name, limit); err != nil {
				return d, nil, fmt.Errorf("decoder: %w", err)
			}
		}
		if size += len(name); size > 4*maxFileSize {
			return d, nil, fmt.Errorf("decoder: tokens become texts of more than %d MiB together, expected about as much as their names", 4*maxFileSize>>20)
		}
		tokens[id] = name
	}
	return d, tokens, nil
}

// A trimmer takes characters off the start of a text that comes in parts.
type trimmer struct {
	trim string
	left int // how many more
}

func (t *trimmer) next(s string) string {
	for t.left > 0 && s != "" {
		if !strings.HasPrefix(s, t.trim) {
			t.left = 0
			break
		}
		s = s[len(t.trim):]
		t.left--
	}
	return s
}

// trimmer is for the start of a text.
func (d *decoder) trimmer() trimmer { return trimmer{d.trim, d.times} }

// DecodeBytes returns the bytes that ids stand for. They need not be valid
// UTF-8: a token may be part of a character. An id outside 0 to VocabSize()-1
// is an error. A space that the tokenizer puts before each text is left out.
func (t *Tokenizer) DecodeBytes(ids []int) ([]byte, error) {
	var text []byte
	start := t.decoder.trimmer()
	for i, id := range ids {
		s, ok := t.text(id)
		if !ok {
			return nil, fmt.Errorf("tokenizer: ids[%d] is %d, expected 0 to %d", i, id, len(t.tokens)-1)
		}
		text = append(text, start.next(s)...)
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
	t         *Tokenizer
	start     trimmer
	continued bool
	held      []byte // the start of a character that later ids may complete: at most 3 bytes
}

// NewDecoder returns a Decoder at the start of a text or, with the option Continued,
// behind a text: then the first token keeps its space.
func (t *Tokenizer) NewDecoder(opts ...Option) *Decoder {
	d := &Decoder{t: t, continued: slices.Contains(opts, Continued)}
	d.restart()
	return d
}

func (d *Decoder) restart() {
	if d.held = d.held[:0]; !d.continued {
		d.start = d.t.decoder.trimmer()
	}
}

// Next returns the text that id adds, which may be empty: bytes that begin a
// character are held back until it is complete. U+FFFD replaces bytes that no
// further id can make valid. An id that does not exist is an error, and
// changes nothing.
func (d *Decoder) Next(id int) (string, error) {
	s, ok := d.t.text(id)
	if !ok {
		return "", fmt.Errorf("tokenizer: id is %d, expected 0 to %d", id, d.t.VocabSize()-1)
	}
	text, held := appendValid(nil, append(d.held, d.start.next(s)...))
	d.held = append(d.held[:0], held...)
	return string(text), nil
}

// Flush ends the text: it returns U+FFFD if bytes are held back, else nothing. The
// Decoder is then where it was when it was new.
func (d *Decoder) Flush() string {
	held := len(d.held) > 0
	d.restart()
	if !held {
		return ""
	}
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
