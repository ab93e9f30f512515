package chat

import (
	"maps"
	"os"
	"os/exec"
	"slices"
	"testing"
)

// TestPeers renders each of llama.cpp's templates with ten conversations, and expects the
// text that @huggingface/jinja makes of it. CALDERA_JINJA is the folder of that package, and
// CALDERA_TEMPLATES that of the templates.
func TestPeers(t *testing.T) {
	library, templates := os.Getenv("CALDERA_JINJA"), os.Getenv("CALDERA_TEMPLATES")
	if library == "" || templates == "" {
		t.Skip("make test-peers sets CALDERA_JINJA and CALDERA_TEMPLATES")
	}
	out, err := exec.Command("node", "testdata/render.mjs", library, "testdata/conversations.json", templates).Output()
	if err != nil {
		t.Fatal(err)
	}
	c := compare(t, templates, out)
	t.Logf("%d texts are the same, %d conversations are refused by both; what @huggingface/jinja cannot run:", c.same, c.refused)
	for _, what := range slices.Sorted(maps.Keys(c.unable)) {
		t.Logf("%d times %s", c.unable[what], what)
	}
	if c.same < 600 {
		t.Errorf("%d texts were compared, expected 600 and more", c.same)
	}
}
