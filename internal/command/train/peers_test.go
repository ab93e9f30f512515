package train_test

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"caldera/gpt/tokenizer"
	"caldera/internal/commandtest"
)

// request and answer are as testdata/judge.mjs has them.
type request struct {
	Library string   `json:"library"`
	Dir     string   `json:"dir"`
	Special []string `json:"special"`
	Texts   []string `json:"texts"`
	Train   string   `json:"train"`
}

type answer struct {
	Whole, Parts struct {
		IDs   [][]int  `json:"ids"`
		Texts []string `json:"texts"`
	}
	Merges [][2]string `json:"merges"`
}

// judge asks Hugging Face's tokenizers, which make test-peers installs.
func judge(t *testing.T, r request) (a answer) {
	t.Helper()
	if r.Library = os.Getenv("CALDERA_TOKENIZERS"); r.Library == "" {
		t.Skip("CALDERA_TOKENIZERS is not set: make test-peers installs Hugging Face's tokenizers and runs this")
	}
	in, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), commandtest.Patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "node", "testdata/judge.mjs")
	cmd.Stdin = bytes.NewReader(in)
	got := run(t, cmd)
	if got.Code != 0 {
		t.Fatalf("node: exit code %d: %s", got.Code, got.Stderr)
	}
	if err := json.Unmarshal([]byte(got.Out), &a); err != nil {
		t.Fatalf("%v in %.200q", err, got.Out)
	}
	return a
}

// TestPeers has Hugging Face's tokenizers learn the same merges of a text, and
// read and use what train writes.
func TestPeers(t *testing.T) {
	text := read(t, sample)
	lines := strings.SplitAfter(strings.TrimSuffix(text, "\n"), "\n")
	dir := t.TempDir()
	out := filepath.Join(dir, "bpe")
	// Their trainer takes each line of a file for a text of its own.
	train(t, strings.Join(lines, "<|endoftext|>")+"\n", "--vocab-size=30000", "--min-frequency=1", "--special=<|endoftext|>", "--special=<pad>", "-o", out)
	texts := []string{text, "", "It's naïve — 世界 👩‍🚀\tof  1234\r\n\n  indeed!   ", "<|endoftext|>a<pad> b", "a\u00a0b\u2003c ﬁ ½ ²"}
	a := judge(t, request{Dir: out, Special: []string{"<|endoftext|>", "<pad>"}, Texts: texts, Train: sample})
	v := load(t, out).Vocabulary()
	if diff := cmp.Diff(a.Merges, v.Merges); diff != "" {
		t.Errorf("merges differ from theirs:\n%.2000s", diff)
	}
	checkPeer(t, out, a, texts)

	out = filepath.Join(dir, "char")
	train(t, text, "--char", "-o", out)
	backwards := []rune(text)
	slices.Reverse(backwards)
	texts = []string{text, string(backwards), "<|endoftext|>a b"}
	checkPeer(t, out, judge(t, request{Dir: out, Special: []string{"<|endoftext|>"}, Texts: texts}), texts)
}

// checkPeer holds what they make of texts to what we make of them.
func checkPeer(t *testing.T, dir string, a answer, texts []string) {
	t.Helper()
	tok := load(t, dir)
	for i, text := range texts {
		want, err := tok.Encode(text, tokenizer.AllowSpecial)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(a.Whole.IDs[i], want) || !slices.Equal(a.Parts.IDs[i], want) {
			t.Errorf("%.80q: %.200v from tokenizer.json, %.200v from vocab.json and merges.txt, expected %.200v", text, a.Whole.IDs[i], a.Parts.IDs[i], want)
		}
		if a.Whole.Texts[i] != text || a.Parts.Texts[i] != text {
			t.Errorf("%.80q comes back as %.80q and %.80q", text, a.Whole.Texts[i], a.Parts.Texts[i])
		}
	}
}
