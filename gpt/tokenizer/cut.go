package tokenizer

// This file finds places where a long text may be cut into parts that can be
// encoded one by one, or on several cores: their ids together are those of the whole.

import (
	"slices"
	"unicode/utf8"
)

// cutWindow is how many bytes after the first possible place Cut searches at first.
const cutWindow = 1 << 12

// Cut returns the length n, in bytes, of a first part of text that may be encoded by
// itself: Encode of text[:n], and of text[n:] with Continued, both with opts, give
// the ids that Encode gives for text. The rest may be cut again in the same way.
//
// The part has least bytes or more, and not many more if a word ends soon after. It
// is all of text if there is no place to cut: in a long run of one kind of
// characters, such as letters, whose bytes may all be merged with one another.
// Text may have any bytes. The time is linear in n.
func (t *Tokenizer) Cut(text []byte, least int, opts ...Option) int {
	special, least := slices.Contains(opts, AllowSpecial), max(least, 1)
	if t.normalizer != nil && !t.normalizer.local || !t.gpt2Words() && !t.cutBeforeSpaces {
		return len(text)
	}
	for size := least; size < len(text); {
		size = min(max(size+cutWindow, 2*size-least), len(text)) // the window doubles
		s := string(text[:size])
		if n := t.cut(s, least, size < len(text), special); n > 0 {
			return n
		}
	}
	return len(text)
}

// cut is Cut for a text that may go on after s. It is 0 if there is no place to cut.
func (t *Tokenizer) cut(s string, least int, more, special bool) int {
	limit := len(s)
	if more {
		limit -= t.reach() + utf8.UTFMax
	}
	if t.gpt2Words() && t.normalizer == nil && t.added.plain {
		return t.cutBetween(s, least, limit, special)
	}
	for i := least; i < limit; i++ {
		if t.cuttable(s, i) && !t.touches(s, i) {
			return i
		}
	}
	return 0
}

// reach is how many bytes before and after a place decide whether an added token
// touches it. A byte of a normalized text may come from up to 9 bytes: composing
// characters and making lower case may each shorten a text to a third.
func (t *Tokenizer) reach() int {
	if t.normalizer == nil {
		return t.added.longest
	}
	return 16*t.added.longest + 64
}

// touches is addedTokens.touches, for the text itself or as it is normalized.
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
	left, err1 := t.normalizer.text(s[from:i], false)
	right, err2 := t.normalizer.text(s[i:to], true)
	return err1 != nil || err2 != nil || t.added.touches(left+right, len(left))
}

// gpt2Words reports whether words are those of GPT-2.
func (t *Tokenizer) gpt2Words() bool { return t.steps == nil && t.model == ByteBPE }

// cuttable is wordEnds, but false where normalizing may join s[i-1] and s[i]. Of other
// words than GPT-2's, one is known to end between a letter and a space alone.
func (t *Tokenizer) cuttable(s string, i int) bool {
	if !t.gpt2Words() {
		return s[i] == ' ' && 'a' <= s[i-1]|0x20 && s[i-1]|0x20 <= 'z' && !t.beforeSpace.has(s[i-1])
	}
	if t.normalizer != nil && (s[i-1] >= utf8.RuneSelf || s[i] >= utf8.RuneSelf) {
		return false // what follows might be joined to what precedes
	}
	return t.wordEnds(s, i)
}

// cutBetween finds a place at the start of an added token, or in text that has
// none: all that precedes and follows is found as in the whole text, since no
// token depends on the text next to it.
func (t *Tokenizer) cutBetween(s string, least, limit int, special bool) int {
	if at := t.firstPlace(s, least, limit, special); at < limit {
		return at
	}
	return 0
}

// firstPlace is the first place of cutBetween from least on, or 0. It looks no
// further than limit: a place of limit or more need not be one.
func (t *Tokenizer) firstPlace(s string, least, limit int, special bool) int {
	for outer := range t.added.split(s, 0, special) {
		if outer.id != none && outer.start >= least {
			return outer.start
		}
		if outer.id != none || outer.end <= least {
			continue
		}
		for inner := range t.added.split(s[outer.start:outer.end], 1, special) {
			from, to := outer.start+inner.start, outer.start+inner.end
			if from >= least && (inner.id != none || from > 0 && !t.prefixSpace) {
				return from
			}
			for i := max(from+1, least); i < to && inner.id == none; i++ {
				if i >= limit || t.wordEnds(s[from:to], i-from) {
					return i
				}
			}
		}
	}
	return 0
}

// wordEnds reports whether a word, or a token within a word, always ends before
// s[i], whether or not s itself ends there. 0 < i < len(s).
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
	// White space on both sides: its last character, which may belong to the next
	// word, comes after the place. But an added token may take all of it.
	return t.added.plain
}

// endsWord reports whether a word always ends between two characters, whatever
// follows. It does not if before is white space, whose last character may belong to
// the next word, nor between an apostrophe and letters, as in 're.
func endsWord(before, after class) bool {
	return before != after && before != space && (before != symbol || after != letter)
}

// A bytePairs is a set of pairs of bytes.
type bytePairs [1 << 16 / 64]uint64

func (p *bytePairs) add(a, b byte)      { p[int(a)<<2|int(b)>>6] |= 1 << (b & 63) }
func (p *bytePairs) has(a, b byte) bool { return p[int(a)<<2|int(b)>>6]>>(b&63)&1 != 0 }

// endsBeforeSpace reports whether the steps of a pre-tokenizer always end a word between
// a letter of ASCII and a space, and cut what is on either side as if it were alone.
func endsBeforeSpace(steps []Step) bool {
	ends := false
	for _, s := range steps {
		switch {
		case s.Type == byteLevel:
			ends = ends || s.Split
		case s.Type == digits, s.Type == punctuation && s.Behavior != removed:
		case s.Type == split && s.Regex && s.Behavior == isolated && slices.Contains(endWords, s.Pattern):
			ends = true
		case s.Type == split && s.Regex && s.Behavior == isolated && slices.Contains(endNone, s.Pattern):
		default:
			return false
		}
	}
	return ends
}

// Patterns that always end a match between a letter and a space, and others of which no
// match has both, nor depends on it.
var (
	endWords = []string{gpt2Patterns[0], gpt2Patterns[1], llama3Pattern, qwen2Pattern, qwen35Pattern, numbersPattern, plainPattern, seedPattern, bailingPattern, gpt4oPattern, youtuPattern, tekkenPattern, deepSeekPattern,
		latinWords, bloom, lettersPattern}
	endNone = []string{threeDigits, eastAsian, numbersOfRight, `\p{N}`, `\p{N}+`, `\d`, `\d+`, `[\r\n]`, cjkPunctuation, deepSeekCJK, marksPattern, endSpaces, threeASCIIDigit, `[\p{P}\$\+<=>\^~\|]+`}
)

// spacesAreMarks reports whether, of a tokenizer whose tokens are texts, the steps make
// of each space a mark, and cut at most before these.
func (t *Tokenizer) spacesAreMarks() bool {
	marked := false
	if t.normalizer != nil {
		for _, s := range t.normalizer.steps {
			marked = marked || s.Type == replace && s.Pattern == " " && s.Content == spaceMark
		}
	}
	for _, s := range t.steps {
		switch {
		case s.Type == metaspace && s.Content == spaceMark:
			marked = true
		case s.Type == split && !s.Regex && s.Pattern == " " && marked: // which finds none
		default:
			return false
		}
	}
	return marked
}
