package tokenizer

import (
	"math/rand"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

func TestKnownAnswers(t *testing.T) {
	for _, c := range []struct {
		text string
		want []int
	}{
		{"", nil},
		{"Hello world", []int{15496, 995}},
		{" Hello", []int{18435}},
		{"Hello, my dog is cute", []int{15496, 11, 616, 3290, 318, 13779}},
		{" ", []int{220}},
		{"\n\n", []int{628}},
		{"don't", []int{9099, 470}},
		{"\x00", []int{188}},
		{"\x7f", []int{221}},
	} {
		if diff := cmp.Diff(c.want, mustEncode(t, gpt2(), c.text), equateEmpty); diff != "" {
			t.Errorf("Encode(%q), -want +got:\n%s", c.text, diff)
		}
	}
	if n := gpt2().VocabSize(); n != 50257 {
		t.Errorf("VocabSize is %d, want 50257", n)
	}
	if id, ok := gpt2().SpecialID("<|endoftext|>"); id != 50256 || !ok {
		t.Errorf("SpecialID(<|endoftext|>) is %d, %v, want 50256, true", id, ok)
	}
	if _, ok := gpt2().SpecialID(" Hello"); ok {
		t.Error("SpecialID(\" Hello\") is a special token")
	}
	if s, ok := gpt2().Token(18435); s != " Hello" || !ok {
		t.Errorf("Token(18435) is %q, %v, want \" Hello\", true", s, ok)
	}
	for _, id := range []int{-1, 50257} {
		if s, ok := gpt2().Token(id); ok {
			t.Errorf("Token(%d) is %q, want none", id, s)
		}
	}
}

func TestSmallModel(t *testing.T) {
	tok, err := Load("testdata/austen")
	if err != nil {
		t.Fatal(err)
	}
	const text = "It is a truth universally acknowledged"
	want := []int{1029, 363, 258, 1896, 469, 72, 1173, 551, 1775, 730, 784}
	if diff := cmp.Diff(want, mustEncode(t, tok, text)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if got, err := tok.Decode(want); got != text || err != nil {
		t.Errorf("Decode gives %q, %v", got, err)
	}
	if id, _ := tok.SpecialID("<|endoftext|>"); id != 2047 || tok.VocabSize() != 2048 {
		t.Errorf("<|endoftext|> is %d of %d, want 2047 of 2048", id, tok.VocabSize())
	}
}

// hardCases are texts on which tokenizers tend to differ.
var hardCases = []string{
	// Contractions: lower case and ASCII apostrophes only, and also where no word precedes.
	"don't can't won't we're you've I'm they'll he'd it's", "DON'T CAN'T WE'RE I'M IT'S", "'s 't 're", "''s", "'''s'''", " 's", "  's", "'ss", "'r", "'re've'll",
	"rock 'n' roll", "don’t it’s", "'S 'Re", "x'sx", "1's", "!'s", "'", "' ", "'\n", "'l", "'v", "'lll",
	// White space.
	" ", "  ", "   ", "\t", "\n", "\r\n", "\r\n\r\n", "\n\n\n", " \n", "\n ", " \n a", "a ", "a  ", "a   ", " a", "  a", "   a", "\ta", "\t\ta", " \ta", "\t a", "a\t b",
	"a\r\nb", "a \r\n b", "a\n\nb", "trailing   \n", "    if x:\n        return  y\n", "\v\f\x1c\x1d\x1e\x1f", "a\x1cb", "a\x85b", "\u0085", "a\u0085\u0085 b", "\u00a0", "a\u00a0b",
	"\u00a0\u00a0a", " \u00a0a", "\u00a0 a", "\u180e", "a\u180eb", "\u1680\u2000\u2001\u2002\u200a\u2028\u2029\u202f\u205f\u3000", "a\u3000b", "a\u3000\u3000b", "\u200b", "a\u200bb", "\ufeff", "\ufeffBOM", "\u2028a",
	// Numbers: digits of any script, fractions, Roman numerals, superscripts.
	"1234567890", " 12 345", "3.14", "1,000,000", "٣٤٥", "１２３", "½⅓", "Ⅻ", "x²", "²", "10⁻³", "०१२", "①②", "a1b2", "1a", "𝟘𝟙",
	// Letters.
	"naïve café", "nai\u0308ve cafe\u0301", "\u0301", "\u0301a", " \u0301", "ß ſ K Å", "Привет, мир!", "שלום", "مرحبا بالعالم", "สวัสดี", "हिन्दी में", "ǅ", "ʰ", "ª", "ᎠᏯ", "𝒜𝓑", "𐐷",
	// CJK, kana, hangul.
	"你好，世界", "こんにちは世界", "안녕하세요", "각", "㐀𠀀", "カﾀｶﾅ", "〆々〇", "你好 世界",
	// Emoji and their joiners, selectors, flags, tags, skin tones.
	"😀", "😀😀", " 😀", "👩‍👩‍👧‍👦", "🏳️‍🌈", "🇩🇪🇫🇷", "👍🏽", "❤️", "1️⃣", "🏴\U000e0067\U000e0062\U000e007f", "a😀b", "☃", "©®™",
	// Symbols and mixtures.
	"!!!", " !!!", "...", "…", "$100", "a_b", "_", "foo.bar(baz)", "http://example.com/?q=1&r=%20", "<|endoftext|>", "<|endoftext|", "a<|endoftext|>b", "C++ C#", "¿Qué?", "«a»", "„a“", "—", "a—b", "+-*/=", "€£¥",
	"\x00", "\x00\x00", "a\x00b", " \x00", "\x7f", "\u0080\u009f", "\u00ad", "\ufffd", "\ufffe\uffff", "\U0010ffff", "\ue000", "\u0378",
	// Runs.
	strings.Repeat("a", shortWord-1), strings.Repeat("a", shortWord), strings.Repeat("a", shortWord+1), strings.Repeat("a", 1000), strings.Repeat("ab", 500), strings.Repeat(" ", 1000), strings.Repeat(" ", 1000) + "x",
	strings.Repeat("\n", 300), strings.Repeat("=", 700), strings.Repeat("7", 500), strings.Repeat("你", 400), strings.Repeat("😀", 200), strings.Repeat("\u0301", 300),
	strings.Repeat("abcdefghijklmnopqrstuvwxyz", 40), strings.Repeat("Donaudampfschifffahrt", 30), strings.Repeat("\x00", 300), strings.Repeat("-=", 200), strings.Repeat("the", 100), strings.Repeat("'s", 50),
	// Not UTF-8.
	"\xff", "a\xffb", " \xff", "\xff\xff\xff", "\xc3", "\xc3\x28", "\xe2\x82", "\xe2\x82 a", "a\xf0\x9f\x98", "\xed\xa0\x80", "\xc0\x80", "\xf5\x80\x80\x80", "é\xc3é", "\xff's", "\x80\x80",
}

func TestEqualsTiktoken(t *testing.T) {
	for _, text := range hardCases {
		if !utf8.ValidString(text) {
			continue // TestInvalidUTF8
		}
		if diff := diffTiktoken(t, text, mustEncode(t, gpt2(), text)); diff != "" {
			t.Errorf("Encode(%.60q), -tiktoken +got:\n%s", text, diff)
		}
	}
	all := strings.ToValidUTF8(strings.Join(hardCases, "\n "), "")
	if diff := diffTiktoken(t, all, mustEncode(t, gpt2(), all)); diff != "" {
		t.Errorf("all cases joined, -tiktoken +got:\n%s", diff)
	}
}

// TestLongTexts has words that repeat, which the cache serves, and words of a
// megabyte, which would take hours if merging were quadratic.
func TestLongTexts(t *testing.T) {
	for name, text := range map[string]string{
		"prose":   prose(),
		"one a":   strings.Repeat("a", 1<<20),
		"letters": strings.Repeat("qzxjkvbwpfyg", 1<<16),
		"spaces":  strings.Repeat(" ", 1<<18) + "x",
	} {
		if diff := diffTiktoken(t, text, mustEncode(t, gpt2(), text)); diff != "" {
			t.Errorf("%s, -tiktoken +got:\n%.2000s", name, diff)
		}
	}
}

// checkCache compares the ids of text with and without a cache.
func checkCache(t *testing.T, tok *Tokenizer, text string) {
	t.Helper()
	without := encoder{t: tok, ctx: t.Context()}
	if err := without.encode(text, false, false); err != nil {
		t.Fatal(err)
	}
	with := encoder{t: tok, ctx: t.Context(), cache: new(wordCache)}
	if err := with.encode(text, false, false); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(without.ids, with.ids, equateEmpty); diff != "" {
		t.Errorf("Encode(%.60q), -without cache +with:\n%.2000s", text, diff)
	}
}

func TestCache(t *testing.T) {
	// Words that differ in length or in bytes beyond the first eight only.
	var b strings.Builder
	for range 2 {
		for _, w := range []string{"\x00", "\x00\x00", "\x00\x00\x00", "aaaaaaaa", "aaaaaaaaa", "aaaaaaaab", "aaaaaaaaaaaaaaaa", "aaaaaaaaaaaaaaaaa", "aaaaaaaaaaaaaaab"} {
			b.WriteString(w + " 1")
		}
	}
	checkCache(t, gpt2(), b.String())
	checkCache(t, gpt2(), strings.Repeat(strings.Join(hardCases, " "), 2))
}

// TestMixtures puts pieces of the hard cases next to each other at random.
func TestMixtures(t *testing.T) {
	rng := rand.New(rand.NewSource(1))
	for range 2000 {
		var b strings.Builder
		for range 1 + rng.Intn(12) {
			runes := []rune(hardCases[rng.Intn(len(hardCases))])
			from := rng.Intn(len(runes))
			b.WriteString(string(runes[from:min(len(runes), from+1+rng.Intn(6))]))
		}
		text := b.String()
		if diff := diffTiktoken(t, text, mustEncode(t, gpt2(), text)); diff != "" {
			t.Errorf("Encode(%q), -tiktoken +got:\n%s", text, diff)
		}
	}
}

// TestInvalidUTF8 shows that bytes outside UTF-8 are symbols and stay as they are.
func TestInvalidUTF8(t *testing.T) {
	for _, c := range []struct {
		text string
		want []int
	}{
		{"\xff", []int{187}},
		{"a\xffb", []int{64, 187, 65}},
		{" \xff's", []int{220, 187, 6, 82}},
		{"!!\xe2\x82!!", []int{3228, 158, 224, 3228}},
	} {
		got := mustEncode(t, gpt2(), c.text)
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("Encode(%q), -want +got:\n%s", c.text, diff)
		}
	}
	for _, text := range hardCases {
		if b, err := gpt2().DecodeBytes(mustEncode(t, gpt2(), text)); string(b) != text || err != nil {
			t.Errorf("DecodeBytes(Encode(%.60q)) is %.60q, %v", text, b, err)
		}
	}
}

// TestEveryCharacter encodes each of Unicode's characters in the places where
// its class counts, but for most of the planes that have none.
func TestEveryCharacter(t *testing.T) {
	for _, block := range [][2]rune{{0, 0x3ffff}, {0xe0000, 0xe0fff}, {0x10f000, 0x10ffff}} {
		for from := block[0]; from < block[1]; from += 0x1000 {
			var b strings.Builder
			for r := from; r < from+0x1000; r++ {
				b.WriteString("a1 ")
				b.WriteRune(r)
				b.WriteString("a")
				b.WriteRune(r)
			}
			if diff := diffTiktoken(t, b.String(), mustEncode(t, gpt2(), b.String())); diff != "" {
				t.Errorf("U+%04X to U+%04X, -tiktoken +got:\n%.2000s", from, from+0xfff, diff)
			}
		}
	}
}

// TestTokensEncodeToThemselves also shows that the reference's short cut,
// looking whole words up in the vocabulary, changes nothing.
func TestTokensEncodeToThemselves(t *testing.T) {
	for id := range gpt2().VocabSize() {
		text, _ := gpt2().Token(id)
		if wordLen(text) < len(text) {
			continue // words never join: only <|endoftext|> and tokens like it
		}
		if got := mustEncode(t, gpt2(), text); len(got) != 1 || got[0] != id {
			t.Errorf("token %d, %q, is encoded as %v", id, text, got)
		}
	}
}

func TestAllowSpecial(t *testing.T) {
	const eot = "<|endoftext|>"
	for _, c := range []struct {
		text string
		want []int // with AllowSpecial
	}{
		{eot, []int{50256}},
		{"Hello" + eot + " Hello", []int{15496, 50256, 18435}},
		{eot + eot, []int{50256, 50256}},
		{"<" + eot + ">", []int{27, 50256, 29}},
		{"<|endoftext|", []int{27, 91, 437, 1659, 5239, 91}},
		// White space before a special token is at the end of its part.
		{"a  " + eot + "b", []int{64, 220, 220, 50256, 65}},
	} {
		if diff := cmp.Diff(c.want, mustEncode(t, gpt2(), c.text, AllowSpecial)); diff != "" {
			t.Errorf("Encode(%q, AllowSpecial), -want +got:\n%s", c.text, diff)
		}
		// tiktoken-go's Encode takes the text of special tokens as ordinary.
		if diff := diffTiktoken(t, c.text, mustEncode(t, gpt2(), c.text)); diff != "" {
			t.Errorf("Encode(%q), -tiktoken +got:\n%s", c.text, diff)
		}
	}
}

func TestAddedTokens(t *testing.T) {
	tok, err := LoadFS(files("tokenizer.json", `{
		"added_tokens": [
			{"id": 3, "content": "<x>", "special": true},
			{"id": 4, "content": "<x><x>", "special": true},
			{"id": 5, "content": "bé b", "special": false}
		],
		"pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false},
		"model": {"vocab": {"a": 0, "b": 1, "aa": 2, "<": 6, ">": 7, "x": 8}, "merges": ["a a"]}
	}`), ".")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		text string
		opts []Option
		want []int
	}{
		{"aaa", nil, []int{2, 0}},
		{"<x>", nil, []int{6, 8, 7}},
		{"<x>", []Option{AllowSpecial}, []int{3}},
		{"a<x><x><x>a", []Option{AllowSpecial}, []int{0, 4, 3, 0}},
		{"abé ba", nil, []int{0, 5, 0}},
		{"abé b<x>", []Option{AllowSpecial}, []int{0, 5, 3}},
	} {
		if diff := cmp.Diff(c.want, mustEncode(t, tok, c.text, c.opts...)); diff != "" {
			t.Errorf("Encode(%q, %v), -want +got:\n%s", c.text, c.opts, diff)
		}
		if got, err := tok.Decode(c.want); got != c.text || err != nil {
			t.Errorf("Decode(%v) is %q, %v, want %q", c.want, got, err, c.text)
		}
	}
	if _, ok := tok.SpecialID("bé b"); ok {
		t.Error("an ordinary added token passes for a special one")
	}
}

func TestMissingByte(t *testing.T) {
	tok, err := LoadFS(files("vocab.json", `{"a": 0, "Ġ": 1, "Ġa": 2}`, "merges.txt", "Ġ a\n"), ".")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]int{0, 2, 2}, mustEncode(t, tok, "a a a")); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	_, err = tok.Encode("a aé")
	const want = "byte 0xc3 at offset 3 of the text"
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("error is %v, want one with %q", err, want)
	}
}

// TestMergesOfEitherAlgorithm holds both ways of merging against the plain
// definition, also with merges whose ranks no training would give.
func TestMergesOfEitherAlgorithm(t *testing.T) {
	odd, err := LoadFS(files(
		"vocab.json", `{"a": 0, "b": 1, "c": 2, "aa": 3, "ab": 4, "abc": 5, "aaa": 6, "bc": 7, "aab": 8, "abab": 9, "aaaa": 10}`,
		"merges.txt", "ab c\naa aa\na aa\naa a\na bc\na a\nab ab\nb c\na b\naa b\na ab\n"), ".")
	if err != nil {
		t.Fatal(err)
	}
	words := []string{"a", "ab", "abc", "aabcabaaab", "cab", "aaaaaaa", "abababab", "bcbcbcaaaabc", "aaabaaabcaabcb", strings.Repeat("aabcab", 10)}
	for _, w := range words {
		checkMerges(t, odd, w)
	}
	for _, w := range hardCases {
		checkMerges(t, gpt2(), w)
	}
}

// checkMerges merges all of w as if it were one word.
func checkMerges(t *testing.T, tok *Tokenizer, w string) {
	t.Helper()
	want := mergePlainly(tok, w)
	long := encoder{t: tok, ctx: t.Context()}
	for i := range len(w) {
		long.symbols = append(long.symbols, tok.bytes[w[i]])
	}
	if err := long.mergeLong(); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, long.ids, equateEmpty); diff != "" {
		t.Errorf("mergeLong(%.60q), -want +got:\n%s", w, diff)
	}
	if 0 < len(w) && len(w) <= shortWord {
		short := encoder{t: tok, ctx: t.Context()}
		if err := short.mergeBytes(w); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, short.ids); diff != "" {
			t.Errorf("mergeShort(%.60q), -want +got:\n%s", w, diff)
		}
	}
}

// mergePlainly is the definition: while any pair has a merge, apply the one of
// lowest rank, leftmost first.
func mergePlainly(t *Tokenizer, w string) []int {
	var ids []int
	for i := range len(w) {
		ids = append(ids, int(t.bytes[w[i]]))
	}
	for {
		best, rank, result := 0, int32(noMerge), int32(0)
		for i := range max(len(ids), 1) - 1 {
			if r, to := t.merges.find(int32(ids[i]), int32(ids[i+1])); r < rank {
				best, rank, result = i, r, to
			}
		}
		if rank == noMerge {
			return ids
		}
		ids[best] = int(result)
		ids = slices.Delete(ids, best+1, best+2)
	}
}

func TestConcurrentUse(t *testing.T) {
	text := strings.Join(hardCases, " ")
	want := mustEncode(t, gpt2(), text)
	done := make(chan bool)
	for range 4 {
		go func() {
			got, err := gpt2().Encode(text)
			done <- err == nil && slices.Equal(got, want)
		}()
	}
	for range 4 {
		if !<-done {
			t.Error("Encode differs between goroutines")
		}
	}
}
