//go:build unix

package convert_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"caldera/gpt/checkpoint"
	"caldera/gpt/tokenizer"
)

// oddWith is a model of 1,003 tokens in a directory, with a tokenizer of v.
func oddWith(t *testing.T, v tokenizer.Vocabulary) string {
	t.Helper()
	c, err := checkpoint.Open("../../../gpt/testdata/gpt2-odd")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	tok, err := tokenizer.New(v)
	if err != nil {
		t.Fatal(err)
	}
	c.SetTokenizer(tok)
	c.Config.BOS, c.Config.EOS = v.Prefix, v.Suffix
	dir := filepath.Join(t.TempDir(), "odd")
	if err := c.SaveDir(t.Context(), dir, checkpoint.SaveOptions{}); err != nil {
		t.Fatal(err)
	}
	return dir
}

// withAdded has the 256 bytes, few merges, a hole, and added tokens of both kinds.
func withAdded() tokenizer.Vocabulary {
	v := tokenizer.Vocabulary{Merges: [][2]string{{"t", "h"}, {"th", "e"}, {"Ġ", "the"}, {"e", "n"}}, Added: map[int]bool{}}
	for _, r := range byteNames() {
		v.Tokens = append(v.Tokens, string(r))
	}
	v.Tokens = append(v.Tokens, "th", "the", "Ġthe", "en", "", "<|endoftext|>", "[SEP]", "end\n", "<|x|>")
	for id, name := range v.Tokens[261:] {
		v.Added[261+id] = strings.HasPrefix(name, "<|")
	}
	v.Prefix, v.Suffix = []int{261}, []int{264}
	return v
}

// TestPeersTokens holds added tokens, holes, and what begins a text to llama.cpp,
// in the files that convert writes.
func TestPeersTokens(t *testing.T) {
	library := llama(t)
	v := withAdded()
	path := filepath.Join(t.TempDir(), "model.gguf")
	convert(t, "-m", oddWith(t, v), "-o", path)
	texts := []string{"the [SEP] the[SEP]", "the end\nend\n\n the", "<|endoftext|>the<|x|> the", "[PAD260] the", "[SEP[SEP]]"}
	a := judge(t, request{Library: library, Model: path, Texts: texts, Prompts: [][]int{}, N: 1, Never: []int{}})
	if !a.AddsBOS || a.BOS != 261 {
		t.Errorf("llama.cpp puts %d before a prompt: %v", a.BOS, a.AddsBOS)
	}
	tok, err := tokenizer.New(v)
	if err != nil {
		t.Fatal(err)
	}
	for i, text := range texts {
		for _, c := range []struct {
			theirs []int
			opts   []tokenizer.Option
		}{{a.Encoded[i], nil}, {a.Special[i], []tokenizer.Option{tokenizer.AllowSpecial}}} {
			if ids, err := tok.Encode(text, c.opts...); err != nil || !slices.Equal(ids, c.theirs) {
				t.Errorf("%q with %v: %v, %v, llama.cpp %v", text, c.opts, ids, err, c.theirs)
			}
		}
	}
}

// pieces is a tokenizer of texts: "▁" before words, the tokens of bytes, and few merges.
func pieces(m tokenizer.Model, prefix bool) tokenizer.Vocabulary {
	const mark = "▁"
	v := tokenizer.Vocabulary{Model: m, Unknown: "<unk>", FuseUnknown: m != tokenizer.Unigram, ByteFallback: m == tokenizer.TextBPE, Added: map[int]bool{0: true, 1: true, 2: true}}
	v.Tokens = []string{"<unk>", "<s>", "</s>"}
	for b := range 256 {
		v.Tokens = append(v.Tokens, fmt.Sprintf("<0x%02X>", b))
	}
	v.Merges = [][2]string{{"t", "h"}, {"th", "e"}, {mark, "the"}, {"e", "n"}, {"en", "d"}, {mark, mark}, {"世", "界"}}
	v.Tokens = append(v.Tokens, mark, "t", "h", "e", "n", "d", "世", "界", "x")
	for _, m := range v.Merges {
		v.Tokens = append(v.Tokens, m[0]+m[1])
	}
	if m != tokenizer.TextBPE {
		first := len(v.Tokens) - len(v.Merges)
		for id := range v.Tokens {
			v.Scores = append(v.Scores, -100-float64(id))
			if id >= first {
				v.Scores[id] = -float64(id - first + 1)
			}
		}
		v.Merges = nil
	}
	v.Normalizer = []tokenizer.Step{{Type: "Replace", Pattern: " ", Content: mark}}
	v.Decoder = []tokenizer.Step{{Type: "Replace", Pattern: mark, Content: " "}, {Type: "ByteFallback"}, {Type: "Fuse"}}
	if prefix {
		v.Normalizer = slices.Insert(v.Normalizer, 0, tokenizer.Step{Type: "Prepend", Content: mark})
		v.Decoder = append(v.Decoder, tokenizer.Step{Type: "Strip", Content: " ", Start: 1})
	}
	v.Prefix = []int{1}
	return v
}

// TestPeersKinds holds tokenizers of other kinds than GPT-2's to llama.cpp, in the files
// that convert writes.
func TestPeersKinds(t *testing.T) {
	library := llama(t)
	named := func(name string) tokenizer.Vocabulary {
		v := withAdded()
		p, _ := tokenizer.PreSplitOf(name)
		v.PreTokenizer, v.IgnoreMerges = p.Steps, p.IgnoreMerges
		return v
	}
	texts := []string{"the end", " the  the end\n\nthe", "世界 x thé 🦙 \x01", "<s>the end</s> then", "IT'S the 12345 HTTPServer's\r\n\r\n  the", "x"}
	for name, v := range map[string]tokenizer.Vocabulary{
		"llama-bpe": named("llama-bpe"), "qwen2": named("qwen2"), "gpt-4o": named("gpt-4o"), "smollm": named("smollm"), "deepseek-v3": named("deepseek-v3"), "falcon": named("falcon"), "tekken": named("tekken"),
		"scores": pieces(tokenizer.ScoredBPE, true), "scores, no space before": pieces(tokenizer.ScoredBPE, false), "merges of texts": pieces(tokenizer.TextBPE, true), "unigram": pieces(tokenizer.Unigram, true),
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "model.gguf")
			convert(t, "-m", oddWith(t, v), "-o", path)
			c, err := checkpoint.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			tok, err := c.Tokenizer()
			if err != nil {
				t.Fatal(err)
			}
			a := judge(t, request{Library: library, Model: path, Texts: texts, Prompts: [][]int{}, N: 1, Never: []int{}})
			if !a.AddsBOS || a.BOS != v.Prefix[0] {
				t.Errorf("llama.cpp puts %d before a prompt: %v", a.BOS, a.AddsBOS)
			}
			for i, text := range texts {
				for _, c := range []struct {
					theirs []int
					opts   []tokenizer.Option
				}{{a.Encoded[i], nil}, {a.Special[i], []tokenizer.Option{tokenizer.AllowSpecial}}} {
					if ids, err := tok.Encode(text, c.opts...); err != nil || !slices.Equal(ids, c.theirs) {
						t.Errorf("%q with %v: %v, %v, llama.cpp %v", text, c.opts, ids, err, c.theirs)
					}
				}
			}
		})
	}
}

// TestWarnings tells what GGUF cannot say, and goes on.
func TestWarnings(t *testing.T) {
	v := withAdded()
	v.PrefixSpace = true
	dir := oddWith(t, v)
	warned := func(want string) {
		t.Helper()
		out := filepath.Join(t.TempDir(), "model.gguf")
		r := run(t, exec.Command(convertBinary, "-m", dir, "-o", out))
		if r.Code != 0 || r.Out != "" || strings.Count(r.Stderr, "\n") != 2 || !strings.HasPrefix(r.Stderr, "convert: warning: "+want) || !strings.Contains(r.Stderr, "\nwrote ") {
			t.Errorf("exit code %d, output %q, standard error %q, want a warning with %q", r.Code, r.Out, r.Stderr, want)
		}
		if _, err := os.Stat(out); err != nil {
			t.Error(err)
		}
	}
	warned("GGUF: the tokenizer puts a space before a text")
	if err := os.WriteFile(filepath.Join(dir, "tokenizer.json"), []byte(`{"pre_tokenizer": {"type": "UnicodeScripts"}}`), 0o666); err != nil {
		t.Fatal(err)
	}
	warned("the tokenizer cannot be read, and none is written: ")
}
