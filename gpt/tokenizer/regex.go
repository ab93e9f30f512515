package tokenizer

// This file finds what a regular expression of a tokenizer.json matches. Its patterns
// look ahead, which the standard library's regexp cannot. Patterns that many
// tokenizers have are followed by hand instead: see patterns.go.

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/dlclark/regexp2"
)

// maxPattern is how many bytes a pattern may have. The longest of a real tokenizer
// has 1,400.
const maxPattern = 1 << 13

// maxContent is how many bytes may take the place of what a step finds, or be put
// before a text.
const maxContent = 256

// A pattern can be made so that the time grows with a power of the text's length. So the
// search in a text may take matchTime and byteTime for each byte; real patterns take less
// than a microsecond.
const (
	matchTime = 2 * time.Second
	byteTime  = 20 * time.Microsecond
)

// A regex finds what a pattern matches.
type regex struct{ re *regexp2.Regexp }

// newRegex reads a pattern.
func newRegex(pattern string) (*regex, error) {
	re, err := regexp2.Compile(pattern, regexp2.None)
	if err != nil {
		return nil, fmt.Errorf("pattern %s: %s", quote(pattern), strings.ReplaceAll(err.Error(), "\n", " "))
	}
	re.MatchTimeout = matchTime
	return &regex{re}, nil
}

// each calls yield for each match in text, in order. start and end are in bytes; a
// match may be empty.
func (r *regex) each(text string, yield func(start, end int) error) error {
	runes, at := 0, 0 // at is the place in bytes of a rune of that number
	byteOf := func(n int) int {
		for ; runes < n; runes++ {
			_, size := utf8.DecodeRuneInString(text[at:])
			at += size
		}
		return at
	}
	began, allowed := time.Now(), matchTime+time.Duration(len(text))*byteTime
	m, err := r.re.FindStringMatch(text)
	for found := 1; m != nil && err == nil; m, err = r.re.FindNextMatch(m) {
		if found++; found%64 == 0 && time.Since(began) > allowed {
			return r.slow(text)
		}
		start := byteOf(m.Index)
		if err := yield(start, byteOf(m.Index+m.Length)); err != nil {
			return err
		}
	}
	if err != nil { // of regexp2: there is no other than that of the time
		return r.slow(text)
	}
	return nil
}

// slow is the error of a pattern that takes too long.
func (r *regex) slow(text string) error {
	return fmt.Errorf("pattern %s takes more than %v in a text of %d bytes: expected a pattern whose time does not grow so", quote(r.re.String()), matchTime, len(text))
}

// replace puts content in the place of each match. The result has at most limit bytes.
func (r *regex) replace(text, content string, limit int) (string, error) {
	var b strings.Builder
	from := 0
	err := r.each(text, func(start, end int) error {
		b.WriteString(text[from:start])
		b.WriteString(content)
		if from = end; b.Len() > limit {
			return errGrows
		}
		return nil
	})
	if from == 0 && b.Len() == 0 {
		return text, err
	}
	b.WriteString(text[from:])
	return b.String(), err
}
