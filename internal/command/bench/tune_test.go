package bench

import (
	"strings"
	"testing"

	"caldera/backend"
)

// TestWriteTuned: the table is written in any case, and the path only of a file that has it.
func TestWriteTuned(t *testing.T) {
	d := backend.Device{Backend: "vulkan", Index: 1}
	list := []backend.Tuned{{Of: "1×8×8", Way: "fast\x1b[1m", Seconds: 1e-6, Rule: "rule", RuleSeconds: 2e-6}}
	for _, c := range []struct {
		path string
		list []backend.Tuned
		want []string
	}{
		{"/a/file", list, []string{"| 1×8×8 |", "| 2.00 |", "vulkan:1: /a/file\n"}},
		{"", list, []string{"| 1×8×8 |", "| 2.00 |", "vulkan:1: not stored\n"}},
		{"/a/file", nil, []string{"vulkan:1: nothing was tuned (/a/file)\n"}},
		{"", nil, []string{"vulkan:1: nothing was tuned (there is no place for it)\n"}},
	} {
		var text strings.Builder
		if err := writeTuned(&text, d, c.path, c.list); err != nil {
			t.Fatal(err)
		}
		for _, part := range c.want {
			if !strings.Contains(text.String(), part) || strings.Contains(text.String(), "\x1b") {
				t.Errorf("%q, %d ops: %q, expected %q in it", c.path, len(c.list), text.String(), part)
			}
		}
	}
}
