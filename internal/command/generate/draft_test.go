package generate_test

import (
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"caldera/internal/devicetest"
	"caldera/models"
)

// TestDraft expects the same answer with guesses as without: of n-grams, of the model itself,
// of a model that guesses badly, and of one of a shorter context.
func TestDraft(t *testing.T) {
	t.Parallel()
	same := changed(t, nil)
	short := changed(t, map[string]any{"n_positions": 256, "eos_token_id": 5})
	tied := "It was so. It was not so. It was so. It was not so. It was so. It was"
	for _, args := range [][]string{
		{"--temp=0", "-n", "150", prompt},
		{"--seed=4", "-n", "80", "--reproducible", prompt},
		{"--temp=0", "-c", "48", "-n", "120", "--logprobs=3", "--reproducible", tied}, // the context slides
		{"--seed=5", "--temp=0.4", "--top-k=30", "--top-p=0.9", "--min-p=0.02", "--repeat-penalty=1.2", "-n", "80", "--reproducible", tied},
		{"--seed=6", "--temp=0.2", "-n", "150", "--stop= was", "--stop= been", tied},
		{"--seed=6", "-n", "-1", "-c", "40", "--stop= situat", "--stop=believe", prompt},
		{"--temp=0", "-n", "1", prompt},
	} {
		want := jsonOf(t, args...)
		if want.Timings.DraftN != nil {
			t.Errorf("%q: without guesses it tells of %d", args, *want.Timings.DraftN)
		}
		for _, draft := range []string{"ngrams", same, short} {
			got := jsonOf(t, slices.Concat(args, []string{"--draft", draft})...)
			bits := !slices.Contains(args, "--reproducible") || reflect.DeepEqual(got.LogProbs, want.LogProbs) && reflect.DeepEqual(got.Top, want.Top)
			if got.Text != want.Text || got.Stop != want.Stop || !slices.Equal(got.IDs, want.IDs) || !bits {
				t.Errorf("%q, guesses of %s: %q (%s), without %q (%s)", args, draft, got.Text, got.Stop, want.Text, want.Stop)
			}
			n, right := got.Timings.DraftN, got.Timings.DraftNAccepted
			if n == nil || right == nil || *right > *n || *n > 0 && *right > 0 && got.Timings.TokensPerStep <= 1 {
				t.Errorf("%q, guesses of %s: %+v", args, draft, got.Timings)
			}
		}
	}
	r := generate(t, "--temp=0", "-n", "24", "--draft=ngrams", "--draft-max=3", tied)
	if !regexp.MustCompile(`(?m)^draft: (\d+ of \d+ guesses were right \(\d+ %\), \d\.\d\d tokens a step|no guess was read: there was none, or it would not have paid)$`).MatchString(r.Stderr) {
		t.Errorf("standard error has %q, expected a line that tells how often guesses were right", r.Stderr)
	}
	// What the model rounds the draft model need not.
	if r := generate(t, "--dtype=q4_0", "--activations=q8_0", "-n", "3", "--draft", same, prompt); strings.Contains(r.Stderr, "warning") {
		t.Errorf("standard error has %q, expected no warning", r.Stderr)
	}
	if plain := generate(t, "--temp=0", "-n", "24", tied); plain.Out != r.Out || strings.Contains(plain.Stderr, "draft") {
		t.Errorf("%q, without guesses %q\n%s", r.Out, plain.Out, plain.Stderr)
	}
}

// TestDraftOnVulkan has guesses checked on a device, where no clock decides how many there are.
func TestDraftOnVulkan(t *testing.T) {
	devicetest.UseTestDrivers(t)
	r := run(t, command(t, "--backend=vulkan", "--device=llvmpipe", "--temp=0", "-n", "23", "--draft=ngrams", "--json", prompt))
	if r.Code != 0 {
		t.Fatal(r.Stderr)
	}
	if a := parse(t, r.Out); prompt+a.Text != austen || *a.Timings.DraftN == 0 || *a.Timings.DraftNAccepted == 0 {
		t.Errorf("%q, %+v, expected %q, and right guesses", prompt+a.Text, a.Timings, austen)
	}
}

// TestDraftErrors names what cannot guess.
func TestDraftErrors(t *testing.T) {
	t.Parallel()
	// A tokenizer that has two tokens the other way around.
	swapped := changed(t, nil)
	file := filepath.Join(swapped, "vocab.json")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	vocab := regexp.MustCompile(`("Q"|"R")(: *)(\d+)`)
	if n := len(vocab.FindAll(text, -1)); n != 2 {
		t.Fatalf("%s has %d of the tokens Q and R", models.Name, n)
	}
	text = vocab.ReplaceAllFunc(text, func(entry []byte) []byte {
		other := map[string]string{`"Q"`: `"R"`, `"R"`: `"Q"`}[string(entry[:3])]
		return append([]byte(other), entry[3:]...)
	})
	if err := os.WriteFile(file, text, 0o666); err != nil {
		t.Fatal(err)
	}
	textless := changed(t, nil)
	for _, name := range []string{"vocab.json", "merges.txt"} {
		if err := os.Remove(filepath.Join(textless, name)); err != nil {
			t.Fatal(err)
		}
	}
	const tokenizer = "expected a draft model of the same tokenizer"
	for _, c := range []struct {
		code  int
		args  []string
		parts []string
	}{
		{2, []string{"--draft="}, []string{"--draft is empty: expected a value"}},
		{2, []string{"--draft-max=3"}, []string{"--draft-max=3 without --draft"}},
		{2, []string{"--draft=ngrams", "--draft-max=0"}, []string{"--draft-max=0: expected 1 to 15"}},
		{2, []string{"--draft=ngrams", "--draft-max=16"}, []string{"--draft-max=16: expected 1 to 15"}},
		{2, []string{"--draft=ngrams", "--parallel=2"}, []string{"--draft is for one text", "--parallel=2"}},
		{2, []string{"--draft=ngrams", "--prompts=-"}, []string{"--draft is for one text", "--prompts"}},
		{2, []string{"--draft", swapped}, []string{swapped, `has "R" as token 48 and austen has "Q"`, tokenizer}},
		{2, []string{"--draft", textless}, []string{textless, "has no tokenizer", tokenizer}},
		{2, []string{"--draft", "../../../gpt/testdata/gpt2-tiny", "-m", textless, "--tokens=1"}, []string{"has 257 tokens and " + textless + " 2048", tokenizer}},
		{1, []string{"--draft=nothing"}, []string{"--draft: model nothing: no such file", "; or take --draft=ngrams, which needs no model"}},
	} {
		r := run(t, command(t, append([]string{"--backend=cpu", "-n", "9"}, c.args...)...))
		t.Run(strings.Join(c.args, " "), func(t *testing.T) { wantFailure(t, r, c.code, c.parts...) })
	}
	// Token ids need no tokenizer.
	ids := []string{"-m", textless, "--tokens=1,2,3", "--temp=0", "-n", "30", "--json"}
	if got, want := parse(t, generate(t, append(ids, "--draft", textless)...).Out), parse(t, generate(t, ids...).Out); !slices.Equal(got.IDs, want.IDs) {
		t.Errorf("of token ids: %v, without guesses %v", got.IDs, want.IDs)
	}
}
