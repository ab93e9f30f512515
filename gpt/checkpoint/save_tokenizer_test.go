package checkpoint_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"caldera/backend"
	"caldera/gpt"
	"caldera/gpt/checkpoint"
	"caldera/gpt/tokenizer"
	"caldera/internal/gpttest"
)

// tokens11 is a vocabulary for the model of 11 tokens.
func tokens11() tokenizer.Vocabulary {
	return tokenizer.Vocabulary{
		Tokens: []string{"a", "b", "Ġ", "ab", "Ġab", "c", "<|endoftext|>", "<x>", "d"},
		Merges: [][2]string{{"a", "b"}, {"Ġ", "ab"}},
		Added:  map[int]bool{6: true, 7: false},
	}
}

// named cuts text as GGUF's name for that says.
func named(v tokenizer.Vocabulary, name string) tokenizer.Vocabulary {
	p, _ := tokenizer.PreSplitOf(name)
	v.PreTokenizer, v.IgnoreMerges = p.Steps, p.IgnoreMerges
	return v
}

// pieces makes v a tokenizer whose tokens are texts.
func pieces(v *tokenizer.Vocabulary, m tokenizer.Model, prefix bool) {
	const mark = "▁"
	v.Model, v.FuseUnknown = m, m != tokenizer.Unigram
	for i, s := range v.Tokens {
		v.Tokens[i] = strings.ReplaceAll(s, "Ġ", mark)
	}
	v.Merges = [][2]string{{"a", "b"}, {mark, "ab"}}
	v.ByteFallback = m == tokenizer.TextBPE
	if m == tokenizer.ScoredBPE || m == tokenizer.Unigram {
		v.Scores, v.Merges = []float64{-3, -4, -5, -1, -2, -6, 0, 0, -7}, nil
	}
	v.Normalizer = []tokenizer.Step{{Type: "Replace", Pattern: " ", Content: mark}}
	v.Decoder = []tokenizer.Step{{Type: "Replace", Pattern: mark, Content: " "}, {Type: "ByteFallback"}, {Type: "Fuse"}}
	if prefix {
		v.Normalizer = append([]tokenizer.Step{{Type: "Prepend", Content: mark}}, v.Normalizer...)
		v.Decoder = append(v.Decoder, tokenizer.Step{Type: "Strip", Content: " ", Start: 1})
	}
}

// TestSaveTokenizer writes tokenizers as GGUF and as a directory, each from the
// other, and holds what is read again to what was there, and to what is told of.
func TestSaveTokenizer(t *testing.T) {
	for name, c := range map[string]struct {
		change func(v *tokenizer.Vocabulary)
		plain  string // ids of "ab c<x>ab", as a document with special tokens
		told   string // what GGUF cannot say; "" for all
		same   bool   // GGUF has all of it, told or not
	}{
		"plain":                          {func(v *tokenizer.Vocabulary) {}, "[3 2 5 7 3]", "", true},
		"bos":                            {func(v *tokenizer.Vocabulary) { v.Prefix = []int{6} }, "[6 3 2 5 7 3]", "", true},
		"bos and eos":                    {func(v *tokenizer.Vocabulary) { v.Prefix, v.Suffix = []int{6}, []int{8} }, "[6 3 2 5 7 3 8]", "", true},
		"two bos":                        {func(v *tokenizer.Vocabulary) { v.Prefix = []int{6, 8} }, "[6 8 3 2 5 7 3]", "puts 2 tokens before a text", false},
		"prefix space":                   {func(v *tokenizer.Vocabulary) { v.PrefixSpace = true }, "[4 2 5 7 4]", "puts a space before a text", true},
		"holes":                          {func(v *tokenizer.Vocabulary) { v.Tokens[8], v.Tokens = "", append(v.Tokens, "e") }, "[3 2 5 7 3]", "", true},
		"strip":                          {func(v *tokenizer.Vocabulary) { v.Matches = map[int]tokenizer.Match{7: {LeftStrip: true}} }, "[3 2 5 7 3]", `such as "<x>" take white space`, false},
		"normalized":                     {func(v *tokenizer.Vocabulary) { v.Normalizer = []tokenizer.Step{{Type: "NFC"}, {Type: "Lowercase"}} }, "[3 2 5 7 3]", "text is normalized (NFC, Lowercase)", false},
		"unknown":                        {func(v *tokenizer.Vocabulary) { v.Unknown = "d" }, "[3 2 5 7 3]", `token "d" stands for bytes`, false},
		"ignore":                         {func(v *tokenizer.Vocabulary) { v.IgnoreMerges = true }, "[3 2 5 7 3]", "", true}, // merges make all tokens
		"ignore, where merges make less": {func(v *tokenizer.Vocabulary) { v.IgnoreMerges, v.Merges = true, v.Merges[:1] }, "[3 2 5 7 3]", "none is written: the tokenizer cuts text into words in a way () that has no name in GGUF, or none that says ignore_merges: true", false},
		"Llama 3's":                      {func(v *tokenizer.Vocabulary) { *v = named(*v, "llama-bpe") }, "[3 2 5 7 3]", "", true},
		"Qwen's, normalized": {func(v *tokenizer.Vocabulary) {
			*v = named(*v, "qwen2")
			v.Normalizer = []tokenizer.Step{{Type: "NFC"}}
		}, "[3 2 5 7 3]", "text is normalized (NFC)", true},
		"a way of its own": {func(v *tokenizer.Vocabulary) {
			v.PreTokenizer = []tokenizer.Step{{Type: "Split", Pattern: "b", Behavior: "Isolated"}, {Type: "ByteLevel"}}
		}, "[0 1 2 5 7 0 1]", "none is written: the tokenizer cuts text into words in a way (Split, ByteLevel) that has no name in GGUF", false},
		"Llama 2's": {func(v *tokenizer.Vocabulary) { pieces(v, tokenizer.TextBPE, true) }, "[4 2 5 7 4]", "", true},
		"Gemma's":   {func(v *tokenizer.Vocabulary) { pieces(v, tokenizer.TextBPE, false) }, "[3 2 5 7 3]", "", true},
		"Gemma's, with a merge less": {func(v *tokenizer.Vocabulary) {
			pieces(v, tokenizer.TextBPE, false)
			v.Merges, v.FuseUnknown = v.Merges[:1], true
		}, "[3 2 5 7 3]", "", true},
		"scores":  {func(v *tokenizer.Vocabulary) { pieces(v, tokenizer.ScoredBPE, true) }, "[4 2 5 7 4]", "", true},
		"unigram": {func(v *tokenizer.Vocabulary) { pieces(v, tokenizer.Unigram, true) }, "[4 2 5 7 4]", "", true},
	} {
		t.Run(name, func(t *testing.T) {
			v := tokens11()
			c.change(&v)
			tok, err := tokenizer.New(v)
			if err != nil {
				t.Fatal(err)
			}
			check := func(path string, same bool) *checkpoint.Checkpoint {
				t.Helper()
				read := gpttest.OpenCheckpoint(t, path)
				got, err := read.Tokenizer()
				if err != nil {
					t.Fatal(err)
				}
				ids, err := got.EncodePrompt("ab c<x>ab", tokenizer.AllowSpecial)
				ids = append(ids, got.Suffix()...)
				if equal := fmt.Sprint(ids) == c.plain; err != nil || same && !equal {
					t.Errorf("%s: ids %v, %v, want %s", filepath.Base(path), ids, err, c.plain)
				}
				if !slices.Equal(got.Holes(), tok.Holes()) {
					t.Errorf("%s: holes %v, want %v", filepath.Base(path), got.Holes(), tok.Holes())
				}
				return read
			}
			from := gpttest.OpenCheckpoint(t, oneGGUF(t).write(t))
			from.SetTokenizer(tok)
			dir := gpttest.SaveDir(t, from, backend.None) // without Warn: nothing is lost
			read := check(dir, true)

			path := filepath.Join(t.TempDir(), "model.gguf")
			if err := read.SaveGGUF(t.Context(), path, checkpoint.SaveOptions{}); (err == nil) != (c.told == "") {
				t.Errorf("with nobody to warn: %v", err)
			}
			var told []string
			if err := read.SaveGGUF(t.Context(), path, checkpoint.SaveOptions{Warn: func(s string) { told = append(told, s) }}); err != nil {
				t.Fatal(err)
			}
			if all := strings.Join(told, "\n"); !strings.Contains(all, c.told) || (all == "") != (c.told == "") {
				t.Errorf("told %q, want %q", all, c.told)
			}
			if strings.Contains(c.told, "none is written") {
				if _, err := gpttest.OpenCheckpoint(t, path).Tokenizer(); !errors.Is(err, tokenizer.ErrNone) {
					t.Errorf("error %v, want none", err)
				}
				return
			}
			read = check(path, c.same)
			if c.same {
				check(gpttest.SaveDir(t, read, backend.None), true)
			}
		})
	}
}

// TestSaveEnds writes more tokens that end a text than GGUF holds.
func TestSaveEnds(t *testing.T) {
	c := gpttest.OpenCheckpoint(t, oneGGUF(t).write(t))
	c.Config.BOS, c.Config.EOS = []int{1, 2}, []int{3, 4, 5}
	var told []string
	path := filepath.Join(t.TempDir(), "model.gguf")
	if err := c.SaveGGUF(t.Context(), path, checkpoint.SaveOptions{Warn: func(s string) { told = append(told, s) }}); err != nil {
		t.Fatal(err)
	}
	want := []string{"GGUF: the tokens [1 2] begin a text, of which it can hold the first alone", "GGUF: the tokens [3 4 5] end a text, of which it can hold the first two alone"}
	if !slices.Equal(told, want) {
		t.Errorf("told %q", told)
	}
	if read := gpttest.OpenCheckpoint(t, path).Config; !slices.Equal(read.BOS, []int{1}) || !slices.Equal(read.EOS, []int{3, 4}) {
		t.Errorf("read %v and %v", read.BOS, read.EOS)
	}
}

// TestSaveWithoutTokenizer goes on where the tokenizer cannot be read, and says so.
func TestSaveWithoutTokenizer(t *testing.T) {
	dir := gpttest.SaveDir(t, gpttest.OpenCheckpoint(t, oneGGUF(t).write(t)), backend.None)
	if err := os.WriteFile(filepath.Join(dir, "tokenizer.json"), []byte(`{"pre_tokenizer": {"type": "UnicodeScripts"}}`), 0o644); err != nil {
		t.Fatal(err)
	}
	c := gpttest.OpenCheckpoint(t, dir)
	for _, save := range []func(string, checkpoint.SaveOptions) error{
		func(path string, o checkpoint.SaveOptions) error { return c.SaveGGUF(t.Context(), path+".gguf", o) },
		func(path string, o checkpoint.SaveOptions) error { return c.SaveDir(t.Context(), path+".gguf", o) },
	} {
		path := filepath.Join(t.TempDir(), "saved")
		gpttest.WantError(t, save(path, checkpoint.SaveOptions{}), `pre_tokenizer: found "UnicodeScripts"`)
		told := ""
		if err := save(path, checkpoint.SaveOptions{Warn: func(s string) { told += s }}); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(told, "the tokenizer cannot be read, and none is written: ") || !strings.Contains(told, "UnicodeScripts") {
			t.Errorf("told %q", told)
		}
		_, err := gpttest.OpenCheckpoint(t, path+".gguf").Tokenizer()
		gpttest.WantError(t, err, "no tokenizer files")
	}
}

// TestTokenizerWithin leaves special tokens out that the model has no rows for, and
// takes a tokenizer with other such tokens for none.
func TestTokenizerWithin(t *testing.T) {
	c := gpttest.OpenCheckpoint(t, oneGGUF(t).write(t))
	v := tokens11()
	v.Tokens = append(v.Tokens, "e", "f", "<pad>", "<mask>")
	v.Added[11], v.Added[12] = true, true
	tok := func() (*tokenizer.Tokenizer, error) {
		made, err := tokenizer.New(v)
		if err != nil {
			t.Fatal(err)
		}
		c.SetTokenizer(made)
		return c.Tokenizer()
	}
	if got, err := tok(); err != nil || got.VocabSize() != 11 {
		t.Errorf("%v, %v, want 11 tokens", got, err)
	} else if _, ok := got.SpecialID("<pad>"); ok {
		t.Error("<pad> is there")
	}
	v.Added[12] = false // text could have it
	const problem = "the tokenizer has 13 tokens and the model 11: they are not of one checkpoint"
	_, err := tok()
	gpttest.WantError(t, err, problem)
	told := ""
	path := filepath.Join(t.TempDir(), "saved.gguf")
	if err := c.SaveGGUF(t.Context(), path, checkpoint.SaveOptions{Warn: func(s string) { told += s }}); err != nil || !strings.Contains(told, problem) {
		t.Errorf("%v, told %q", err, told)
	}
}

// TestGenerateHoles never draws ids that stand for no token.
func TestGenerateHoles(t *testing.T) {
	m, err := gpt.Load(t.Context(), gpttest.OpenCPU(t), oneGGUF(t).write(t), gpt.LoadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	drawn := func(barred []int) map[int]bool {
		ids := map[int]bool{}
		for seed := range uint64(40) {
			s := gpttest.NewSession(t, m, 8)
			for token, err := range s.Generate(t.Context(), []int{1}, gpt.Options{Sampling: gpt.Sampling{Temperature: 5, TopP: 1, RepeatPenalty: 1, Seed: seed}, Predict: 6, Barred: barred}) {
				if err != nil {
					t.Fatal(err)
				}
				ids[token.ID] = true
			}
		}
		return ids
	}
	if all := drawn(nil); !all[3] || !all[4] {
		t.Fatalf("3 and 4 are never drawn: %v", all)
	}
	if some := drawn([]int{3, 4}); some[3] || some[4] || len(some) < 5 {
		t.Errorf("drawn %v, want all but 3 and 4", some)
	}
}
