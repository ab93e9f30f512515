package view

import (
	"math"
	"strings"
	"testing"

	"caldera/inspect"
	"caldera/internal/gpttest"
)

// TestShade has a ground that terminals know for each share, and none for NaN.
func TestShade(t *testing.T) {
	s := &Screen{Color: true}
	for share, want := range map[float64]string{
		0: "\x1b[48;5;255m\x1b[38;5;16mx\x1b[0m", 1: "\x1b[48;5;232m\x1b[38;5;231mx\x1b[0m",
		math.Inf(1): "\x1b[48;5;232m\x1b[38;5;231mx\x1b[0m", -3: "\x1b[48;5;255m\x1b[38;5;16mx\x1b[0m",
	} {
		if got := s.Shade(share, "x"); got != want {
			t.Errorf("%v: %q, expected %q", share, got, want)
		}
	}
	if got := s.Shade(math.NaN(), "x"); got != s.Faint("x") {
		t.Errorf("NaN: %q", got)
	}
}

// TestNote breaks lines between words only.
func TestNote(t *testing.T) {
	for columns, want := range map[int]string{0: "one two 日本語 three\n", 12: "one two\n日本語 three\n", 7: "one two\n日本語\nthree\n", 1: "one\ntwo\n日本語\nthree\n"} {
		var out strings.Builder
		if err := (&Screen{W: &out, Columns: columns}).Note("one two 日本語  three"); err != nil || out.String() != want {
			t.Errorf("%d columns: %q, %v", columns, out.String(), err)
		}
	}
}

// TestTextFits has explanations and tables that fit a line, in which each part of a table
// has what tells its rows apart.
func TestTextFits(t *testing.T) {
	in := austen(t)
	for _, address := range []string{"mlp?text=It is a truth", "attention?text=It is a truth", "attention?text=It is a truth&layer=1&weighted=1", "context?first=a good man&second=a bad man", "lens?text=It is a truth"} {
		for line := range strings.Lines(text(t, answer(t, in, address, Options{}), 100, false)) {
			if n := len([]rune(strings.TrimSuffix(line, "\n"))); n > 100 {
				t.Errorf("%s has a line of %d: %s", address, n, line)
			}
		}
	}
	s := text(t, answer(t, in, "mlp?text=It is a truth&top=2", Options{}), 80, false)
	if !strings.Contains(s, "\nlayer  neuron  lowers\n") {
		t.Errorf("the lowered tokens stand beside no neuron:\n%s", s)
	}
	if s := text(t, answer(t, in, "tally?shape=gpt3", Options{}), 100, false); strings.Count(s, "Embedding") != 1 {
		t.Errorf("kinds stand there twice:\n%s", s)
	}
	if s := text(t, answer(t, in, "tally", Options{}), 100, false); !strings.Contains(s, "▉") {
		t.Errorf("there is room for bars, and there are none:\n%s", s)
	}
}

// TestNotesOfNumbers writes what a model says whose scores are no numbers.
func TestNotesOfNumbers(t *testing.T) {
	in := austen(t)
	nan := inspect.Float(math.NaN())
	lens := answer(t, in, "lens?text=It is&show=lens", Options{})
	blocks := lens.Result.(*LensResult).Lens.Blocks
	blocks[len(blocks)-1][1].Note = "no numbers"
	if s := text(t, lens, 100, false); !strings.Contains(s, "\nno numbers\n") || strings.Contains(s, "it is") {
		t.Errorf("lens:\n%s", s)
	}
	next := answer(t, in, "next?text=It is", Options{})
	next.Result.(NextResult).Positions[1].Note = "no numbers"
	if s := text(t, next, 100, false); !strings.Contains(s, "\nafter position 1: no numbers\n") {
		t.Errorf("next:\n%s", s)
	}
	forget := answer(t, in, "forget?text=It is", Options{})
	forget.Result.(ForgetResult).Note = "no more numbers"
	if s := text(t, forget, 100, false); !strings.Contains(s, "\nno more numbers\n") {
		t.Errorf("forget:\n%s", s)
	}
	embed := answer(t, in, "embed?word=he&word=she", Options{})
	embed.Result.(EmbedResult).Words[0].Norm, embed.Result.(EmbedResult).Embed.Map = nan, nil
	err := embed.Result.(Drawer).Draw(&strings.Builder{}, "svg")
	gpttest.WantError(t, err, "not all numbers of the vectors are finite")
	one := answer(t, in, "embed?word=he&nearest=0", Options{})
	gpttest.WantError(t, one.Result.(Drawer).Draw(&strings.Builder{}, "svg"), "no map of one word")
}
