package tokenizer

import (
	"context"
	"errors"
	"io"
	"maps"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

// corpusOf has read texts.
func corpusOf(tb testing.TB, special []string, texts ...string) *Corpus {
	tb.Helper()
	c, err := NewCorpus(special...)
	if err != nil {
		tb.Fatal(err)
	}
	for _, text := range texts {
		if err := c.Read(context.Background(), strings.NewReader(text)); err != nil {
			tb.Fatal(err)
		}
	}
	return c
}

func (w *wordCounts) asMap() map[string]int64 {
	m := map[string]int64{}
	for i, word := range w.words {
		m[word] = w.counts[i]
	}
	return m
}

// wordsByPattern is the definition: words of what lies between special tokens.
func wordsByPattern(t *testing.T, special string, texts ...string) map[string]int64 {
	t.Helper()
	m := map[string]int64{}
	for _, text := range texts {
		parts := []string{text}
		if special != "" {
			parts = strings.Split(text, special)
		}
		for _, part := range parts {
			for _, word := range splitByPattern(t, part) {
				m[word]++
			}
		}
	}
	return m
}

// pieces are what long texts of the tests are put together from.
var pieces = append([]string{endOfText, "<|endof", "text|>", " ", "  ", "\n\n", "'", "'s", "'ll", "a", "Hello", "世界", "é", "1", "٣", "\u3000", "\u00a0", ".", "👩‍🚀"}, hardCases...)

// longText is random pieces, n bytes or more.
func longText(seed uint64, n int) string {
	r := rand.New(rand.NewPCG(seed, 0))
	var text strings.Builder
	for text.Len() < n {
		text.WriteString(pieces[r.IntN(len(pieces))])
	}
	return strings.ReplaceAll(strings.ToValidUTF8(text.String(), ""), "\x7f", "") // which regexp2 loses
}

// TestCorpus reads a text of several blocks, however it comes.
func TestCorpus(t *testing.T) {
	text := longText(1, 5<<20/2)
	want := wordsByPattern(t, endOfText, text)
	for name, reader := range map[string]io.Reader{
		"whole": strings.NewReader(text), "halves": iotest.HalfReader(strings.NewReader(text)), "data with EOF": iotest.DataErrReader(strings.NewReader(text)),
	} {
		c := corpusOf(t, []string{endOfText})
		if err := c.Read(t.Context(), reader); err != nil {
			t.Fatal(err)
		}
		if got := c.words().asMap(); !maps.Equal(got, want) {
			t.Errorf("%s: words differ from those of the pattern (-want +got):\n%.2000s", name, cmp.Diff(want, got))
		}
	}
	texts := []string{"a b", "b", "", " a", "b\n", "\nb"}
	if diff := cmp.Diff(wordsByPattern(t, "", texts...), corpusOf(t, nil, texts...).words().asMap()); diff != "" {
		t.Errorf("several texts (-want +got):\n%s", diff)
	}
}

// TestLastCut cuts each start of a text, as at the end of a block.
func TestLastCut(t *testing.T) {
	c := corpusOf(t, []string{endOfText, "s a"})
	count := func(parts ...string) map[string]int64 {
		w := &wordCounts{}
		for _, part := range parts {
			c.count(w, part)
		}
		return w.asMap()
	}
	cuts := 0
	for seed := range uint64(40) {
		text := longText(seed, 200)
		want := count(text)
		for n := range len(text) {
			cut := c.lastCut([]byte(text[:n]))
			if cut == 0 {
				continue
			}
			cuts++
			if got := count(text[:cut], text[cut:]); !maps.Equal(got, want) {
				t.Fatalf("cut into %q and %q its words differ (-want +got):\n%s", text[:cut], text[cut:], cmp.Diff(want, got))
			}
		}
	}
	if cuts < 5000 {
		t.Errorf("%d cuts, expected most texts to have one", cuts)
	}
	for _, text := range []string{strings.Repeat("a", 100), strings.Repeat("\n", 100), strings.Repeat(endOfText, 1), ""} {
		if cut := c.lastCut([]byte(text)); cut != 0 {
			t.Errorf("%.20q is cut at %d, expected nowhere", text, cut)
		}
	}
}

// TestLongWord reads texts without the end of a word, in parts between characters.
func TestLongWord(t *testing.T) {
	const special = "<|endoftext|>"
	for name, c := range map[string]struct {
		special []string
		text    string
	}{
		"Chinese":        {[]string{special}, strings.Repeat("天地玄黄", 36<<20/12)},
		"spaces":         {nil, strings.Repeat(" ", 17<<20)},
		"special":        {[]string{special}, strings.Repeat("<|", 8<<20-6) + special + strings.Repeat("<|", 1<<20)},
		"only special":   {[]string{"aa"}, strings.Repeat("a", 17<<20)},
		"after 15 MiB":   {nil, strings.Repeat("a", 15<<20) + " word"},
		"its bytes only": {nil, strings.Repeat("é", 16<<20)},
	} {
		t.Run(name, func(t *testing.T) {
			corpus, read := corpusOf(t, c.special), 0
			words := 0
			err := corpus.blocks(strings.NewReader(c.text), func(text string) error {
				if !utf8.ValidString(text) || strings.Count(text, special) > 1 {
					t.Errorf("a part of %d bytes is cut within a character or token", len(text))
				}
				words += strings.Count(text, special)
				read += len(text)
				return nil
			})
			if err != nil || read != len(c.text) || words != strings.Count(c.text, special) {
				t.Errorf("%d of %d bytes, %d special tokens, %v", read, len(c.text), words, err)
			}
		})
	}
}

func TestCorpusRejects(t *testing.T) {
	mb := strings.Repeat("word ", 1<<20/5+10)
	for name, c := range map[string]struct {
		text io.Reader
		want string
	}{
		"Latin-1":          {strings.NewReader("caf\xe9"), "byte 3 is 0xe9, expected UTF-8"},
		"later":            {strings.NewReader(mb + mb + "\xff" + mb), "byte 2097250 is 0xff, expected UTF-8"},
		"cut short":        {strings.NewReader("世\xe4\xb8"), "byte 3 is 0xe4, expected UTF-8"},
		"UTF-16":           {strings.NewReader("\xff\xfea\x00"), "byte 0 is 0xff"},
		"zeros":            {strings.NewReader("word " + strings.Repeat("\x00", 17<<20)), "more than 16 MiB from byte 4 on have no end of a word, and bytes of 0"},
		"one word":         {strings.NewReader("word " + strings.Repeat("\x80", 17<<20)), "byte 5 is 0x80, expected UTF-8"},
		"an error of disk": {io.MultiReader(strings.NewReader("good"), iotest.ErrReader(errors.New("bad sector"))), "bad sector"},
	} {
		if err := corpusOf(t, nil).Read(t.Context(), c.text); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want one with %q", name, err, c.want)
		}
	}
	// A word may be long, if it is not as long as that.
	long := strings.Repeat("a", 15<<20)
	if got := corpusOf(t, nil, "word "+long+" word").words().asMap(); got[" "+long] != 1 || got[" word"] != 1 {
		t.Error("a word of 15 MiB is lost")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := corpusOf(t, nil).Read(ctx, neverEnds{}); !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted: error %v", err)
	}
	for want, special := range map[string][]string{
		"is empty":                           {endOfText, ""},
		"is there twice":                     {"<a>", "<b>", "<a>"},
		"at most 512 bytes":                  {strings.Repeat("<", 513)},
		"expected UTF-8":                     {"<\xff>"},
		`"a" could be the name of an`:        {"a"},
		`"Ġthe" could be the name of an ord`: {"Ġthe"},
	} {
		if _, err := NewCorpus(special...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v, want one with %q", special, err, want)
		}
	}
}

// neverEnds is a text of "word word word …".
type neverEnds struct{}

func (neverEnds) Read(p []byte) (int, error) { return copy(p, "word "), nil }
