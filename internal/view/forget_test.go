package view

import (
	"strings"
	"testing"
)

// TestForgetText tells of a text with many slides what can be read, and of a window of
// one token what happens.
func TestForgetText(t *testing.T) {
	in := austen(t)
	s := text(t, answer(t, in, "forget?text=It is a truth universally acknowledged&context=2&predict=200", Options{}), 100, false)
	for _, want := range []string{"\nslide 3, ", "\n206 slides more: JSON and CSV have all\n", "\n209   210"} {
		if !strings.Contains(s, want) {
			t.Errorf("no %q in\n%s", want, s)
		}
	}
	if n := strings.Count(s, "\n"); n > 100 || strings.Contains(s, "slide 4,") {
		t.Errorf("%d lines:\n%s", n, s)
	}
	s = text(t, answer(t, in, "forget?text=It is&context=1&predict=1", Options{}), 100, false)
	for _, want := range []string{"its token goes, and the model reads the next one alone", "forgotten: \"It\" (token 0)\n  nothing is kept"} {
		if !strings.Contains(s, want) {
			t.Errorf("no %q in\n%s", want, s)
		}
	}
}
