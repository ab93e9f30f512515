package tokenizer

// This file says what kind of character each one is, as patterns ask.

import (
	"sync/atomic"
	"unicode"
	"unicode/utf8"
)

// A kind is a set of Unicode's properties that one character has.
type kind uint16

const (
	isUpper       kind = 1 << iota // \p{Lu} and \p{Lt}
	isLower                        // \p{Ll}
	isOtherLetter                  // \p{Lm} and \p{Lo}
	isNumber                       // \p{N}
	isDecimal                      // \p{Nd}
	isSpace                        // \s, which is Unicode's White_Space
	isMarkKind                     // \p{M}
	isPunct                        // \p{P}
	isSymbol                       // \p{S}
	isNewline                      // \r and \n
	isASCII                        // below 128
	isHan                          // \p{Han}
	isWordKind                     // \w
	isASCIISymbol                  // of ASCII's punctuation what is not \p{P}

	isLetter = isUpper | isLower | isOtherLetter
)

func kindOf(r rune) (k kind) {
	for _, p := range []struct {
		is    bool
		kinds kind
	}{
		{unicode.In(r, unicode.Lu, unicode.Lt), isUpper},
		{unicode.Is(unicode.Ll, r), isLower},
		{unicode.In(r, unicode.Lm, unicode.Lo), isOtherLetter},
		{unicode.Is(unicode.N, r), isNumber},
		{unicode.Is(unicode.Nd, r), isDecimal},
		{unicode.IsSpace(r), isSpace},
		{unicode.Is(unicode.M, r), isMarkKind},
		{unicode.Is(unicode.P, r), isPunct},
		{unicode.Is(unicode.S, r), isSymbol},
		{r == '\r' || r == '\n', isNewline},
		{r < utf8.RuneSelf, isASCII},
		{unicode.Is(unicode.Han, r), isHan},
		{isWord(r), isWordKind},
		{r < utf8.RuneSelf && unicode.Is(unicode.S, r), isASCIISymbol},
	} {
		if p.is {
			k |= p.kinds
		}
	}
	return k
}

var asciiKinds = func() (table [utf8.RuneSelf]kind) {
	for c := range table {
		table[c] = kindOf(rune(c))
	}
	return table
}()

// kindPages are the kinds of 256 characters each, made when they are first asked for:
// Unicode's tables take many times as long.
var kindPages [(unicode.MaxRune + 1) >> 8]atomic.Pointer[[256]kind]

// firstKind returns the kind of the first character of s, which is not empty, and its
// length in bytes. A byte that is not UTF-8 has no property at all.
func firstKind(s string) (kind, int) {
	if c := s[0]; c < utf8.RuneSelf {
		return asciiKinds[c], 1
	}
	r, n := utf8.DecodeRuneInString(s)
	if r == utf8.RuneError && n == 1 {
		return 0, 1
	}
	page := kindPages[r>>8].Load()
	if page == nil {
		page = newKindPage(r &^ 0xff)
	}
	return page[r&0xff], n
}

func newKindPage(first rune) *[256]kind {
	page := new([256]kind)
	for i := range page {
		page[i] = kindOf(first + rune(i))
	}
	kindPages[first>>8].Store(page)
	return page
}

// runOf returns the length of the longest prefix of s whose characters all have one
// of the kinds.
func runOf(s string, kinds kind) int {
	n := 0
	for n < len(s) {
		k, size := firstKind(s[n:])
		if k&kinds == 0 {
			break
		}
		n += size
	}
	return n
}

// runUpTo is runOf for at most so many characters.
func runUpTo(s string, kinds kind, most int) int {
	n := 0
	for ; n < len(s) && most > 0; most-- {
		k, size := firstKind(s[n:])
		if k&kinds == 0 {
			break
		}
		n += size
	}
	return n
}
