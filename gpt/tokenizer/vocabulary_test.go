package tokenizer

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
)

// reload puts a tokenizer together again from what it is made of, and from the
// files of that.
func reload(t *testing.T, tok *Tokenizer) (made, loaded *Tokenizer, names []string) {
	t.Helper()
	v := tok.Vocabulary()
	made, err := New(v)
	if err != nil {
		t.Fatal(err)
	}
	contents, err := v.Files()
	if err != nil {
		t.Fatal(err)
	}
	fsys := fstest.MapFS{}
	for name, data := range contents {
		fsys[name] = &fstest.MapFile{Data: data}
		names = append(names, name)
	}
	if loaded, err = LoadFS(fsys, "."); err != nil {
		t.Fatal(err)
	}
	for _, other := range []*Tokenizer{made, loaded} {
		if diff := cmp.Diff(v, other.Vocabulary()); diff != "" {
			t.Errorf("its vocabulary differs (-want +got):\n%s", diff)
		}
	}
	return made, loaded, names
}

// TestVocabularyOfGPT2 writes the very files that OpenAI published, and holds
// what is made of them to the reference implementation.
func TestVocabularyOfGPT2(t *testing.T) {
	vocab, merges := gpt2Files()
	contents, err := gpt2().Vocabulary().Files()
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(contents["merges.txt"], merges) {
		t.Error("merges.txt differs from the published one")
	}
	var got, want map[string]int
	if err := json.Unmarshal(contents["vocab.json"], &got); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(vocab, &want); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("vocab.json differs from the published one:\n%.1000s", diff)
	}
	made, loaded, _ := reload(t, gpt2())
	const text = "It's naïve — 世界 👩‍🚀\tof  1234 <|endoftext|>\n\n"
	for _, tok := range []*Tokenizer{made, loaded} {
		ids, err := tok.Encode(text)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(tiktoken(t, text), ids); diff != "" {
			t.Errorf("ids differ from the reference:\n%s", diff)
		}
		if id, ok := tok.SpecialID(endOfText); !ok || id != 50256 {
			t.Errorf("%s is %d, %v", endOfText, id, ok)
		}
	}
}

// TestVocabularyFiles picks the files that can tell what a tokenizer is made of.
func TestVocabularyFiles(t *testing.T) {
	tokens := []string{"a", "b", "Ġ", "Ġa", "<|endoftext|>", "世", "<x y>"}
	merges := [][2]string{{"Ġ", "a"}}
	for name, c := range map[string]struct {
		added map[int]bool
		files string
	}{
		"GPT-2's":            {map[int]bool{4: true}, "merges.txt vocab.json"},
		"nothing added":      {map[int]bool{}, "tokenizer.json"}, // a vocab.json would make token 4 special
		"not special":        {map[int]bool{4: false}, "tokenizer.json"},
		"another":            {map[int]bool{4: true, 6: true}, "tokenizer.json"},
		"ordinary and other": {map[int]bool{5: false, 6: true}, "tokenizer.json"},
	} {
		t.Run(name, func(t *testing.T) {
			tok, err := New(Vocabulary{Tokens: tokens, Merges: merges, Added: c.added})
			if err != nil {
				t.Fatal(err)
			}
			made, loaded, names := reload(t, tok)
			if len(names) == 2 && names[0] > names[1] {
				names[0], names[1] = names[1], names[0]
			}
			if got := strings.Join(names, " "); got != c.files {
				t.Errorf("files %s, want %s", got, c.files)
			}
			for _, text := range []string{"a a", "b<x y>a", "<|endoftext|>"} {
				want, wantErr := tok.Encode(text, AllowSpecial)
				for _, other := range []*Tokenizer{made, loaded} {
					got, err := other.Encode(text, AllowSpecial)
					if diff := cmp.Diff(want, got); diff != "" || (err == nil) != (wantErr == nil) {
						t.Errorf("%q: %v\n%s", text, err, diff)
					}
				}
			}
			if s, _ := made.Token(5); s != "世" {
				t.Errorf("token 5 stands for %q", s)
			}
			if s, _ := made.Token(3); s != " a" {
				t.Errorf("token 3 stands for %q", s)
			}
		})
	}
	// A name with a space cannot stand in a line of merges.txt.
	tok, err := New(Vocabulary{Tokens: []string{"a", "x y", "ax y", "<|endoftext|>"}, Merges: [][2]string{{"a", "x y"}}, Added: map[int]bool{3: true}})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, names := reload(t, tok); len(names) != 1 || names[0] != "tokenizer.json" {
		t.Errorf("files %q", names)
	}
}

func TestNewRejects(t *testing.T) {
	for name, c := range map[string]struct {
		v    Vocabulary
		want string
	}{
		"no tokens":         {Vocabulary{}, "found 0 tokens, expected 1 to 1048576"},
		"too many tokens":   {Vocabulary{Tokens: make([]string, 1<<20+1)}, "found 1048577 tokens"},
		"too many merges":   {Vocabulary{Tokens: []string{"a"}, Merges: make([][2]string, 1<<20+1)}, "found 1048577 merges"},
		"only holes":        {Vocabulary{Tokens: []string{"", ""}}, "there are no tokens"},
		"added hole":        {Vocabulary{Tokens: []string{"", "a"}, Added: map[int]bool{0: true}}, "the id of an added token is 0, which has no token"},
		"unknown step":      {Vocabulary{Tokens: []string{"a"}, Normalizer: []Step{{Type: "Nmt"}}}, `normalizer: found "Nmt"`},
		"prefix of nothing": {Vocabulary{Tokens: []string{"a"}, Prefix: []int{3}}, "has id 3, which is of no token"},
		"not UTF-8":         {Vocabulary{Tokens: []string{"\xff"}}, `the token of id 0 is "\xff", expected UTF-8`},
		"twice":             {Vocabulary{Tokens: []string{"a", "b", "a"}}, `token "a" is listed twice, with ids 0 and 2`},
		"merge of nothing":  {Vocabulary{Tokens: []string{"a"}, Merges: [][2]string{{"a", "b"}}}, `merge 0: merges "b", which is not in the vocabulary`},
		"merge to nothing":  {Vocabulary{Tokens: []string{"a", "b"}, Merges: [][2]string{{"a", "b"}}}, `merge 0: merges "a" and "b" into "ab"`},
		"added beyond":      {Vocabulary{Tokens: []string{"a"}, Added: map[int]bool{1: true}}, "the id of an added token is 1, expected 0 to 0"},
		"added, negative":   {Vocabulary{Tokens: []string{"a"}, Added: map[int]bool{-1: true}}, "the id of an added token is -1"},
		"added and so long": {Vocabulary{Tokens: []string{strings.Repeat("x", 513)}, Added: map[int]bool{0: true}}, "too long, expected at most 512 bytes"},
	} {
		_, err := New(c.v)
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "tokenizer: ") {
			t.Errorf("%s: error %v, want one with %q", name, err, c.want)
		}
	}
}
