package tokenizer

import (
	"slices"
	"strings"
	"testing"

	"github.com/dlclark/regexp2"
)

var gpt2Regex = regexp2.MustCompile(gpt2Pattern, regexp2.None)

func splitByPattern(t *testing.T, text string) (words []string) {
	t.Helper()
	m, err := gpt2Regex.FindStringMatch(text)
	for ; m != nil && err == nil; m, err = gpt2Regex.FindNextMatch(m) {
		words = append(words, m.String())
	}
	if err != nil {
		t.Fatal(err)
	}
	return words
}

func checkSplit(t *testing.T, text string) {
	t.Helper()
	var words []string
	for rest := text; rest != ""; {
		n := wordLen(rest)
		if n < 1 || n > len(rest) {
			t.Fatalf("wordLen(%.60q) is %d", rest, n)
		}
		words, rest = append(words, rest[:n]), rest[n:]
	}
	// The regular expression has U+FFFD for each byte that is not UTF-8.
	for i, w := range words {
		words[i] = string([]rune(w))
	}
	if want := splitByPattern(t, text); !slices.Equal(words, want) {
		t.Errorf("%.80q is split into %.200q, the pattern's are %.200q", text, words, want)
	}
}

func TestSplit(t *testing.T) {
	for _, text := range hardCases {
		checkSplit(t, text)
	}
	checkSplit(t, strings.Join(hardCases, ""))
}

func FuzzSplit(f *testing.F) {
	for _, text := range hardCases {
		f.Add(text)
	}
	f.Fuzz(checkSplit)
}
