package tokenizer

// This file splits text into words, as GPT-2's pattern does:
//
//	's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
//
// It is written by hand because the pattern needs look-ahead, which the
// standard library's regexp lacks, and because it is many times faster than a
// backtracking engine (BenchmarkSplit). FuzzSplit holds it to the pattern.

import (
	"unicode"
	"unicode/utf8"
)

// A class is one of the kinds of characters that the pattern distinguishes.
type class uint8

const (
	symbol class = iota // [^\s\p{L}\p{N}], and any byte that is not UTF-8
	letter              // \p{L}
	number              // \p{N}
	space               // \s, which is Unicode's White_Space
)

var asciiClass = func() (table [utf8.RuneSelf]class) {
	for c := range table {
		table[c] = classOf(rune(c))
	}
	return table
}()

func classOf(r rune) class {
	switch {
	case unicode.IsLetter(r):
		return letter
	case unicode.IsNumber(r):
		return number
	case unicode.IsSpace(r):
		return space
	}
	return symbol
}

// first returns the class of the first character of s, which is not empty,
// and its length in bytes.
func first(s string) (class, int) {
	if c := s[0]; c < utf8.RuneSelf {
		return asciiClass[c], 1
	}
	r, n := utf8.DecodeRuneInString(s)
	return classOf(r), n
}

// run returns the length of the longest prefix of s that is all of class c.
func run(s string, c class) int {
	n := 0
	for n < len(s) {
		k, size := first(s[n:])
		if k != c {
			break
		}
		n += size
	}
	return n
}

// wordLen returns the length in bytes of the first word of s, which is not
// empty. The end of s always ends a word.
func wordLen(s string) int {
	if s[0] == '\'' {
		if n := contraction(s); n > 0 {
			return n
		}
	}

	// One leading space belongs to the run of letters, numbers or symbols
	// that follows it.
	lead := 0
	if s[0] == ' ' && len(s) > 1 {
		lead = 1
	}
	if c, size := first(s[lead:]); c != space {
		return lead + size + run(s[lead+size:], c)
	}

	// White space: up to the end, or else all but its last character, which
	// goes to the next word or, if there is no other, is a word by itself.
	n, last := 0, 0
	for n < len(s) {
		c, size := first(s[n:])
		if c != space {
			break
		}
		n, last = n+size, size
	}
	if n < len(s) && n > last {
		return n - last
	}
	return n
}

// contraction returns the length of the English ending at the start of s,
// which starts with an apostrophe, or 0. As in GPT-2, only lower case counts.
func contraction(s string) int {
	if len(s) >= 2 {
		switch s[1] {
		case 's', 't', 'm', 'd':
			return 2
		}
	}
	if len(s) >= 3 {
		switch s[1:3] {
		case "re", "ve", "ll":
			return 3
		}
	}
	return 0
}
