package tokenizer

// This file finds places where a long text may be cut, so that its parts can be
// encoded one by one, or on several cores, and give the ids of the whole.

import (
	"errors"
	"slices"
	"unicode/utf8"
)

// cutWindow is how far beyond the asked length Cut looks first, in bytes.
const cutWindow = 1 << 12

// Cut returns the length of a first part of text that may be encoded by itself:
// Encode of text[:n], and of text[n:] with Continued, both with the other options,
// give the ids that Encode gives for text. What is left may be cut again in the
// same way.
//
// The part has at least least bytes, and not many more where text has the ends of
// words there. It is all of text where there is no place: in a run of one kind of
// characters, such as letters, whose bytes may all be merged with one another.
// Text may have any bytes. The time is linear in n.
func (t *Tokenizer) Cut(text []byte, least int, opts ...Option) int {
	special, least := slices.Contains(opts, AllowSpecial), max(least, 1)
	for size := least; size < len(text); {
		size = min(max(size+cutWindow, 2*size-least), len(text)) // the window doubles
		s := string(text[:size])
		if n := t.cut(s, least, size < len(text), special); n > 0 {
			return n
		}
	}
	return len(text)
}

// cut is Cut for a text after which more may come, or 0 where it has no place.
func (t *Tokenizer) cut(s string, least int, more, special bool) int {
	limit := len(s)
	if more {
		limit -= t.reach() + utf8.UTFMax
	}
	if t.normalizer == nil && t.added.plain {
		return t.cutBetween(s, least, limit, special)
	}
	for i := least; i < limit; i++ {
		if t.cuttable(s, i) && !t.touches(s, i) {
			return i
		}
	}
	return 0
}

// reach is how many bytes on either side of a place decide whether an added token
// touches it. A byte of a normalized text may stand for 9 of the original: 3 of a
// character that is composed, and 3 of one in lower case.
func (t *Tokenizer) reach() int {
	if t.normalizer == nil {
		return t.added.longest
	}
	return 16*t.added.longest + 64
}

// touches is addedTokens.touches in the text as it is and as it is normalized.
func (t *Tokenizer) touches(s string, i int) bool {
	if t.added.touches(s, i) {
		return true
	}
	if t.normalizer == nil {
		return false
	}
	from, to := max(0, i-t.reach()), min(len(s), i+t.reach())
	for from < i && !utf8.RuneStart(s[from]) {
		from++
	}
	for to < len(s) && to > i && !utf8.RuneStart(s[to]) {
		to--
	}
	left, err1 := t.normalizer.apply(s[from:i])
	right, err2 := t.normalizer.apply(s[i:to])
	return err1 != nil || err2 != nil || t.added.touches(left+right, len(left))
}

// cuttable reports whether words end at s[i], which lies within s.
func (t *Tokenizer) cuttable(s string, i int) bool {
	if t.normalizer != nil && (s[i-1] >= utf8.RuneSelf || s[i] >= utf8.RuneSelf) {
		return false // what follows might be joined to what precedes
	}
	return t.wordEnds(s, i)
}

var errCut = errors.New("found")

// cutBetween finds a place at the start of an added token, or in text that has
// none: all that precedes and follows is found as in the whole text, since no
// token depends on what stands beside it.
func (t *Tokenizer) cutBetween(s string, least, limit int, special bool) int {
	found := 0
	at := func(i int) error {
		if i >= limit {
			return errCut
		}
		found = i
		return errCut
	}
	// Both calls end with errCut, or because s does.
	_ = t.added.split(s, 0, special, func(start, end, id int) error {
		switch {
		case id != none && start >= least:
			return at(start)
		case id != none || end <= least:
			return nil
		}
		return t.added.split(s[start:end], 1, special, func(from, to, id int) error {
			from, to = from+start, to+start
			if from >= least && (id != none || from > 0 && !t.prefixSpace) {
				return at(from)
			}
			if id != none {
				return nil
			}
			for i := max(from+1, least); i < to; i++ {
				if i >= limit || t.wordEnds(s[from:to], i-from) {
					return at(i)
				}
			}
			return nil
		})
	})
	return found
}

// wordEnds reports whether a word, or a token within a word, always ends at s[i],
// which lies within s, and does so whether or not s ends there.
func (t *Tokenizer) wordEnds(s string, i int) bool {
	if !utf8.RuneStart(s[i]) {
		return false
	}
	r, size := utf8.DecodeLastRuneInString(s[:i])
	before := classOf(r)
	after, _ := first(s[i:])
	if before != after {
		return endsWord(before, after)
	}
	// Within a run of one class. No merge joins the two bytes, so no token spans them.
	if t.whole != nil || t.normalizer != nil || t.joins.has(s[i-1], s[i]) || t.bytes[s[i-1]] == noToken || t.bytes[s[i]] == noToken {
		return false
	}
	switch before {
	case letter: // but 're, 've and 'll are words
		r, _ := utf8.DecodeLastRuneInString(s[:i-size])
		return i > size && classOf(r) == letter
	case number:
		return true
	case symbol:
		return s[i] != '\''
	}
	// White space on either side: the last of it, which may go to the next word, is
	// behind the place. But an added token may take all that is beside it.
	return t.added.plain
}

// endsWord reports whether a word always ends between two characters, and does
// so whether or not anything follows. A run of white space must see what does,
// and letters may belong to the apostrophe before them.
func endsWord(before, after class) bool {
	return before != after && before != space && (before != symbol || after != letter)
}

// A bytePairs is a set of pairs of bytes.
type bytePairs [1 << 16 / 64]uint64

func (p *bytePairs) add(a, b byte)      { p[int(a)<<2|int(b)>>6] |= 1 << (b & 63) }
func (p *bytePairs) has(a, b byte) bool { return p[int(a)<<2|int(b)>>6]>>(b&63)&1 != 0 }
