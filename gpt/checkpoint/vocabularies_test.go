package checkpoint

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"caldera/gpt/checkpoint/gguf"
	"caldera/gpt/tokenizer"
)

// TestLlamaVocabularies holds the tokenizers of real models to what llama.cpp has of them:
// vocabularies in GGUF files, texts, and the ids that Hugging Face's tokenizers gave.
func TestLlamaVocabularies(t *testing.T) {
	dir := os.Getenv("CALDERA_VOCABULARIES")
	if dir == "" {
		t.Skip("CALDERA_VOCABULARIES is not set: make test-peers gets llama.cpp's vocabularies and runs this")
	}
	files, err := filepath.Glob(filepath.Join(dir, "ggml-vocab-*.gguf"))
	if err != nil || len(files) < 19 {
		t.Fatalf("%d vocabularies in %s, %v", len(files), dir, err)
	}
	cases := 0
	for _, path := range files {
		t.Run(strings.TrimSuffix(strings.TrimPrefix(filepath.Base(path), "ggml-vocab-"), ".gguf"), func(t *testing.T) {
			f, err := gguf.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			tok, err := metadata{f}.tokenizer(tokenizer.MaxTokens)
			if kind, _, _ := (metadata{f}).text(keyTokenizer); kind == "bert" {
				if err == nil || !strings.Contains(err.Error(), "WordPiece") {
					t.Errorf("error %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			inp, err := os.ReadFile(path + ".inp")
			if err != nil {
				return // it has no cases
			}
			out, err := os.ReadFile(path + ".out")
			if err != nil {
				t.Fatal(err)
			}
			const separator = "\n__ggml_vocab_test__\n"
			texts := strings.Split(strings.TrimSuffix(string(inp), separator), separator)
			want := strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
			if len(texts) != len(want) {
				t.Fatalf("%d texts and %d answers", len(texts), len(want))
			}
			for i, text := range texts {
				ids, err := tok.Encode(text)
				if got := strings.Trim(fmt.Sprint(ids), "[]"); err != nil || got != strings.TrimSpace(want[i]) {
					t.Errorf("%q: %s, %v\n want %s", text, got, err, want[i])
				}
				cases++
				if back, err := tok.DecodeBytes(ids); string(back) != text || err != nil {
					t.Errorf("%q is decoded to %q, %v", text, back, err)
				}
				d, streamed := tok.NewDecoder(), ""
				for _, id := range ids {
					s, err := d.Next(id)
					if err != nil {
						t.Fatal(err)
					}
					streamed += s
				}
				if streamed += d.Flush(); streamed != text {
					t.Errorf("%q streams as %q", text, streamed)
				}
			}
			v := tok.Vocabulary()
			if again, err := tokenizer.New(v); err != nil || !slices.Equal(again.Vocabulary().Tokens, v.Tokens) {
				t.Errorf("made anew: %v", err)
			}
		})
	}
	if cases < 600 {
		t.Errorf("%d cases", cases)
	}
}
