package tokenizer

// This file splits text into words as the tokenizers after GPT-2 do: GPT-4's pattern
// and its relatives (Llama 3, Qwen), in which numbers are short and line breaks stand
// alone, that of GPT-4o, which looks at capitals, and that of DeepSeek V3. FuzzWords
// holds each to its pattern.

import "strings"

// A wordFunc returns the length in bytes of the first word of a text that is not
// empty. A text between two matches of a pattern is a word as well.
type wordFunc func(s string) int

// A gpt4 is a pattern of this form, whose parts are tried in this order:
//
//	(?i:'s|'t|'re|'ve|'m|'ll|'d)     contractions
//	[^\r\n\p{L}\p{N}]?\p{L}+         [\p{L}\p{M}]+ and so on with marks
//	\p{N}{1,digits}
//	 ?[^\s\p{L}\p{N}]+[\r\n]*        tail in the last brackets
//	\s*[\r\n]+
//	\s+(?!\S)
//	\s+
//
// With cased, the second is two, each with contractions after it, where it has them:
//
//	[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+
//	[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*
type gpt4 struct {
	contractions bool
	marks        bool
	cased        bool
	digits       int    // how many a word has at most
	tail         string // what symbols take with them
}

func (g gpt4) word(s string) int {
	k, n := firstKind(s)
	if s[0] == '\'' && g.contractions && !g.cased {
		if n := anyCaseContraction(s); n > 0 {
			return n
		}
	}
	if g.cased {
		if n := g.casedWord(s, k, n); n > 0 {
			return n
		}
	} else if n := g.letters(s, k, n); n > 0 {
		return n
	}
	if k&isNumber != 0 {
		return runUpTo(s, isNumber, g.digits)
	}
	if n := g.symbols(s); n > 0 {
		return n
	}
	return spaces(s)
}

// letters is the length of the second part's match; k and n are of the first character.
func (g gpt4) letters(s string, k kind, n int) int {
	letters := isLetter
	if g.marks {
		letters |= isMarkKind
	}
	if k&isLetter != 0 {
		return n + runOf(s[n:], letters)
	}
	if k&(isNumber|isNewline) != 0 {
		return 0
	}
	if run := runOf(s[n:], letters); run > 0 {
		return n + run
	}
	if k&letters != 0 { // a mark, which nothing follows
		return n
	}
	return 0
}

// casedWord is the same of the two parts with cased.
func (g gpt4) casedWord(s string, k kind, n int) int {
	end := 0
	switch {
	case k&isLetter != 0:
		if end = lowerEnd(s); end == 0 {
			end = runOf(s, isUpper)
		}
	case k&(isNumber|isNewline) != 0:
		return 0
	default:
		mark := k&isMarkKind != 0
		if rest := lowerEnd(s[n:]); rest > 0 {
			end = n + rest
		} else if mark {
			end = lowerEnd(s)
		}
		if end > 0 {
			break
		}
		rest := runOf(s[n:], isUpper)
		if rest == 0 {
			return 0
		}
		end = n + rest
	}
	if g.contractions && end < len(s) && s[end] == '\'' {
		end += anyCaseContraction(s[end:])
	}
	return end
}

// lowerEnd is the length of what [\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+
// matches at the start of s, or 0. Where no small letter follows the first run, its
// last character that may be in both is the second's.
func lowerEnd(s string) int {
	n, both := 0, 0
	for n < len(s) {
		k, size := firstKind(s[n:])
		if k&isLower != 0 {
			return n + runOf(s[n:], isLower|isOtherLetter|isMarkKind)
		}
		if k&(isUpper|isOtherLetter|isMarkKind) == 0 {
			break
		}
		n += size
		if k&isUpper == 0 {
			both = n
		}
	}
	return both
}

// symbols is the length of the fourth part's match, or 0.
func (g gpt4) symbols(s string) int {
	lead := 0
	if s[0] == ' ' {
		lead = 1
	}
	n := lead
	for n < len(s) {
		k, size := firstKind(s[n:])
		if k&(isSpace|isLetter|isNumber) != 0 || g.marks && k&isMarkKind != 0 {
			break
		}
		n += size
	}
	if n == lead {
		return 0
	}
	for n < len(s) && strings.IndexByte(g.tail, s[n]) >= 0 {
		n++
	}
	return n
}

// spaces is the length of the match of \s*[\r\n]+|\s+(?!\S)|\s+ at the start of s, which
// is white space.
func spaces(s string) int {
	n, last, line := 0, 0, 0
	for n < len(s) {
		k, size := firstKind(s[n:])
		if k&isSpace == 0 {
			break
		}
		n, last = n+size, size
		if k&isNewline != 0 {
			line = n
		}
	}
	switch {
	case line > 0:
		return line
	case n < len(s) && n > last:
		return n - last
	}
	return n
}

// anyCaseContraction returns the length of the English ending at the start of s, which
// starts with an apostrophe, in small or capital letters, or 0. A long s is an s, as
// in case-insensitive patterns.
func anyCaseContraction(s string) int {
	if strings.HasPrefix(s[1:], "ſ") {
		return len("'ſ")
	}
	if len(s) < 2 {
		return 0
	}
	switch a := s[1] | 0x20; {
	case a == 's', a == 't', a == 'm', a == 'd':
		return 2
	case len(s) > 2:
		switch b := s[2] | 0x20; {
		case (a == 'r' || a == 'v') && b == 'e', a == 'l' && b == 'l':
			return 3
		}
	}
	return 0
}

// deepSeekWord is the last of DeepSeek V3's three patterns, in which P is ASCII's
// punctuation:
//
//	[P][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+
//
// It has no part for numbers and control characters.
func deepSeekWord(s string) int {
	n := 0
	for n < len(s) {
		if m := deepSeekMatch(s[n:]); m > 0 {
			if n == 0 {
				return m
			}
			break
		}
		_, size := firstKind(s[n:])
		n += size
	}
	return n
}

// deepSeekMatch is the length of the pattern's match at the start of s, or 0.
func deepSeekMatch(s string) int {
	const letters = isLetter | isMarkKind
	k, n := firstKind(s)
	if k&isASCII != 0 && k&(isPunct|isSymbol) != 0 {
		end := 1
		for end < len(s) && 'a' <= s[end]|0x20 && s[end]|0x20 <= 'z' {
			end++
		}
		if end > 1 {
			return end
		}
	}
	if k&(isLetter|isPunct|isSymbol|isNewline) == 0 {
		if run := runOf(s[n:], letters); run > 0 {
			return n + run
		}
	}
	if k&letters != 0 {
		return runOf(s, letters)
	}
	lead := 0
	if s[0] == ' ' {
		lead = 1
	}
	if run := runOf(s[lead:], isPunct|isSymbol); run > 0 {
		n = lead + run
		return n + runOf(s[n:], isNewline)
	}
	if k&isSpace != 0 {
		return spaces(s)
	}
	return 0
}
