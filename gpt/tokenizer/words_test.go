package tokenizer

import (
	"slices"
	"strings"
	"testing"
	"unicode"
)

// splitAll returns the pieces that a step makes of text.
func splitAll(t *testing.T, s splitter, text string) (pieces []string) {
	t.Helper()
	if text == "" {
		return nil
	}
	if err := s.split(piece{text, start}, func(p piece) error {
		pieces = append(pieces, p.text)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return pieces
}

// checkWords holds the functions that follow patterns to regexp2.
func checkWords(t *testing.T, text string) {
	text = strings.ToValidUTF8(text, "")
	// regexp2 counts fewer characters as parts of words than Unicode and Hugging Face's do.
	odd := strings.ContainsFunc(text, func(r rune) bool { return isWord(r) && !unicode.In(r, unicode.L, unicode.Mn, unicode.Nd, unicode.Pc) })
	for pattern, step := range patterns {
		if pattern == digitsOfRight && odd {
			continue
		}
		if pattern == endSpaces && strings.ContainsAny(text, "\r\n") {
			continue // it is for parts between line breaks
		}
		re, err := newRegex(pattern)
		if err != nil {
			t.Fatal(err)
		}
		want := splitAll(t, &matches{re.each, isolated, false}, text)
		if got := splitAll(t, step, text); !slices.Equal(got, want) {
			// (?i:'s) of regexp2 does not match a long s, which Hugging Face's does.
			if strings.Contains(text, "'ſ") && strings.Contains(pattern, "(?i:") {
				continue
			}
			t.Errorf("%.80s\nsplits %.200q into %.400q,\nexpected %.400q", pattern, text, got, want)
		}
	}
}

func TestWords(t *testing.T) {
	for _, text := range hardCases {
		if len(text) < 400 {
			checkWords(t, text)
		}
	}
	for _, text := range manyTexts(600) {
		if len(text) < 400 {
			checkWords(t, text)
		}
	}
}

// FuzzWords is TestWords for texts that the fuzzer makes.
func FuzzWords(f *testing.F) {
	for _, text := range hardCases {
		if len(text) < 400 {
			f.Add(text)
		}
	}
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) < 2000 {
			checkWords(t, text)
		}
	})
}

// TestBehaviors has what each behavior makes of what it finds.
func TestBehaviors(t *testing.T) {
	for _, c := range []struct {
		behavior string
		invert   bool
		want     []string // of "--a-b--"
	}{
		{isolated, false, []string{"-", "-", "a", "-", "b", "-", "-"}},
		{removed, false, []string{"a", "b"}},
		{removed, true, []string{"-", "-", "-", "-", "-"}},
		{contiguous, false, []string{"--", "a", "-", "b", "--"}},
		{mergedWithPrevious, false, []string{"-", "-", "a-", "b-", "-"}},
		{mergedWithNext, false, []string{"-", "-a", "-b", "-", "-"}},
		{mergedWithNext, true, []string{"-", "-", "a-", "b-", "-"}},
	} {
		step, err := Step{Type: split, Pattern: "-", Behavior: c.behavior, Invert: c.invert}.splitter()
		if err != nil {
			t.Fatal(err)
		}
		if got := splitAll(t, step, "--a-b--"); !slices.Equal(got, c.want) {
			t.Errorf("%s, inverted %v: %q, want %q", c.behavior, c.invert, got, c.want)
		}
	}
}

// TestAtomic has possessive quantifiers, and what looks like them.
func TestAtomic(t *testing.T) {
	for pattern, want := range map[string]string{
		`[^\r\n\p{L}]?+\p{L}++|a*+`: `(?>[^\r\n\p{L}]?)(?>\p{L}+)|(?>a*)`,
		`(a|b)++c`:                  `(?>(a|b)+)c`,
		`\p{N}{1,3}+x`:              `(?:\p{N}{1,3})+x`,
		`(?:a+(?:b)?+)+`:            `(?:a+(?>(?:b)?))+`,
		`[+?]+\+++|a+|\+`:           `[+?]+(?>\++)|a+|\+`,
		`(?=a)b+?[\]+]`:             `(?=a)b+?[\]+]`,
		`世++`:                       `(?>世+)`,
		`a{`:                        `a{`,
		`(++`:                       `(++`,
		`[`:                         `[`,
		`\`:                         `\`,
		`++`:                        `(?>+)`,
	} {
		if got := withoutPossessive(pattern); got != want {
			t.Errorf("%s becomes %s, want %s", pattern, got, want)
		}
	}
}
