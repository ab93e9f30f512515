package generate_test

import (
	"strings"
	"testing"

	"caldera/internal/gpttest"
)

// TestKeep expects of --keep what it says of a full context, and other texts with it than without;
// several answers and many prompts have the text of one.
func TestKeep(t *testing.T) {
	args := func(more ...string) []string {
		return append([]string{"-c", "16", "-n", "40", "--ignore-eos", "--temp=0", "--no-display-prompt"}, more...)
	}
	texts := map[string]bool{}
	for _, c := range []struct{ keep, told string }{
		{"", "its older half was forgotten ("}, {"--keep=0", "its older half was forgotten ("},
		{"--keep=3", "but for the first 3 ("}, {"--keep=99", "but for the first 8 ("}, {"--keep=-1", "but for the first "},
	} {
		more := []string{prompt}
		if c.keep != "" {
			more = append(more, c.keep)
		}
		one := generate(t, args(more...)...)
		if !strings.Contains(one.Stderr, c.told) {
			t.Errorf("%s: %s", c.keep, one.Stderr)
		}
		texts[one.Out] = true
		two := generate(t, args(append(more, "--parallel=2")...)...)
		if two.Out != one.Out+"\n"+one.Out || strings.Count(two.Stderr, c.told) != 2 {
			t.Errorf("%s: several answers are %q, expected %q twice; %s", c.keep, two.Out, one.Out, two.Stderr)
		}
	}
	if len(texts) != 3 { // none and 0 are the same, and the prompt is more than half of the context
		t.Errorf("%d texts of five ways to keep the beginning", len(texts))
	}
	for _, keep := range []string{"--keep=-2", "--keep=2147483648"} {
		wantFailure(t, run(t, command(t, args(keep, prompt)...)), 2, keep, "expected 0 to 2147483647, or -1 for the prompt")
	}
}

// TestKeepSystem: with --chat what the system says stays, up to where the message begins.
func TestKeepSystem(t *testing.T) {
	dir := gpttest.ChatModel(t, gpttest.ChatML)
	r := generate(t, "-m", dir, "--chat", "--system=be brief", "-c", "80", "-n", "120", "--ignore-eos", "--temp=0", "hello")
	// <|im_start|>, "system" and a line feed, the 8 bytes of the text, <|im_end|>, a line feed
	if !strings.Contains(r.Stderr, "but for the first 18 (") {
		t.Error(r.Stderr)
	}
	r = generate(t, "-m", dir, "--chat", "-c", "80", "-n", "120", "--ignore-eos", "--temp=0", "hello")
	if !strings.Contains(r.Stderr, "its older half was forgotten (") {
		t.Error(r.Stderr)
	}
}
