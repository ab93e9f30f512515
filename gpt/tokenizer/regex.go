package tokenizer

// This file finds what a regular expression of a tokenizer.json matches. Its patterns
// look ahead, which the standard library's regexp cannot. Patterns that many
// tokenizers have are followed by hand instead: see patterns.go.

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
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

// newRegex reads a pattern, as Hugging Face's tokenizers have it (Oniguruma with Ruby's
// syntax): ^ and $ are the ends of lines.
func newRegex(pattern string) (*regex, error) {
	re, err := regexp2.Compile(withoutPossessive(withWords(pattern)), regexp2.Multiline)
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

// wordChars are the characters that \w finds, as in a class. regexp2 knows fewer: it has neither vowel
// signs of Indic scripts nor Roman numerals.
const wordChars = `\p{L}\p{M}\p{Nd}\p{Nl}\p{Pc}²³¹¼-¾Ⓐ-ⓩ🄰-🅉🅐-🅩🅰-🆉`

// isRegexWord reports whether r is one of wordChars: nearly, but not quite, what isWord says.
func isRegexWord(r rune) bool {
	return isWord(r) && !unicode.Is(unicode.Join_Control, r) || strings.ContainsRune("²³¹¼½¾", r)
}

// wordEscapes are what \w and what follows from it become outside of a class.
var wordEscapes = map[string]string{
	`\w`: "[" + wordChars + "]",
	`\W`: "[^" + wordChars + "]",
	`\b`: "(?:(?<=[" + wordChars + "])(?![" + wordChars + "])|(?<![" + wordChars + "])(?=[" + wordChars + "]))",
	`\B`: "(?:(?<=[" + wordChars + "])(?=[" + wordChars + "])|(?<![" + wordChars + "])(?![" + wordChars + "]))",
}

// withWords writes out \w, \W, \b and \B. In a class \W stays, for it cannot be written out there.
func withWords(pattern string) string {
	var b strings.Builder
	depth := 0 // of classes
	for i := 0; i < len(pattern); i++ {
		switch c := pattern[i]; {
		case c == '\\' && i+1 < len(pattern):
			escape := pattern[i : i+2]
			i++
			switch full, ok := wordEscapes[escape]; {
			case ok && depth == 0:
				b.WriteString(full)
			case escape == `\w`:
				b.WriteString(wordChars)
			default:
				b.WriteString(escape)
			}
			continue
		case c == '[':
			depth++
		case c == ']' && depth > 0:
			depth--
		}
		b.WriteByte(pattern[i])
	}
	return b.String()
}

// withoutPossessive writes possessive quantifiers, such as ++ and ?+, which regexp2 does not know,
// as atomic groups. {1,3}+ is no such quantifier in Ruby's syntax, but two.
func withoutPossessive(pattern string) string {
	var out []byte
	var groups []int // where those that are open begin in out
	last := 0        // where the last item begins in out
	for i := 0; i < len(pattern); {
		_, size := utf8.DecodeRuneInString(pattern[i:])
		end := i + size
		switch c := pattern[i]; {
		case c == '\\' || c == '[':
			end = itemEnd(pattern, i)
			last = len(out)
		case c == '(':
			groups = append(groups, len(out))
		case c == ')':
			if n := len(groups); n > 0 {
				last, groups = groups[n-1], groups[:n-1]
			}
		case c == '?' || c == '*' || c == '+' || c == '{':
			if c == '{' {
				close := strings.IndexByte(pattern[i:], '}')
				if close < 0 {
					break
				}
				end = i + close + 1
			}
			if end == len(pattern) || pattern[end] != '+' || i > 0 && pattern[i-1] == '(' {
				break
			}
			open, tail := "(?>", ")"
			if c == '{' {
				open, tail = "(?:", ")+"
			}
			out = slices.Insert(out, last, []byte(open)...)
			out = append(append(out, pattern[i:end]...), tail...)
			i = end + 1
			continue
		default:
			last = len(out)
		}
		out = append(out, pattern[i:end]...)
		i = end
	}
	return string(out)
}

// itemEnd is where the escape or class that begins at i ends.
func itemEnd(pattern string, i int) int {
	if pattern[i] == '\\' {
		if i+2 < len(pattern) && strings.IndexByte("pPx", pattern[i+1]) >= 0 && pattern[i+2] == '{' {
			if n := strings.IndexByte(pattern[i:], '}'); n > 0 {
				return i + n + 1
			}
		}
		return min(i+2, len(pattern))
	}
	depth := 0
	for ; i < len(pattern); i++ {
		switch pattern[i] {
		case '\\':
			i++
		case '[':
			depth++
		case ']':
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
	return len(pattern)
}
