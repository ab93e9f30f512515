package generate_test

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"caldera/gpt/checkpoint"
)

// TestTokenizerSettings honours what changes a prompt, in a directory and in a GGUF file.
func TestTokenizerSettings(t *testing.T) {
	plain := jsonOf(t, "-n", "1", prompt).PromptIDs
	spaced := jsonOf(t, "-n", "1", " "+prompt).PromptIDs
	for name, c := range map[string]struct {
		settings map[string]any
		want     []int
	}{
		"bos":          {map[string]any{"add_bos_token": true, "bos_token": "<|endoftext|>"}, append([]int{2047}, plain...)},
		"eos":          {map[string]any{"add_eos_token": true}, plain},
		"prefix space": {map[string]any{"add_prefix_space": true}, spaced},
	} {
		t.Run(name, func(t *testing.T) {
			dir := changed(t, nil)
			writeJSON(t, dir, "tokenizer_config.json", c.settings)
			if got := jsonOf(t, "-m", dir, "-n", "1", prompt).PromptIDs; !slices.Equal(got, c.want) {
				t.Errorf("%v is the prompt of the directory, want %v", got, c.want)
			}
			open, err := checkpoint.Open(dir)
			if err != nil {
				t.Fatal(err)
			}
			defer open.Close()
			file := filepath.Join(t.TempDir(), "model.gguf")
			if err := open.SaveGGUF(t.Context(), file, checkpoint.SaveOptions{Warn: func(string) {}}); err != nil {
				t.Fatal(err)
			}
			if got := jsonOf(t, "-m", file, "-n", "1", prompt).PromptIDs; !slices.Equal(got, c.want) {
				t.Errorf("%v is the prompt of the GGUF file, want %v", got, c.want)
			}
		})
	}
	// A tokenizer that begins a text begins one that has no prompt.
	dir := changed(t, map[string]any{"bos_token_id": nil})
	writeJSON(t, dir, "tokenizer_config.json", map[string]any{"add_bos_token": true})
	if got := jsonOf(t, "-m", dir, "-n", "1", "-p", "").PromptIDs; !slices.Equal(got, []int{2047}) {
		t.Errorf("%v stands for no prompt", got)
	}
	if got := generate(t, "-m", dir, "--temp=0", "-n", "1", prompt).Out; !strings.HasPrefix(got, prompt) {
		t.Errorf("%q, expected the prompt without the token before it", got)
	}
}

// TestHoles never draws ids that are of no token, though others above them are.
func TestHoles(t *testing.T) {
	dir := padded(t, 4)
	writeJSON(t, dir, "added_tokens.json", map[string]int{"<|d|>": 2051})
	if got := jsonOf(t, "-m", dir, "-n", "1", "a<|d|>b").PromptIDs; !slices.Contains(got, 2051) {
		t.Errorf("an ordinary added token is cut into %v", got)
	}
	a := jsonOf(t, "-m", dir, "--temp=1e300", "--top-k=0", "--top-p=1", "--min-p=0", "-n", "300", "--ignore-eos", prompt)
	for _, id := range a.IDs {
		if id >= 2047 && id != 2051 {
			t.Fatalf("%d was drawn", id)
		}
	}
	if got := generate(t, "-m", dir, "--temp=0", "-n", "1", prompt).Out; got != prompt+"<|d|>\n" {
		t.Errorf("%q, expected the token that is there", got)
	}
}

// TestUnreadableTokenizer takes and prints ids where the tokenizer cannot be read.
func TestUnreadableTokenizer(t *testing.T) {
	dir := changed(t, nil)
	writeJSON(t, dir, "tokenizer.json", map[string]any{"pre_tokenizer": map[string]any{"type": "UnicodeScripts"}})
	r := run(t, command(t, "--backend=cpu", "-m", dir, "--tokens=5,17", "--temp=0", "-n", "1"))
	if r.Code != 0 || !strings.HasPrefix(r.Out, "5,17,") || strings.Count(r.Stderr, "UnicodeScripts") != 1 || !strings.Contains(r.Stderr, "generate: warning: tokenizer: ") {
		t.Errorf("exit code %d, %q, %q", r.Code, r.Out, r.Stderr)
	}
	wantFailure(t, run(t, command(t, "--backend=cpu", "-m", dir, "some text")), 1, `pre_tokenizer: found "UnicodeScripts"`)

	// So where it has more tokens than the model has rows.
	dir = changed(t, nil)
	writeJSON(t, dir, "added_tokens.json", map[string]int{"<|d|>": 99999})
	r = run(t, command(t, "--backend=cpu", "-m", dir, "--tokens=5,17", "--temp=0", "-n", "1"))
	if r.Code != 0 || !strings.HasPrefix(r.Out, "5,17,") || !strings.Contains(r.Stderr, "warning: the tokenizer has 100000 tokens and the model 2048: ") {
		t.Errorf("exit code %d, %q, %q", r.Code, r.Out, r.Stderr)
	}
	wantFailure(t, run(t, command(t, "--backend=cpu", "-m", dir, "some text")), 1, "100000 tokens and the model 2048")
}
