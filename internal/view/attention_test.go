package view

import (
	"strings"
	"testing"
)

// TestAttentionText shows a head's map where it fits, and says so where it does not.
func TestAttentionText(t *testing.T) {
	in := austen(t)
	a := answer(t, in, "attention?text=It is a truth&layer=2&head=0&top=2", Options{})
	got := text(t, a, 80, false)
	for _, part := range []string{"head 0 of layer 2", "  2 \" a\"       1", `" truth"  " is"     3 → 1`, "the strongest pairs"} {
		if !strings.Contains(got, part) {
			t.Errorf("no %q in\n%s", part, got)
		}
	}
	if got := text(t, a, 20, false); strings.Contains(got, "in percent") || !strings.Contains(got, "see it as a picture") {
		t.Errorf("in 20 columns:\n%s", got)
	}
	for address, part := range map[string]string{
		"attention?text=a man": "36 heads of 6 layers; weights are probabilities\n", "attention?text=a man&layer=1&weighted=1": "6 heads of layer 1; weights are probabilities × lengths",
		"attention?text=a man&head=1": "head 1 of 6 layers", "attention?tokens=5&layer=0&head=0": "head 0 of layer 0",
	} {
		if got := text(t, answer(t, in, address, Options{}), 0, false); !strings.Contains(got, part) {
			t.Errorf("%s: no %q in\n%s", address, part, got)
		}
	}
}

// TestAttentionMap has shares of 0 to 100 percent.
func TestAttentionMap(t *testing.T) {
	s := text(t, answer(t, austen(t), "attention?text=It is&layer=0&head=0", Options{}), 100, false)
	if !strings.Contains(s, "\n  0 \"It\"  100\n") {
		t.Errorf("the first position looks at itself alone, and it is said:\n%s", s)
	}
	s = text(t, answer(t, austen(t), "attention?text=It is&layer=0&head=0&weighted=1", Options{}), 100, false)
	if !strings.Contains(s, " 100") {
		t.Errorf("no weight is the largest:\n%s", s)
	}
}
