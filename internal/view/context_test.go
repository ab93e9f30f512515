package view

import (
	"errors"
	"strings"
	"testing"

	"caldera/inspect"
	"caldera/internal/gpttest"
)

// TestContextWords finds the word, or says what is missing.
func TestContextWords(t *testing.T) {
	in := austen(t)
	for address, want := range map[string]string{
		"context?first=a man&second=the woman&word=man":                               `" man" at position 1 of the first text, "`,
		"context?first=a large fortune&second=the good fortune":                       `" fortune" at position 2 of the first text, " fortune" at position 2 of the second`,
		"context?first=a man of large fortune&second=good fortune, a man&word=man":    `" man" at position 1 of the first text, " man" at position 5 of the second`,
		"context?first=a man of large fortune&second=the good fortune&at=-1,-1&top=0": `" fortune" at position 4 of the first text, " fortune" at position 2 of the second`,
	} {
		if got := text(t, answer(t, in, address, Options{}), 0, false); !strings.HasPrefix(got, want) || !strings.Contains(got, "token and position") {
			t.Errorf("%s: no %q in\n%s", address, want, got)
		}
	}
	for address, want := range map[string]string{
		"context?first=a man&second=the woman":                     "no word in common",
		"context?first=a man&second=the boy&word=man":              `"the boy" does not have the word "man"`,
		"context?first=a man&second=a man&word=man&at=0,0":         "both a word and positions",
		"context?first=a man&second=a man&at=0":                    "1 positions: expected two",
		"context?first=a man&second=a man&at=0,9":                  "second text: position 9",
		"context?first=1,x&second=1&ids=1&at=0,0":                  "first text: tokens: \"x\" is not the id",
		"context?first=a man&second=a man&at=0,0&top=101":          "101 nearest",
		"context?first=a man&second=" + strings.Repeat("a ", 9000): "second text",
	} {
		_, p, err := parse(t, address)
		if err != nil {
			t.Fatal(err)
		}
		_, err = p.Run(t.Context(), in)
		gpttest.WantError(t, err, want)
		if !errors.As(err, new(inspect.UserError)) {
			t.Errorf("%s: %v is no UserError", address, err)
		}
	}
}
