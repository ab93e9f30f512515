package generate_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"caldera/internal/gpttest"
)

// TestAdopt takes sampling from the model's files, but for what flags say.
func TestAdopt(t *testing.T) {
	dir := gpttest.ChatModel(t, "")
	args := func(more ...string) []string {
		return append([]string{"-m", dir, "-n", "12", "--ignore-eos", "--seed=3", "-c", "64", "hello"}, more...)
	}
	before := generate(t, args()...)
	if strings.Contains(before.Stderr, "model's files") {
		t.Error(before.Stderr)
	}
	text := `{"do_sample": true, "temperature": 1.5, "top_k": 7, "repetition_penalty": 1.3, "eos_token_id": 258}`
	if err := os.WriteFile(filepath.Join(dir, "generation_config.json"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	adopted := generate(t, args()...)
	if want := "sampling as the model's files say: --temp=1.5 --top-k=7 --repeat-penalty=1.3 --repeat-last-n=-1\n"; !strings.Contains(adopted.Stderr, want) {
		t.Errorf("%q, expected %q", adopted.Stderr, want)
	}
	same := generate(t, args("--temp=1.5", "--top-k=7", "--repeat-penalty=1.3", "--repeat-last-n=-1")...)
	if strings.Contains(same.Stderr, "model's files") || same.Out != adopted.Out {
		t.Errorf("%q with flags, %q without: %s", same.Out, adopted.Out, same.Stderr)
	}
	own := generate(t, args("--temp=0.8", "--top-k=40", "--repeat-penalty=1", "--repeat-last-n=64")...)
	if own.Out != before.Out || own.Out == adopted.Out {
		t.Errorf("%q, expected the flags to count: %q, and not %q", own.Out, before.Out, adopted.Out)
	}
	if err := os.WriteFile(filepath.Join(dir, "generation_config.json"), []byte(`{"top_p": 3}`), 0o600); err != nil {
		t.Fatal(err)
	}
	wantFailure(t, run(t, command(t, append([]string{"--backend=cpu"}, args()...)...)), 1, "generation_config.json: top_p: found 3, expected 0 to 1; a flag for it counts in its place")
	if got := generate(t, args("--top-p=0.95")...); got.Out != before.Out {
		t.Errorf("%q with a flag for what the file has wrong, expected %q", got.Out, before.Out)
	}
}
