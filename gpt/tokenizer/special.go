package tokenizer

// This file finds added tokens, as Hugging Face's tokenizers do: those whose
// "normalized" is false first, in the whole text, then the others in what lies
// between, which a normalizer may have changed. Of tokens that start at the same
// place the longest counts. Ordinary ones are always found, special ones where
// the caller allows it.

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// endOfText is the one special token of GPT-2. It stands between documents.
const endOfText = "<|endoftext|>"

// maxAddedLen bounds the bytes of an added token, and so the time to look for
// one: the search tries every length there is. Real ones have some 20 bytes.
const maxAddedLen = 512

// A Match says how an added token is found in text. The zero value is the text
// itself, wherever it stands.
type Match struct {
	SingleWord bool `json:"single_word"` // only where no letter, digit or underscore touches it
	LeftStrip  bool `json:"lstrip"`      // white space before it belongs to the token
	RightStrip bool `json:"rstrip"`      // white space after it belongs to the token
	Normalized bool `json:"normalized"`  // found after the tokens that are not, in text that was normalized
}

type addedToken struct {
	id      int
	special bool
	Match
}

// addedTokens are all added tokens of a tokenizer.
type addedTokens struct {
	byText  map[string]addedToken
	passes  [2]matcher // of tokens whose Normalized is false, and true
	longest int        // bytes of the longest
	plain   bool       // no token has LeftStrip, RightStrip or SingleWord
}

// add makes text, which is not empty, an added token. normalized is what a
// normalizer makes of it, which is empty where it is never found.
func (a *addedTokens) add(text, normalized string, t addedToken) {
	if a.byText == nil {
		a.byText = map[string]addedToken{}
	}
	a.byText[text] = t
	if t.LeftStrip || t.RightStrip || t.SingleWord {
		a.plain = false
	}
	pass := 0
	if t.Normalized {
		text, pass = normalized, 1
	}
	if text != "" {
		a.longest = max(a.longest, len(text))
		a.passes[pass].add(text, t)
	}
}

// none is what split says of text without a token.
const none = -1

// split calls yield with each token that pass finds in text and each part
// between, for which id is none, in their order.
func (a *addedTokens) split(text string, pass int, special bool, yield func(start, end, id int) error) error {
	m, from := &a.passes[pass], 0
	for at := 0; ; {
		start, end, t := m.next(text, at, special)
		if start == end {
			break
		}
		at = end
		if t.SingleWord && (endsInWord(text[:start]) || startsInWord(text[end:])) {
			continue
		}
		if t.LeftStrip {
			start = max(from, len(strings.TrimRightFunc(text[:start], unicode.IsSpace)))
		}
		if t.RightStrip {
			end = len(text) - len(strings.TrimLeftFunc(text[end:], unicode.IsSpace))
			at = end
		}
		if from < start {
			if err := yield(from, start, none); err != nil {
				return err
			}
		}
		if err := yield(start, end, t.id); err != nil {
			return err
		}
		from = end
	}
	if from < len(text) {
		return yield(from, len(text), none)
	}
	return nil
}

// endsInWord and startsInWord report whether a character of a word, \w of
// Unicode's regular expressions, is the last of s, or the first.

func endsInWord(s string) bool {
	r, n := utf8.DecodeLastRuneInString(s)
	return n > 0 && !(r == utf8.RuneError && n == 1) && isWord(r)
}

func startsInWord(s string) bool {
	r, n := utf8.DecodeRuneInString(s)
	return n > 0 && !(r == utf8.RuneError && n == 1) && isWord(r)
}

func isWord(r rune) bool {
	return unicode.In(r, unicode.L, unicode.Nl, unicode.Other_Alphabetic, unicode.M, unicode.Nd, unicode.Pc, unicode.Join_Control)
}

// touches reports whether some token, found or not, stands in text so that it
// reaches to offset i from the left or from the right, or across it.
func (a *addedTokens) touches(text string, i int) bool {
	for at := max(0, i-a.longest); at <= i && at < len(text); at++ {
		for pass := range a.passes {
			m := &a.passes[pass]
			for _, l := range m.lengths[text[at]] {
				if at+l < i {
					break
				}
				if at+l <= len(text) {
					if _, ok := m.byText[text[at:at+l]]; ok {
						return true
					}
				}
			}
		}
	}
	return false
}

// A matcher finds texts of tokens in text.
type matcher struct {
	byText  map[string]addedToken
	lengths [256][]int // by first byte: the lengths there are, longest first
	starts  string     // the first bytes there are
}

func (m *matcher) add(text string, t addedToken) {
	if m.byText == nil {
		m.byText = map[string]addedToken{}
	}
	m.byText[text] = t
	l := &m.lengths[text[0]]
	if !slices.Contains(*l, len(text)) {
		*l = append(*l, len(text))
		slices.SortFunc(*l, func(x, y int) int { return y - x })
	}
	if strings.IndexByte(m.starts, text[0]) < 0 {
		m.starts += text[:1]
	}
}

// next returns where the first token of s from offset at on starts and ends.
// Both are len(s) when there is none.
func (m *matcher) next(s string, at int, special bool) (start, end int, t addedToken) {
	for i := at; i < len(s); i++ {
		n := indexAnyByte(s[i:], m.starts)
		if n < 0 {
			break
		}
		i += n
		for _, l := range m.lengths[s[i]] {
			if l > len(s)-i {
				continue
			}
			if t, ok := m.byText[s[i:i+l]]; ok && (special || !t.special) {
				return i, i + l, t
			}
		}
	}
	return len(s), len(s), addedToken{}
}

// indexAnyByte is strings.IndexAny for bytes in place of characters.
func indexAnyByte(s, set string) int {
	switch len(set) {
	case 0:
		return -1
	case 1:
		return strings.IndexByte(s, set[0])
	}
	for i := range len(s) {
		if strings.IndexByte(set, s[i]) >= 0 {
			return i
		}
	}
	return -1
}
