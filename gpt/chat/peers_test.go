package chat

import (
	"maps"
	"os"
	"os/exec"
	"slices"
	"testing"
)

// TestPeers renders each of llama.cpp's templates with ten conversations, and expects the
// text that @huggingface/jinja makes of it, and Python's Jinja2 where that is installed.
// CALDERA_JINJA is the folder of the first, and CALDERA_TEMPLATES that of the templates.
func TestPeers(t *testing.T) {
	library, templates := os.Getenv("CALDERA_JINJA"), os.Getenv("CALDERA_TEMPLATES")
	if library == "" || templates == "" {
		t.Skip("make test-peers sets CALDERA_JINJA and CALDERA_TEMPLATES")
	}
	const conversations = "testdata/conversations.json"
	for name, peer := range map[string]struct {
		cmd       *exec.Cmd
		same      int
		otherwise map[string][]string // each of them is as the other peer has it
	}{
		// Its lstrip("\n") takes all white space, and Python's line breaks alone.
		"javascript": {exec.Command("node", "testdata/render.mjs", library, conversations, templates), 620, map[string][]string{
			"HuggingFaceTB-SmolLM3-3B.jinja": {"white space"}, "Qwen-QwQ-32B.jinja": {"white space"},
		}},
		// It escapes a text for HTML that is added to one that is marked as safe.
		"python": {exec.Command("python3", "testdata/render.py", conversations, templates), 650, map[string][]string{
			"meetkai-functionary-medium-v3.1.jinja": {"tools", "a tool was called"},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			if name == "python" && exec.Command("python3", "-c", "import jinja2").Run() != nil {
				t.Skip("python3 has no jinja2: apt-get install python3-jinja2")
			}
			out, err := peer.cmd.Output()
			if err != nil {
				t.Fatal(err)
			}
			c := compare(t, templates, out, peer.otherwise)
			t.Logf("%d texts are the same, %d conversations are refused by both, %d are known to be written otherwise; what it cannot run:", c.same, c.refused, c.other)
			for _, what := range slices.Sorted(maps.Keys(c.unable)) {
				t.Logf("%d times %s", c.unable[what], what)
			}
			if c.same < peer.same || c.other != len(slices.Concat(slices.Collect(maps.Values(peer.otherwise))...)) {
				t.Errorf("%d texts are the same and %d known to be other, expected %d and more, and all that are known", c.same, c.other, peer.same)
			}
		})
	}
}
