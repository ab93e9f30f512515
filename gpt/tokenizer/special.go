package tokenizer

// This file finds added tokens, as Hugging Face's tokenizers do: first those whose
// "normalized" is false, in the whole text, then the others in the text between
// them, which a normalizer may have changed. Of tokens that start at the same place
// the longest counts. Ordinary ones are always found, special ones only if the
// caller allows it.

import (
	"fmt"
	"iter"
	"strings"
	"unicode"
	"unicode/utf8"
)

// endOfText is the one special token of GPT-2. It stands between documents.
const endOfText = "<|endoftext|>"

// maxAddedLen is how many bytes an added token may have. It limits the time to find
// one, because the search tries every length in use. Real ones have about 20 bytes.
const maxAddedLen = 512

// A Match says how an added token is found in text. The zero value finds its text
// anywhere, and nothing around it.
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

// add makes text, which is not empty, an added token. normalized is the text that
// the normalizer makes of it; if it is empty, the token is never found.
func (a *addedTokens) add(text, normalized string, t addedToken) error {
	a.byText[text] = t
	if t.LeftStrip || t.RightStrip || t.SingleWord {
		a.plain = false
	}
	pass := 0
	if t.Normalized {
		text, pass = normalized, 1
	}
	if text == "" {
		return nil
	}
	a.longest = max(a.longest, len(text))
	return a.passes[pass].add(text, t)
}

// A span is a part of a text: an added token, or text without one.
type span struct {
	start, end int // in bytes
	id         int // of the token, or none
}

// none is the id of a span without a token.
const none = -1

// split returns the spans of text in their order: the tokens that pass finds, and
// the text between them.
func (a *addedTokens) split(text string, pass int, special bool) iter.Seq[span] {
	return func(yield func(span) bool) {
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
			if from < start && !yield(span{from, start, none}) || !yield(span{start, end, t.id}) {
				return
			}
			from = end
		}
		if from < len(text) {
			yield(span{from, len(text), none})
		}
	}
}

// endsInWord reports whether the last character of s is one of a word: \w of
// Unicode's regular expressions.
func endsInWord(s string) bool {
	r, _ := utf8.DecodeLastRuneInString(s) // utf8.RuneError, which is none, where s is empty
	return isWord(r)
}

// startsInWord reports the same of the first character of s.
func startsInWord(s string) bool {
	r, _ := utf8.DecodeRuneInString(s)
	return isWord(r)
}

func isWord(r rune) bool {
	return unicode.In(r, unicode.L, unicode.Nl, unicode.Other_Alphabetic, unicode.M, unicode.Nd, unicode.Pc, unicode.Join_Control)
}

// touches reports whether the text of a token, found by split or not, begins or ends
// at offset i of text, or reaches across it.
func (a *addedTokens) touches(text string, i int) bool {
	for at := max(0, i-a.longest); at <= i && at < len(text); at++ {
		for pass := range a.passes {
			if m := &a.passes[pass]; m.first[text[at]] && m.reaches(text, at, i) {
				return true
			}
		}
	}
	return false
}

// A matcher finds the texts of tokens in a text.
type matcher struct {
	trie   trie
	tokens []addedToken // by the id that trie gives
	first  [256]bool    // the first bytes of the tokens
	starts string       // the same
}

// add adds a token, in the place of another one with the same text.
func (m *matcher) add(text string, t addedToken) error {
	if id, ok := m.trie.find(text); ok {
		m.tokens[id] = t
		return nil
	}
	if err := m.trie.add(text, int32(len(m.tokens))); err != nil {
		return fmt.Errorf("added tokens: %w", err)
	}
	m.tokens = append(m.tokens, t)
	if c := text[0]; !m.first[c] {
		m.first[c] = true
		m.starts += text[:1]
	}
	return nil
}

// next returns the start and the end of the first token of s from offset at on.
// Both are len(s) if there is none.
func (m *matcher) next(s string, at int, special bool) (start, end int, t addedToken) {
	for i := at; i < len(s) && m.starts != ""; i++ {
		if len(m.starts) == 1 {
			n := strings.IndexByte(s[i:], m.starts[0])
			if n < 0 {
				break
			}
			i += n
		} else if !m.first[s[i]] {
			continue
		}
		end = 0
		for j, node := i, int32(0); j < len(s); j++ {
			if node = m.trie.next(node, s[j]); node < 0 {
				break
			}
			if id := m.trie.ids[node]; id != noToken && (special || !m.tokens[id].special) {
				end, t = j+1, m.tokens[id]
			}
		}
		if end > 0 {
			return i, end, t
		}
	}
	return len(s), len(s), addedToken{}
}

// reaches reports whether a token at offset at of s ends at offset i or later.
func (m *matcher) reaches(s string, at, i int) bool {
	for j, node := at, int32(0); j < len(s); j++ {
		if node = m.trie.next(node, s[j]); node < 0 {
			break
		}
		if m.trie.ids[node] != noToken && j+1 >= i {
			return true
		}
	}
	return false
}
