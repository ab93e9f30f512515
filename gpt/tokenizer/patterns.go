package tokenizer

// This file knows the patterns that many tokenizers have, and follows them by hand:
// a regular expression takes some 20 times as long.

import (
	"math"
	"slices"
	"strings"
	"unicode/utf8"
)

// Patterns of published tokenizers.
const (
	gpt2Pattern = `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`

	anyContraction = `(?i:'s|'t|'re|'ve|'m|'ll|'d)`
	letterRun      = `[^\r\n\p{L}\p{N}]?\p{L}+`
	symbolRun      = ` ?[^\s\p{L}\p{N}]+`
	lines          = `\s*[\r\n]+`
	blanks         = `\s+(?!\S)|\s+`
	upperLower     = `[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+`
	upperOnly      = `[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*`

	llama3Pattern   = anyContraction + `|` + letterRun + `|\p{N}{1,3}|` + symbolRun + `[\r\n]*|` + lines + `|` + blanks
	qwen2Pattern    = anyContraction + `|` + letterRun + `|\p{N}|` + symbolRun + `[\r\n]*|` + lines + `|` + blanks
	qwen35Pattern   = anyContraction + `|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|` + lines + `|` + blanks
	numbersPattern  = anyContraction + `|` + letterRun + `|\p{N}+|` + symbolRun + `[\r\n]*|` + lines + `|` + blanks
	plainPattern    = letterRun + `|\p{N}|` + symbolRun + `[\r\n]*|` + lines + `|` + blanks
	seedPattern     = anyContraction + `|` + letterRun + `|\p{N}{1}| ?[^\s\p{L}\p{N}\r\n]+|` + lines + `|` + blanks
	bailingPattern  = `'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|` + blanks
	gpt4oPattern    = upperLower + anyContraction + `?|` + upperOnly + anyContraction + `?|\p{N}{1,3}|` + symbolRun + `[\r\n/]*|` + lines + `|` + blanks
	youtuPattern    = upperLower + anyContraction + `?|` + upperOnly + anyContraction + `?|\p{N}|` + symbolRun + `[\r\n/]*|` + lines + `|` + blanks
	tekkenPattern   = upperLower + `|` + upperOnly + `|\p{N}|` + symbolRun + `[\r\n/]*|` + lines + `|` + blanks
	deepSeekPattern = `[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_` + "`" + `{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|` + lines + `|` + blanks

	lettersPattern  = `\s?\p{L}+`
	marksPattern    = `\s?\p{P}+`
	endSpaces       = `\s+$`
	threeASCIIDigit = `[0-9][0-9][0-9]`
	threeDigits     = `\p{N}{1,3}`
	eastAsian       = "[\u4e00-\u9fa5\u3040-\u309f\u30a0-\u30ff]+"
	digitsOfRight   = `\d{1,3}(?=(?:\d{3})*\b)`
	numbersOfRight  = `\p{N}{1,3}(?=(?:\p{N}{3})*(?!\p{N}))`
)

// gpt2Patterns are spellings of GPT-2's pattern.
var gpt2Patterns = []string{
	gpt2Pattern,
	`'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`,
}

// patterns are those that a function of ours follows. Each but those in gaps matches
// every part of every text.
var patterns = map[string]splitter{
	gpt2Patterns[0]: wordFunc(wordLen),
	gpt2Patterns[1]: wordFunc(wordLen),

	llama3Pattern:  wordFunc(gpt4{contractions: true, digits: 3, tail: "\r\n"}.word),
	qwen2Pattern:   wordFunc(gpt4{contractions: true, digits: 1, tail: "\r\n"}.word),
	qwen35Pattern:  wordFunc(gpt4{contractions: true, marks: true, digits: 1, tail: "\r\n"}.word),
	numbersPattern: wordFunc(gpt4{contractions: true, digits: math.MaxInt, tail: "\r\n"}.word),
	plainPattern:   wordFunc(gpt4{digits: 1, tail: "\r\n"}.word),
	seedPattern:    wordFunc(gpt4{contractions: true, digits: 1}.word),
	bailingPattern: wordFunc(gpt4{contractions: true, digits: 1, tail: "\r\n"}.word),
	gpt4oPattern:   wordFunc(gpt4{cased: true, contractions: true, digits: 3, tail: "\r\n/"}.word),
	youtuPattern:   wordFunc(gpt4{cased: true, contractions: true, digits: 1, tail: "\r\n/"}.word),
	tekkenPattern:  wordFunc(gpt4{cased: true, digits: 1, tail: "\r\n/"}.word),

	deepSeekPattern: wordFunc(deepSeekWord),
	threeDigits:     runs(isNumber, 3),
	eastAsian:       wordFunc(eastAsianWord),
	digitsOfRight:   digitGroups{isDecimal, true},
	numbersOfRight:  digitGroups{isNumber, false},
	`\p{N}`:         runs(isNumber, 1),
	`\p{N}+`:        runs(isNumber, math.MaxInt),
	`\d`:            runs(isDecimal, 1),
	`\d+`:           runs(isDecimal, math.MaxInt),
	`[\r\n]`:        runs(isNewline, 1),

	lettersPattern:  spacedRuns(`[\pL]`, true),
	marksPattern:    spacedRuns(`[\pP]`, true),
	latinWords:      spacedRuns(bracketsOf(latinWords), true),
	cjkPunctuation:  spacedRuns(bracketsOf(cjkPunctuation), true),
	deepSeekCJK:     spacedRuns(bracketsOf(deepSeekCJK), false),
	endSpaces:       wordFunc(spaceAtEnd),
	threeASCIIDigit: wordFunc(threeASCIIDigits),
}

// bracketsOf is the class of a pattern that has one.
func bracketsOf(pattern string) string {
	return strings.TrimSuffix(strings.TrimPrefix(pattern, `\s?`), "+")
}

// gaps are the patterns that do not match every part of every text.
var gaps = []string{deepSeekPattern, threeDigits, eastAsian, digitsOfRight, numbersOfRight, `\p{N}`, `\p{N}+`, `\d`, `\d+`, `[\r\n]`,
	lettersPattern, marksPattern, latinWords, cjkPunctuation, deepSeekCJK, endSpaces, threeASCIIDigit}

// byHand is the function that does what a Split by a pattern does, or nil.
func (s Step) byHand() splitter {
	if s.Behavior == isolated || s.Behavior == removed && s.Invert && !slices.Contains(gaps, s.Pattern) {
		return patterns[s.Pattern]
	}
	return nil
}

// eastAsianWord is a run of Chinese and Japanese characters, or what is between two.
func eastAsianWord(s string) int {
	is := func(r rune) bool { return r >= 0x4e00 && r <= 0x9fa5 || r >= 0x3040 && r <= 0x30ff }
	n, want := 0, false
	for n < len(s) {
		r, size := utf8.DecodeRuneInString(s[n:])
		if n == 0 {
			want = is(r)
		} else if is(r) != want {
			break
		}
		n += size
	}
	return n
}
