package tokenizer

import (
	"slices"
	"strings"
	"testing"
)

// pieceVocabulary is a small tokenizer of texts: "▁" before words, bytes, and what
// merges of two texts make.
func pieceVocabulary(m Model, merges [][2]string, added ...string) Vocabulary {
	v := Vocabulary{
		Model: m, Unknown: "<unk>", FuseUnknown: m != Unigram, ByteFallback: m == TextBPE, Added: map[int]bool{0: true}, Matches: map[int]Match{}, Tokens: []string{"<unk>"},
		Normalizer: []Step{{Type: prepend, Content: spaceMark}, {Type: replace, Pattern: " ", Content: spaceMark}},
		Decoder:    []Step{{Type: replace, Pattern: spaceMark, Content: " "}, {Type: byteFallback}, {Type: fuse}, {Type: strip, Content: " ", Start: 1}},
	}
	if m != Unigram {
		for b := range 256 {
			v.Tokens = append(v.Tokens, byteName(b))
		}
	}
	add := func(s string) {
		if !slices.Contains(v.Tokens, s) {
			v.Tokens = append(v.Tokens, s)
		}
	}
	for _, p := range merges {
		for _, r := range p[0] + p[1] {
			add(string(r))
		}
	}
	for _, p := range merges {
		add(p[0] + p[1])
	}
	for _, s := range added {
		add(s)
		v.Added[slices.Index(v.Tokens, s)] = strings.HasPrefix(s, "<|")
	}
	if m == TextBPE {
		v.Merges = merges
		return v
	}
	for id := range v.Tokens {
		v.Scores = append(v.Scores, -float64(len(v.Tokens))/10-float64(id)/10)
	}
	for i, p := range merges {
		v.Scores[slices.Index(v.Tokens, p[0]+p[1])] = -float64(i) / 10
	}
	return v
}

// pieceMerges are merges of texts.
var pieceMerges = [][2]string{{"▁", "a"}, {"a", "b"}, {"▁a", "b"}, {"▁", "▁"}, {"▁▁", "▁▁"}, {"世", "界"}, {"e", "\u0301"}, {"b", "c"}, {"\n", "\n"}, {"1", "2"}, {"s", "▁"}, {"l", "l"}, {"▁", "ll"}, {"a", "a"}, {"aa", "aa"}, {"aaaa", "aaaa"}}

// TestPieces has known answers of the models whose tokens are texts.
func TestPieces(t *testing.T) {
	for _, c := range []struct {
		text string
		want string // names of tokens
	}{
		{"", ""},
		{"ab", "▁ab"},
		{"abc", "▁ab c"},
		{" ab", "▁ ▁ab"},
		{"世界é", "▁ 世界 <0xC3> <0xA9>"},
		{"e\u0301", "▁ e\u0301"},
		{"ab<|e|>ab", "▁ab <|e|> ▁ab"},
		{"ls  a", "▁ l s▁ ▁a"},
		{"aaaaaaaaa", "▁a aaaaaaaa"},
		{"\xff\xfe", "▁ <0xFF> <0xFE>"},
		{"\U0001f999", "▁ <0xF0> <0x9F> <0xA6> <0x99>"},
	} {
		for _, m := range []Model{TextBPE, ScoredBPE} {
			tok := mustNew(t, pieceVocabulary(m, pieceMerges, "<|e|>"))
			var names []string
			for _, id := range mustEncode(t, tok, c.text, AllowSpecial) {
				names = append(names, tok.names[id])
			}
			if got := strings.Join(names, " "); got != c.want {
				t.Errorf("%v: %+q becomes %s, want %s", m, c.text, got, c.want)
			}
		}
	}
	// Special tokens are text unless asked for: "<" and others are bytes here.
	tok := mustNew(t, pieceVocabulary(ScoredBPE, pieceMerges, "<|e|>"))
	for _, id := range mustEncode(t, tok, "<|e|><unk>") {
		if _, special := tok.SpecialID(tok.names[id]); special {
			t.Errorf("special token %q of a text", tok.names[id])
		}
	}
	// Also where merges could make them.
	v := pieceVocabulary(ScoredBPE, append(pieceMerges, [2]string{"<", "s"}, [2]string{"<s", ">"}))
	v.Added[slices.Index(v.Tokens, "<s>")] = true
	tok = mustNew(t, v)
	if ids := mustEncode(t, tok, "<s>"); slices.Contains(ids, slices.Index(v.Tokens, "<s>")) {
		t.Errorf("<s> becomes %v, with the special token", ids)
	}
	if ids := mustEncode(t, tok, "<s>", AllowSpecial); !slices.Equal(ids, []int{slices.Index(v.Tokens, "<s>")}) {
		t.Errorf("<s> becomes %v where special tokens are allowed", ids)
	}
}

// TestUnknownPieces has characters without token, of a tokenizer without bytes.
func TestUnknownPieces(t *testing.T) {
	v := pieceVocabulary(Unigram, pieceMerges)
	tok := mustNew(t, v)
	for text, want := range map[string][]string{"xyz": {"▁", "<unk>"}, "xaby\xff": {"▁", "<unk>", "ab", "<unk>"}, "x y": {"▁", "<unk>", "▁", "<unk>"}, "<unk>": {"▁", "<unk>"}} {
		var names []string
		for _, id := range mustEncode(t, tok, text) {
			names = append(names, tok.names[id])
		}
		if !slices.Equal(names, want) {
			t.Errorf("%q becomes %q, want %q", text, names, want)
		}
	}
	v.Unknown = ""
	if ids, err := mustNew(t, v).Encode("xyz"); err == nil || !strings.Contains(err.Error(), `byte 0x78`) {
		t.Errorf("without unknown token: %v, %v", ids, err)
	}
}

// TestLongRuns has texts that nothing cuts, which would take hours if the time were
// quadratic.
func TestLongRuns(t *testing.T) {
	for name, text := range map[string]string{"a": strings.Repeat("a", 1<<18), "spaces": strings.Repeat(" ", 1<<18), "bytes": strings.Repeat("\x01", 1<<17), "words": strings.Repeat("ab", 1<<17), "ideographs": strings.Repeat("世", 1<<16)} {
		for _, m := range []Model{TextBPE, ScoredBPE, Unigram} {
			tok := mustNew(t, pieceVocabulary(m, pieceMerges))
			ids := mustEncode(t, tok, text)
			if back, err := tok.DecodeBytes(ids); err != nil || m != Unigram && string(back) != text {
				t.Errorf("%v: %s is decoded to another text, %v", m, name, err)
			}
		}
		for _, names := range preSplits {
			p := names.PreSplit
			for _, s := range p.Steps {
				if s.Type == split && s.byHand() == nil {
					text = text[:1<<13] // a regular expression
				}
			}
			v := byteVocabulary([][2]string{{"a", "a"}, {"aa", "aa"}, {" ", " "}})
			v.PreTokenizer = p.Steps
			mustEncode(t, mustNew(t, v), text)
		}
	}
}

// TestPreSplits checks that each name of a way to cut text can be made, is found again
// from its steps, and loses no text.
func TestPreSplits(t *testing.T) {
	text := strings.Join(hardCases, " ") + "USA's HTTPServer 12345678 1234x abc def a/b//\n\n IMGIMGABZ <sentinel:12> 世界 foo"
	count := 0
	for _, p := range preSplits {
		for _, name := range p.names {
			got, ok := PreSplitOf(name)
			if !ok {
				t.Fatalf("%s is not found", name)
			}
			count++
			v := byteVocabulary([][2]string{{"a", "a"}})
			v.PreTokenizer, v.IgnoreMerges = got.Steps, got.IgnoreMerges
			tok := mustNew(t, v)
			if again, ok := tok.Vocabulary().PreSplitName(); !ok {
				t.Errorf("%s has no name", name)
			} else if same, _ := PreSplitOf(again); !slices.Equal(same.Steps, got.Steps) {
				t.Errorf("%s is found as %s", name, again)
			}
			if back, err := tok.DecodeBytes(mustEncode(t, tok, text)); string(back) != text || err != nil {
				t.Errorf("%s: the text is changed, %v", name, err)
			}
		}
	}
	if count < 86 {
		t.Errorf("%d names", count)
	}
}

// TestHostileSteps has steps with which a text would become endless, or its encoding.
func TestHostileSteps(t *testing.T) {
	double := Step{Type: replace, Pattern: "a", Content: "aa"}
	for name, c := range map[string]struct {
		change func(v *Vocabulary)
		want   string
	}{
		"a text that doubles": {func(v *Vocabulary) { v.Normalizer = slices.Repeat([]Step{double}, 60) }, "normalizer: a text becomes more than 64 times as long"},
		"a text that doubles by pattern": {func(v *Vocabulary) {
			v.Normalizer = slices.Repeat([]Step{{Type: replace, Pattern: "a|b", Regex: true, Content: "aaaa"}}, 60)
		}, "a text becomes more than 64 times as long"},
		"a slow pattern": {func(v *Vocabulary) {
			v.PreTokenizer = []Step{{Type: split, Pattern: "(a|aa)+$", Regex: true, Behavior: isolated}, {Type: byteLevel}}
		}, "takes more than 2s in a text of"},
		"long content": {func(v *Vocabulary) { v.Normalizer = []Step{{Type: prepend, Content: strings.Repeat("a", 300)}} }, "has a content of 300 bytes"},
		"tokens that double": {func(v *Vocabulary) {
			*v = pieceVocabulary(TextBPE, pieceMerges)
			v.Tokens = append(v.Tokens, strings.Repeat("a", 500))
			v.Decoder = slices.Repeat([]Step{double}, 60)
		}, "decoder: a text becomes more than 64 times as long"},
	} {
		v := byteVocabulary([][2]string{{"a", "a"}})
		c.change(&v)
		tok, err := New(v)
		if err == nil {
			_, err = tok.Encode(strings.Repeat("a", 1000) + "b")
		}
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %.200v, want an error with %q", name, err, c.want)
		}
	}
}
