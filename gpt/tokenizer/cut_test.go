package tokenizer

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// byteVocabulary has the 256 bytes, what merges of two texts make, and added
// tokens, which change may tell more about.
func byteVocabulary(merges [][2]string, added ...string) Vocabulary {
	v := Vocabulary{Added: map[int]bool{}, Matches: map[int]Match{}}
	for b := range 256 {
		v.Tokens = append(v.Tokens, string(runeOf[b]))
	}
	for _, m := range merges {
		left, right := tokenName(m[0]), tokenName(m[1])
		v.Merges = append(v.Merges, [2]string{left, right})
		v.Tokens = append(v.Tokens, left+right)
	}
	for _, text := range added {
		id := slices.Index(v.Tokens, text)
		if id < 0 {
			id = len(v.Tokens)
			v.Tokens = append(v.Tokens, text)
		}
		v.Added[id] = strings.HasPrefix(text, "<|")
	}
	return v
}

func mustNew(tb testing.TB, v Vocabulary) *Tokenizer {
	tb.Helper()
	t, err := New(v)
	if err != nil {
		tb.Fatal(err)
	}
	return t
}

// with gives an added token of v a match.
func (v Vocabulary) with(text string, m Match) Vocabulary {
	v.Matches[slices.Index(v.Tokens, text)] = m
	return v
}

// cutTokenizers are tokenizers whose ids depend on what stands beside a text.
func cutTokenizers(tb testing.TB) map[string]*Tokenizer {
	merges := [][2]string{{"a", "b"}, {" ", "a"}, {" ", "ab"}, {"\r", "\n"}, {"\n", "\n"}, {" ", " "}, {"  ", "  "}, {"!", "!"}, {"1", "2"}, {"\xe4", "\xb8"}, {"\xe4\xb8", "\x96"}, {"'", "s"}, {"r", "e"}}
	space := byteVocabulary(merges, "<|e|>", "b\na", "a ")
	space.PrefixSpace = true
	twoPasses := byteVocabulary(merges, "<|e|>", "bc", "ab").with("ab", Match{Normalized: true})
	normalized := byteVocabulary(merges, "<|e|>", "BA", "éa").with("BA", Match{Normalized: true})
	normalized.Normalizer = []Step{{Type: "NFC"}, {Type: "Lowercase"}}
	normalized.PrefixSpace = true
	whole := byteVocabulary(merges, "<|e|>")
	whole.Tokens = append(whole.Tokens, "zz", "yzz")
	whole.IgnoreMerges = true
	all := map[string]*Tokenizer{
		"GPT-2":         gpt2(),
		"merges":        mustNew(tb, byteVocabulary(merges)),
		"newline":       mustNew(tb, byteVocabulary(merges, "<|e|>", "b\n", "b\r\n", "\n\n\na", "世 世")),
		"overlapping":   mustNew(tb, byteVocabulary(merges, "<|e|>", "ab", "abab\n", "bab", "\na")),
		"left strip":    mustNew(tb, byteVocabulary(merges, "<|e|>", "<m>").with("<m>", Match{LeftStrip: true})),
		"right strip":   mustNew(tb, byteVocabulary(merges, "<|e|>", "b").with("b", Match{RightStrip: true})),
		"strip":         mustNew(tb, byteVocabulary(merges, "a", "<|e|>").with("<|e|>", Match{LeftStrip: true, RightStrip: true})),
		"single word":   mustNew(tb, byteVocabulary(merges, "<|e|>", "ab").with("ab", Match{SingleWord: true})),
		"prefix space":  mustNew(tb, space),
		"two passes":    mustNew(tb, twoPasses),
		"normalized":    mustNew(tb, normalized),
		"ignore merges": mustNew(tb, whole),
	}
	for _, name := range []string{"llama-bpe", "gpt-4o", "deepseek-v3", "deepseek-coder", "falcon", "smollm", "superbpe"} {
		v := byteVocabulary(append(merges, [2]string{"b", " "}), "<|e|>", "b\n")
		p, _ := PreSplitOf(name)
		v.PreTokenizer, v.IgnoreMerges = p.Steps, p.IgnoreMerges
		all[name] = mustNew(tb, v)
	}
	for _, m := range []Model{TextBPE, ScoredBPE, Unigram} {
		all[m.String()] = mustNew(tb, pieceVocabulary(m, pieceMerges, "<|e|>", "b\n"))
	}
	return all
}

// cutPieces are what texts for cutting are made of.
var cutPieces = []string{
	"a", "b", "c", "ab", "abab", "z", "y", "s", "re", "ve", "ll", "A", "B", "E\u0301", "e", "\u0301", "é", "K", " ", "  ", "\n", "\r\n", "\t", "\u3000", "\u00a0", "'", "''", "'s", "'re", "!", "!!", ".",
	"1", "12", "٣", "世", "世界", "你好，", "สวัสดี", "ครับ", "ё", "👩‍🚀", "_", "\xff", "\xe4", "\xe4\xb8", "\x96", "<|e|>", "<m>", "<", "|", "e|>", "b\n", "b\na", "\n\n\na", "BA", "éa", "<|endoftext|>", "\x00",
}

// encodeCut encodes the parts that Cut makes of text, and returns how many there were.
func encodeCut(t *testing.T, tok *Tokenizer, text string, least int, opts ...Option) (ids []int, parts int) {
	t.Helper()
	for rest := text; len(rest) > 0; parts++ {
		n := tok.Cut([]byte(rest), least, opts...)
		if n < min(least, len(rest)) || n < 1 || n > len(rest) {
			t.Fatalf("Cut(%q, %d) is %d", rest, least, n)
		}
		o := opts
		if parts > 0 {
			o = append([]Option{Continued}, opts...)
		}
		ids = append(ids, mustEncode(t, tok, rest[:n], o...)...)
		rest = rest[n:]
	}
	return ids, parts
}

func checkCut(t *testing.T, tok *Tokenizer, text string, least int) int {
	t.Helper()
	most := 0
	for _, opts := range [][]Option{nil, {AllowSpecial}} {
		whole, err := tok.Encode(text, opts...)
		if err != nil {
			return most
		}
		ids, parts := encodeCut(t, tok, text, least, opts...)
		if err != nil || !slices.Equal(whole, ids) {
			t.Errorf("%q in parts of %d bytes or more, options %v, %v, -whole +parts:\n%s", text, least, opts, err, cmp.Diff(whole, ids))
		}
		most = max(most, parts)
	}
	return most
}

// TestCut encodes random texts of nasty pieces as a whole and in parts.
func TestCut(t *testing.T) {
	for name, tok := range cutTokenizers(t) {
		t.Run(name, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(1, 2))
			cuts := 0
			for range 1500 {
				some := cutPieces
				if rng.IntN(2) == 0 { // few kinds of pieces, so that they meet
					i := rng.IntN(len(cutPieces))
					some = cutPieces[i:min(len(cutPieces), i+4)]
				}
				var text strings.Builder
				for range 1 + rng.IntN(12) {
					text.WriteString(some[rng.IntN(len(some))])
				}
				cuts += checkCut(t, tok, text.String(), 1+rng.IntN(6)) - 1
				if t.Failed() {
					return
				}
			}
			least := 1000
			if !tok.gpt2Words() { // which are cut between a letter and a space alone
				least = 40
			}
			if cuts < least && name != "superbpe" || cuts > 0 && name == "superbpe" {
				t.Errorf("1500 texts were cut %d times, expected %d or more, and never for tokens that span words", cuts, least)
			}
		})
	}
}

// TestCutLengths holds parts of texts that have few spaces, or none, to a length.
func TestCutLengths(t *testing.T) {
	const least, most = 1 << 13, 1<<13 + 64
	newline := mustNew(t, byteVocabulary(nil, "<|endoftext|>", "end\n"))
	for name, c := range map[string]struct {
		tok  *Tokenizer
		text string
	}{
		"LF":           {gpt2(), "A line of text.\n"},
		"CRLF":         {gpt2(), "A line of text.\r\n"},
		"no newline":   {gpt2(), "A line of text. "},
		"blank lines":  {gpt2(), "word\n\n\n\n"},
		"Chinese":      {gpt2(), "天地玄黄宇宙洪荒日月盈昃辰宿列张"},
		"Thai":         {gpt2(), "เราทุกคนเกิดมาอย่างอิสระ"},
		"base64":       {gpt2(), "QUJD0xYz9+/Zq7Jk"},
		"token lines":  {newline, "end\n"},
		"CRLF, tokens": {newline, "end\r\n"},
		"spaces":       {gpt2(), "    "},
		"tabs":         {newline, "\t\t"},
		"no-break":     {newline, "\u00a0\u3000"},
	} {
		t.Run(name, func(t *testing.T) {
			text := strings.Repeat(c.text, 1<<17/len(c.text))
			ids, parts := encodeCut(t, c.tok, text, least)
			if want := len(text) / most; parts < want {
				t.Errorf("%d parts, want %d at least", parts, want)
			}
			if !cmp.Equal(mustEncode(t, c.tok, text), ids) {
				t.Error("the ids of the parts are not those of the whole")
			}
		})
	}
	// There is no place in a run that might be one token.
	for _, text := range []string{strings.Repeat("\n", 1<<17), strings.Repeat("=", 1<<17)} {
		if n := gpt2().Cut([]byte(text), least); n != len(text) {
			t.Errorf("%.4q... was cut at %d", text, n)
		}
	}
}

func TestEncodeContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	if ids, err := gpt2().EncodeContext(ctx, "the"); err != nil || len(ids) != 1 {
		t.Errorf("%v, %v", ids, err)
	}
	cancel()
	for name, text := range map[string]string{"words": strings.Repeat("a b ", 1<<14), "one word": strings.Repeat("the", 1<<16)} {
		if ids, err := gpt2().EncodeContext(ctx, text); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %d ids, %v, want that it was canceled", name, len(ids), err)
		}
	}
}

// looks is a context that counts how often it is looked at, and ends at a look.
type looks struct {
	context.Context
	n, end int
}

func (l *looks) Err() error {
	if l.n++; l.end > 0 && l.n >= l.end {
		return context.Canceled
	}
	return nil
}

// TestLooks has Encode of one long word and the training of a tokenizer look at the
// context all the time, not only now and then.
func TestLooks(t *testing.T) {
	const size, every = 1 << 20, 1 << 16
	tok := mustNew(t, byteVocabulary([][2]string{{"a", "b"}}))
	var distinct strings.Builder
	for i := range size / 8 {
		distinct.WriteString(" zy")
		for n := i; n > 0; n /= 16 {
			distinct.WriteByte(byte('a' + n%16))
		}
	}
	words := distinct.String()
	for name, c := range map[string]struct {
		least int
		do    func(ctx context.Context) error
	}{
		"nothing to merge": {2 * size / every, func(ctx context.Context) error {
			_, err := tok.EncodeContext(ctx, strings.Repeat("z", size))
			return err
		}},
		"merges": {5 * size / 2 / every, func(ctx context.Context) error {
			_, err := tok.EncodeContext(ctx, strings.Repeat("ab", size/2))
			return err
		}},
		"counting pairs": {size / 2 / every, func(ctx context.Context) error {
			_, err := corpusOf(t, nil, strings.Repeat("z", size)).TrainBPE(ctx, BPEOptions{VocabSize: 256})
			return err
		}},
		"one merge of many words": {size/every + len(words)/2/every, func(ctx context.Context) error {
			_, err := corpusOf(t, nil, words).TrainBPE(ctx, BPEOptions{VocabSize: 257})
			return err
		}},
	} {
		t.Run(name, func(t *testing.T) {
			all := &looks{Context: t.Context()}
			if err := c.do(all); err != nil || all.n < c.least {
				t.Fatalf("%d looks, %v, expected %d or more", all.n, err, c.least)
			}
			for _, end := range []int{1, all.n / 2, all.n} {
				l := &looks{Context: t.Context(), end: end}
				if err := c.do(l); !errors.Is(err, context.Canceled) || l.n > end+3 { // which the error itself takes
					t.Errorf("it ends at look %d: %v after %d looks", end, err, l.n)
				}
			}
		})
	}
}

// FuzzCut is TestCut for texts that the fuzzer makes.
func FuzzCut(f *testing.F) {
	for _, text := range hardCases {
		f.Add(text, 3)
	}
	for _, text := range cutPieces {
		f.Add(text+"a"+text, 1)
	}
	all := cutTokenizers(f)
	f.Fuzz(func(t *testing.T, text string, least int) {
		for _, tok := range all {
			checkCut(t, tok, text, max(1, least))
		}
	})
}
