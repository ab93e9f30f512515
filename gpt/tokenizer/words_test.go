package tokenizer

import (
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
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
	for pattern, step := range patterns {
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

// TestRegexWord holds both ways to say what a character of a word is to each other.
func TestRegexWord(t *testing.T) {
	re, err := newRegex(`\w`)
	if err != nil {
		t.Fatal(err)
	}
	for r := range unicode.MaxRune {
		if !utf8.ValidRune(r) {
			continue
		}
		found := false
		if err := re.each(string(r), func(int, int) error { found = true; return nil }); err != nil {
			t.Fatal(err)
		}
		if found != isRegexWord(r) {
			t.Errorf("%U: \\w finds it: %v, and isRegexWord says %v", r, found, !found)
		}
	}
}

// TestWordClass has escapes of characters of words, as Oniguruma finds them.
func TestWordClass(t *testing.T) {
	for pattern, want := range map[string]string{
		`\w`: "_|a|é|ः|⃝|٣|Ⅷ|½|²|‿|ⓐ|世", `[\w]`: "_|a|é|ः|⃝|٣|Ⅷ|½|²|‿|ⓐ|世", `\\w|[^\w\s]`: "-|№|😀|৴", `\W`: "-| |№|😀|৴", `\w\b`: "_|é|世",
	} {
		re, err := newRegex(pattern)
		if err != nil {
			t.Fatal(err)
		}
		var found []string
		text := "_-aéः⃝٣Ⅷ½²‿ⓐ №😀৴世"
		if pattern == `\w\b` {
			text = "_ aé-x世"
		}
		if err := re.each(text, func(start, end int) error {
			found = append(found, text[start:end])
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(found, "|"); got != want {
			t.Errorf("%s finds %s, want %s", pattern, got, want)
		}
	}
}
