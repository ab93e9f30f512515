package tokenizer

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

// shakespeare has the characters of tiny Shakespeare, nanoGPT's text: 65.
const shakespeare = "\n !$&',-.3:;?ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// TestCharactersAsNanoGPT gives the ids that Karpathy's lecture "Let's build GPT"
// shows for this text, from the recipe that nanoGPT's data/shakespeare_char has.
func TestCharactersAsNanoGPT(t *testing.T) {
	v, err := corpusOf(t, nil, reversed(shakespeare)).Characters()
	if err != nil {
		t.Fatal(err)
	}
	tok, parts, _ := bothFiles(t, v)
	for _, tok := range []*Tokenizer{tok, parts} {
		got := mustEncode(t, tok, "hii there")
		if diff := cmp.Diff([]int{46, 47, 47, 1, 58, 46, 43, 56, 43}, got); diff != "" || tok.VocabSize() != 65 {
			t.Errorf("of %d tokens (-want +got):\n%s", tok.VocabSize(), diff)
		}
	}
}

// checkCharacters makes a vocabulary of the characters of text: its ids are the
// order of code points, and a character is one token wherever it is.
func checkCharacters(t *testing.T, special []string, text string) Vocabulary {
	t.Helper()
	v, err := corpusOf(t, special, text).Characters()
	if err != nil {
		t.Fatal(err)
	}
	seen := map[rune]bool{}
	for _, r := range text {
		seen[r] = true
	}
	order := slices.Sorted(maps.Keys(seen))
	whole, parts, _ := bothFiles(t, v)
	characters := []rune(text)
	other := slices.Clone(characters)
	slices.Reverse(other)
	for _, s := range []string{text, string(other), string(append(characters, other...))} {
		var want []int
		for _, r := range s {
			id, _ := slices.BinarySearch(order, r)
			want = append(want, id)
		}
		for _, tok := range []*Tokenizer{whole, parts} {
			got := mustEncode(t, tok, s)
			if diff := cmp.Diff(want, got, equateEmpty); diff != "" {
				t.Fatalf("%q (-want +got):\n%s", s, diff)
			}
			if back, err := tok.Decode(got); err != nil || back != s {
				t.Fatalf("%q comes back as %q, %v", s, back, err)
			}
		}
	}
	return v
}

func TestCharacters(t *testing.T) {
	for _, text := range []string{
		"a", "\x00\x7f", "é", "ééa è", "Ġthe Ċ\n", "世界 世", "😀😁 👩‍🚀", "\ufffd", "£ 5\u00a0\u3000x",
		strings.ReplaceAll(strings.ToValidUTF8(strings.Join(hardCases, "\n"), ""), endOfText, ""),
	} {
		checkCharacters(t, nil, text)
		checkCharacters(t, []string{endOfText, "<pad>"}, text)
	}
	// Of é the two bytes are tokens as well; of 世 and 且 the bytes and the start they share.
	v := checkCharacters(t, []string{endOfText}, "aé 世且")
	want := []string{"Ġ", "a", "Ã©", "ä¸ĸ", "ä¸Ķ", "Ķ", "ĸ", "©", "¸", "Ã", "ä", "ä¸", endOfText}
	sort := func(s []string) []string { s = slices.Clone(s); slices.Sort(s); return s }
	if diff := cmp.Diff(sort(want), sort(v.Tokens)); diff != "" || v.Tokens[0] != "Ġ" || v.Tokens[12] != endOfText {
		t.Errorf("tokens %q (-want +got):\n%s", v.Tokens, diff)
	}
	if len(v.Merges) != 4 { // Ã ©, ä ¸, ä¸ ĸ, ä¸ Ķ
		t.Errorf("merges %q", v.Merges)
	}
}

// TestOtherCharacters encodes what the texts did not have: an error that names it,
// unless all its bytes are tokens, and then those.
func TestOtherCharacters(t *testing.T) {
	v, err := corpusOf(t, []string{endOfText}, "aé 世\u3000").Characters()
	if err != nil {
		t.Fatal(err)
	}
	tok, err := New(v)
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{
		"a b":      `byte 0x62 at offset 2 of the text, in " b": the vocabulary has no token for it`,
		"aéüa":     `byte 0xbc at offset 4 of the text, in "aéüa"`,
		"😀":        `byte 0xf0 at offset 0 of the text, in "😀"`,
		"é\xff":    `byte 0xff at offset 2`,
		endOfText:  `byte 0x3c at offset 0`,
		"a\u00a0a": "byte 0xc2 at offset 1",
	} {
		if _, err := tok.Encode(text); err == nil || !strings.Contains(err.Error(), want) || !utf8.ValidString(err.Error()) {
			t.Errorf("%q: error %v, want one with %q", text, err, want)
		}
	}
	const pieces = "\u4000" // e4 80 80, of which 世 (e4 b8 96) and U+3000 (e3 80 80) have the bytes
	ids := mustEncode(t, tok, pieces)
	if back, err := tok.Decode(ids); err != nil || back != pieces || len(ids) != 3 {
		t.Errorf("%q is %v, and comes back as %q, %v", pieces, ids, back, err)
	}
	if diff := cmp.Diff([]int{0, tok.VocabSize() - 1}, mustEncode(t, tok, " "+endOfText, AllowSpecial)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
