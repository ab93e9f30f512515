package tokenizer

// This file splits text by patterns of one class of characters: \s?[class]+ and others
// of DeepSeek's first models and of Falcon.

import (
	"regexp/syntax"
	"slices"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"
)

// A charClass is a set of characters.
type charClass struct {
	ascii  [utf8.RuneSelf]bool
	ranges []rune // first and last character of each range, in order
}

// newCharClass reads a class of a regular expression, in brackets.
func newCharClass(brackets string) *charClass {
	re, err := syntax.Parse(brackets, syntax.Perl)
	if err != nil {
		panic(err) // it is one of ours
	}
	c := &charClass{ranges: re.Rune}
	for r := range c.ascii {
		c.ascii[r] = c.search(rune(r))
	}
	return c
}

// search reports whether r is in c.
func (c *charClass) search(r rune) bool {
	i, _ := slices.BinarySearchFunc(c.ranges, r, func(a, b rune) int { return int(a) - int(b) })
	// Of two equal ends of a range, the first is found.
	return i < len(c.ranges) && (i%2 == 1 || c.ranges[i] == r)
}

// first reports whether the first character of s, which is not empty, is in c, and its
// length. A byte that is not UTF-8 is in none.
func (c *charClass) first(s string) (in bool, n int) {
	if b := s[0]; b < utf8.RuneSelf {
		return c.ascii[b], 1
	}
	r, n := utf8.DecodeRuneInString(s)
	return (r != utf8.RuneError || n > 1) && c.search(r), n
}

// spacedRuns follows \s?[class]+, or without spaced [class]+.
func spacedRuns(brackets string, spaced bool) wordFunc {
	class := sync.OnceValue(func() *charClass { return newCharClass(brackets) })
	return func(s string) int {
		c := class()
		return orGap(s, func(s string) int {
			n := 0
			if r, size := utf8.DecodeRuneInString(s); spaced && unicode.IsSpace(r) && size < len(s) {
				if in, _ := c.first(s[size:]); in {
					n = size
				}
			}
			lead := n
			for n < len(s) {
				in, size := c.first(s[n:])
				if !in {
					break
				}
				n += size
			}
			if n == lead {
				return 0
			}
			return n
		})
	}
}

// orGap is the length of the match at the start of s or, if there is none, of the text
// before the next match.
func orGap(s string, match func(s string) int) int {
	for n := 0; n < len(s); {
		if m := match(s[n:]); m > 0 {
			if n == 0 {
				return m
			}
			return n
		}
		_, size := utf8.DecodeRuneInString(s[n:])
		n += size
	}
	return len(s)
}

// threeASCIIDigits follows [0-9][0-9][0-9].
func threeASCIIDigits(s string) int {
	return orGap(s, func(s string) int {
		if len(s) < 3 || !isDigit(s[0]) || !isDigit(s[1]) || !isDigit(s[2]) {
			return 0
		}
		return 3
	})
}

func isDigit(b byte) bool { return '0' <= b && b <= '9' }

// spaceAtEnd follows \s+$ in a text without line breaks.
func spaceAtEnd(s string) int {
	if n := len(strings.TrimRightFunc(s, unicode.IsSpace)); n > 0 {
		return n
	}
	return len(s)
}
