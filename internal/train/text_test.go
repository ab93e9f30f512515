package train

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"caldera/gpt/tokenizer"
)

// blanks are the bytes of the letters, white space and line ends below, and one
// token more for each of those that stand side by side.
func blanks(t *testing.T, change func(v *tokenizer.Vocabulary)) *tokenizer.Tokenizer {
	t.Helper()
	corpus, err := tokenizer.NewCorpus(EndOfText)
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Repeat("word words\n\n\n\n\nwords word  \r\n\r\n\r\nword   word\r\r\r 世界世界 ", 50)
	if err := corpus.Read(t.Context(), strings.NewReader(text)); err != nil {
		t.Fatal(err)
	}
	v, err := corpus.TrainBPE(t.Context(), tokenizer.BPEOptions{VocabSize: 320})
	if err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(&v)
	}
	tok, err := tokenizer.New(v)
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

// encoded are the ids that a run learns of texts.
func encoded(t *testing.T, tok *tokenizer.Tokenizer, texts ...string) []int {
	t.Helper()
	dir := t.TempDir()
	var paths []string
	for i, text := range texts {
		paths = append(paths, write(t, filepath.Join(dir, string(rune('a'+i))), []byte(text)))
	}
	opened, err := OpenTexts(t.Context(), named(paths...))
	if err != nil {
		t.Fatal(err)
	}
	defer opened.Close()
	ids, err := opened.Encode(t.Context(), tok, func(int64) {})
	if err != nil {
		t.Fatal(err)
	}
	return all(ids)
}

// TestBlocks has what must not be cut lie at every place across the end of a
// block.
func TestBlocks(t *testing.T) {
	lines := blanks(t, func(v *tokenizer.Vocabulary) {
		v.Tokens = append(v.Tokens, "end\n", "<|long token|>")
		v.Added[len(v.Tokens)-2], v.Added[len(v.Tokens)-1] = false, true
	})
	for _, c := range []struct{ fill, across string }{
		{"word ", "word\n\n\nword "},
		{"word ", "word\r\n\r\n\r\nword "},
		{"word ", "word \t   word "},
		{"word ", "word end\nend\nword "},
		{"word ", "word <|long token|> word "},
		{"word ", "words words "},
		{"word ", "世界世界"},
		{"end\n", "end\n"},
		{"word\r\n", "words\r\n"},
	} {
		for shift := range len(c.across) {
			n := blockSize - shift // where it begins
			text := strings.Repeat("x", n%len(c.fill)) + strings.Repeat(c.fill, n/len(c.fill)) + strings.Repeat(c.across, 2) + c.fill
			want, err := lines.Encode(text, tokenizer.AllowSpecial)
			if err != nil {
				t.Fatal(err)
			}
			if got := encoded(t, lines, text); !slices.Equal(got, want) {
				t.Errorf("%q, of which %d bytes lie before the end of a block: %d ids, expected %d", c.across, shift, len(got), len(want))
			}
		}
	}
}

// TestDocuments puts around each text what the tokenizer wants there.
func TestDocuments(t *testing.T) {
	plain := blanks(t, nil)
	end, _ := plain.SpecialID(EndOfText)
	w, err := plain.Encode("word")
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		before, after []int
		want          [2][]int // of one text, and of two
	}{
		"none":        {nil, nil, [2][]int{w, slices.Concat(w, []int{end}, w, []int{end})}},
		"end of text": {nil, []int{end}, [2][]int{append(slices.Clone(w), end), slices.Concat(w, []int{end}, w, []int{end})}},
		"others":      {[]int{5}, []int{6}, [2][]int{slices.Concat([]int{5}, w, []int{6}), slices.Concat([]int{5}, w, []int{6, end, 5}, w, []int{6, end})}},
	} {
		tok := blanks(t, func(v *tokenizer.Vocabulary) { v.Prefix, v.Suffix = c.before, c.after })
		if got := encoded(t, tok, "word"); !slices.Equal(got, c.want[0]) {
			t.Errorf("%s: one text is %v, expected %v", name, got, c.want[0])
		}
		if got := encoded(t, tok, "word", "word"); !slices.Equal(got, c.want[1]) {
			t.Errorf("%s: two texts are %v, expected %v", name, got, c.want[1])
		}
	}
}

// TestLineEnds encodes texts of the same length whose lines end in different
// ways: no part is much longer than a block, for a part is copied, and the ids of
// all parts of a moment are in memory twice.
func TestLineEnds(t *testing.T) {
	tok := blanks(t, nil)
	for name, line := range map[string]string{
		"LF": "word words word\n", "CRLF": "word words word\r\n", "CR": "word words word\r", "U+2028": "word words word\u2028", "no line ends": "word words word ",
		"Chinese": "世界世界，世界世界。", "Chinese without stops": "世界人民大", "Thai": "สวัสดี", "digits": "12345", "commas": "word,word,,",
	} {
		text := bytes.Repeat([]byte(line), 5*blockSize/2/len(line))
		for at := 0; at < len(text); {
			n := tok.Cut(text[at:], blockSize, tokenizer.AllowSpecial)
			if n > blockSize*5/4 && n < len(text)-at {
				t.Errorf("%s: a part has %d bytes", name, n)
			}
			at += n
		}
		want, err := tok.Encode(string(text))
		if err != nil {
			t.Fatal(err)
		}
		if got := encoded(t, tok, string(text)); !slices.Equal(got, want) {
			t.Errorf("%s: %d ids, expected %d", name, len(got), len(want))
		}
	}
}

// TestEncodeEnds has Ctrl-C come in the midst of a text.
func TestEncodeEnds(t *testing.T) {
	tok := blanks(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	texts, err := OpenTexts(ctx, named(write(t, filepath.Join(t.TempDir(), "a"), bytes.Repeat([]byte("word\r\n"), 40*blockSize/6))))
	if err != nil {
		t.Fatal(err)
	}
	defer texts.Close()
	calls := 0
	_, err = texts.Encode(ctx, tok, func(int64) {
		calls++
		cancel()
	})
	if err != context.Canceled || calls != 1 {
		t.Errorf("after Ctrl-C: %v, and %d more parts", err, calls-1)
	}
	if _, err := OpenTexts(ctx, named(texts.All[0].file.Path)); !errors.Is(err, context.Canceled) {
		t.Errorf("before: %v", err)
	}
}

// TestOpenTexts leaves out what is no text where others are.
func TestOpenTexts(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string { return write(t, filepath.Join(dir, name), []byte(text)) }
	good, empty, latin, binary := file("good", "good"), file("empty", ""), file("latin", "caf\xe9"), file("binary", "ELF\x00\x01")
	long := file("long", strings.Repeat("世", checkBlock/3+9)+"\xff")
	found := func(paths ...string) []File {
		files := named(paths...)
		for i := range files {
			files[i].Named = false
		}
		return files
	}
	texts, err := OpenTexts(t.Context(), found(empty, good, latin, binary, long, filepath.Join(dir, "gone")))
	if err != nil {
		t.Fatal(err)
	}
	defer texts.Close()
	if len(texts.All) != 1 || texts.All[0].file.Path != good || texts.Size != 4 {
		t.Errorf("texts %v", texts.All)
	}
	want := "warning: left out: " + empty + ": it is empty, expected text\n" +
		"warning: left out: " + latin + ": byte 3 is 0xe9, expected UTF-8: convert the text first, as iconv does\n" +
		"warning: left out: " + binary + ": byte 3 is 0x00, as in a binary file, expected text\n" +
		"warning: left out: " + long + ": byte 16777242 is 0xff, expected UTF-8: convert the text first, as iconv does\n" +
		"warning: left out: " + filepath.Join(dir, "gone") + ": opening it: no such file or directory\n"
	if got := Warnings(texts.Left); got != want {
		t.Errorf("warnings\n%sexpected\n%s", got, want)
	}
	if got := Warnings(slices.Repeat(texts.Left, 5)); got != strings.Repeat(want, 4)+"warning: and 5 more were left out\n" {
		t.Errorf("more warnings\n%s", got)
	}
	for name, c := range map[string]struct {
		files []File
		bad   string // "" for none
	}{
		"none is left":         {found(empty, latin), empty + ": it is empty, expected text; 1 others are no texts either"},
		"one is left of one":   {found(latin), latin + ": byte 3 is 0xe9"},
		"named, not UTF-8":     {named(good, latin), latin + ": byte 3 is 0xe9"},
		"named, empty, alone":  {named(empty), empty + ": it is empty"},
		"named, empty, others": {named(empty, good), ""},
		"named, with a zero":   {named(binary), ""},
	} {
		texts, err := OpenTexts(t.Context(), c.files)
		if err == nil {
			texts.Close()
		}
		if c.bad == "" != (err == nil) || err != nil && !strings.HasPrefix(err.Error(), c.bad) {
			t.Errorf("%s: %v, expected %q", name, err, c.bad)
		}
	}
}

// TestSpool reads a pipe as often as it likes, and waits for none after Ctrl-C.
func TestSpool(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	old := os.Stdin
	os.Stdin = r
	defer func() { os.Stdin = old }()
	text := strings.Repeat("word words\n", 100_000)
	go func() {
		w.WriteString(text)
		w.Close()
	}()
	texts, err := OpenTexts(t.Context(), []File{{Path: Stdin, Named: true}})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := texts.All[0].read(func(data []byte) error {
			if string(data) != text {
				t.Errorf("%d bytes come, expected %d", len(data), len(text))
			}
			return nil
		}); err != nil {
			t.Error(err)
		}
	}
	if err := texts.Close(); err != nil {
		t.Error(err)
	}

	silent, w2, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer w2.Close()
	os.Stdin = silent
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if _, err := OpenTexts(ctx, []File{{Path: Stdin, Named: true}}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("of a silent pipe: %v", err)
	}
	w2.Close()
	os.Stdin = old // which the reader that is left no longer reads

	// A file is not copied, and read from where it stands.
	file, err := os.Open(write(t, filepath.Join(t.TempDir(), "file"), []byte("some text")))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if _, err := file.Seek(5, 0); err != nil {
		t.Fatal(err)
	}
	os.Stdin = file
	s, err := openSpool(t.Context(), Stdin)
	if err != nil || string(s.data) != "text" || s.file != nil {
		t.Errorf("of a file: %q, %v", s.data, err)
	}
	s.close()
}
